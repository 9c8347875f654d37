package sandbox

import "github.com/tetratelabs/wazero/experimental"

// allocator backs a module's linear memory with address space reserved once,
// so that growing never copies, and freed for certain, so that one instance's
// memory never counts against the next.
type allocator struct {
	most    uint64 // bytes a memory may reach
	refused bool   // a memory was kept from growing since the call began
	live    *linearMemory
}

// Allocate implements experimental.MemoryAllocator.
func (a *allocator) Allocate(_, max uint64) experimental.LinearMemory {
	a.live = &linearMemory{a: a, max: min(max, a.most)}
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
		release(m.region)
		m.region = nil
	}
}
