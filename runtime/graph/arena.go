package graph

import (
	"fmt"

	"triality/runtime/device"
)

// Arena is the memory that the intermediate results of machines lie in, one buffer for each element
// type. Machines that never run at once can share one: it grows to the largest, and a run overwrites the
// results of the others.
type Arena struct {
	dev    device.Device
	bufs   map[device.DType]device.Buffer
	want   map[device.DType]int // elements
	growth int                  // counts reallocations, so that machines know when to look again
}

// NewArena makes an empty arena on dev. Close frees it.
func NewArena(dev device.Device) *Arena {
	return &Arena{dev: dev, bufs: map[device.DType]device.Buffer{}, want: map[device.DType]int{}}
}

// Bytes is the size that the machines compiled so far need, with Float counted as float32.
func (a *Arena) Bytes() int64 { return bytesIn(a.want) }

func bytesIn(elements map[device.DType]int) int64 {
	var sum int64
	for t, n := range elements {
		sum += int64(n) * bytesOf(t)
	}
	return sum
}

func (a *Arena) reserve(elements map[device.DType]int) {
	for t, n := range elements {
		a.want[t] = max(a.want[t], n)
	}
}

// Ready allocates what the machines compiled so far need, which the next run of one would do. A caller that
// compiles the largest first so takes the memory once, where growing would hold the old and the new.
func (a *Arena) Ready() error {
	for _, t := range []device.DType{device.Float, device.BFloat16, device.Float16} {
		n, old := a.want[t], a.bufs[t]
		if n == 0 || (old != nil && old.Len() >= n) {
			continue
		}
		if old != nil {
			a.dev.Free(old)
			delete(a.bufs, t)
		}
		a.growth++
		buf, err := a.dev.Alloc(t, n)
		if err != nil {
			return fmt.Errorf("graph: arena of %d elements of %v: %w", n, t, err)
		}
		a.bufs[t] = buf
	}
	return nil
}

// Close frees the memory. Machines that share the arena cannot run afterwards without allocating
// it again.
func (a *Arena) Close() error {
	for t, buf := range a.bufs {
		a.dev.Free(buf)
		delete(a.bufs, t)
		a.growth++
	}
	return nil
}

// packer places buffers in the arena in the order of the schedule: the smallest free block that
// fits, of equals the first, so the same graph always gets the same plan.
type packer struct {
	free []block // by offset, never adjacent
	end  int
}

type block struct{ off, n int }

// place finds room for n elements.
func (p *packer) place(n int) int {
	n = alignUp(n)
	best := -1
	for i, b := range p.free {
		if b.n >= n && (best < 0 || b.n < p.free[best].n) {
			best = i
		}
	}
	if best >= 0 {
		b := &p.free[best]
		off := b.off
		b.off, b.n = b.off+n, b.n-n
		if b.n == 0 {
			p.free = append(p.free[:best], p.free[best+1:]...)
		}
		return off
	}
	// No block fits: extend the arena, starting in the free block at its end if there is one.
	if last := len(p.free) - 1; last >= 0 && p.free[last].off+p.free[last].n == p.end {
		off := p.free[last].off
		p.free = p.free[:last]
		p.end = off + n
		return off
	}
	off := p.end
	p.end += n
	return off
}

// release gives n elements at off back and joins them with their neighbours.
func (p *packer) release(off, n int) {
	n = alignUp(n)
	i := 0
	for i < len(p.free) && p.free[i].off < off {
		i++
	}
	p.free = append(p.free, block{})
	copy(p.free[i+1:], p.free[i:])
	p.free[i] = block{off, n}
	if i+1 < len(p.free) && off+n == p.free[i+1].off {
		p.free[i].n += p.free[i+1].n
		p.free = append(p.free[:i+1], p.free[i+2:]...)
	}
	if i > 0 && p.free[i-1].off+p.free[i-1].n == off {
		p.free[i-1].n += p.free[i].n
		p.free = append(p.free[:i], p.free[i+1:]...)
	}
}
