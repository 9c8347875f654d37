package sandbox

import (
	"os"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
)

// allocator backs a module's linear memory with address space reserved once,
// so that growing never copies, and freed for certain, so that one instance's
// memory never counts against the next. Where it can, it washes a region and
// hands it to the next instance: taking pages from the system costs several
// times what zeroing them does.
type allocator struct {
	most    uint64 // bytes a memory may reach
	refused bool   // a memory was kept from growing since the call began
	live    *linearMemory
	spare   []byte // a region that reads as zero
}

// Allocate implements experimental.MemoryAllocator.
func (a *allocator) Allocate(_, max uint64) experimental.LinearMemory {
	a.live = &linearMemory{a: a, max: min(max, a.most)}
	if uint64(len(a.spare)) == a.live.max {
		a.live.region, a.spare = a.spare, nil
	}
	return a.live
}

func (a *allocator) free() {
	if a.live != nil {
		a.live.Free()
		a.live = nil
	}
}

// linearMemory is one memory; region is reserved for max bytes, of which used
// are accessible.
type linearMemory struct {
	a      *allocator
	max    uint64
	region []byte
	used   uint64

	mappedFrom, mappedTo uint64 // pages that mapInput put in the place of its own
}

// Reallocate implements experimental.LinearMemory: the first size bytes, at an
// address that stays, or nil where that is above the limit.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.max {
		m.a.refused = m.a.refused || size > m.a.most
		return nil
	}
	if size == 0 {
		return []byte{}
	}
	if m.region == nil {
		m.region = reserve(m.max)
	}
	if m.region == nil || !commit(m.region, m.used, size) {
		m.a.refused = true
		return nil
	}
	m.used = size
	return m.region[:size:size]
}

// Free implements experimental.LinearMemory. The module must not run again.
func (m *linearMemory) Free() {
	if m.region != nil {
		if m.a.spare == nil && wash(m.region[:m.used], m.mappedFrom, m.mappedTo) {
			m.a.spare = m.region
		} else {
			release(m.region)
		}
		m.region = nil
	}
}

// mapInput puts a table into room, a part of the live memory.
func (a *allocator) mapInput(file *os.File, off int64, room []byte) error {
	from, to, err := mapInput(file, off, room)
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(room))) - uintptr(unsafe.Pointer(unsafe.SliceData(a.live.region))))
	a.live.mappedFrom, a.live.mappedTo = at+uint64(from), at+uint64(to)
	return err
}
