package cuda

import (
	"errors"
	"fmt"
	"math/bits"

	"triality/runtime/device"
)

// source is where a pool gets its memory: the driver, or a test's stand-in.
type source interface {
	take(bytes int64) (uint64, error)
	give(address uint64) error
}

// pool keeps freed spans for the next allocation of their size. One stream orders all work, so a span
// may be handed out again while an operation that used it is still to run.
type pool struct {
	from  source
	limit int64
	used  int64 // bytes handed out
	idle  int64 // bytes kept for later
	peak  int64 // most that used and idle came to
	spans map[int64][]uint64
	out   map[uint64]struct{} // addresses handed out
}

func newPool(from source, limit int64) *pool {
	return &pool{from: from, limit: limit, spans: map[int64][]uint64{}, out: map[uint64]struct{}{}}
}

// sizeClass rounds up to an eighth of a power of two, between 512 bytes and 2 MiB: little is wasted
// and sizes that differ a little share spans.
func sizeClass(bytes int64) int64 {
	step := int64(1) << max(0, bits.Len64(uint64(bytes))-4)
	step = min(max(step, 512), 2<<20)
	return (bytes + step - 1) / step * step
}

// get hands out a span of sizeClass(bytes), whose content is arbitrary.
func (p *pool) get(bytes int64) (address uint64, size int64, err error) {
	if bytes > p.limit {
		return 0, 0, p.full(bytes)
	}
	size = sizeClass(bytes)
	if kept := p.spans[size]; len(kept) > 0 {
		address = kept[len(kept)-1]
		p.spans[size] = kept[:len(kept)-1]
		p.idle -= size
		p.used += size
		p.out[address] = struct{}{}
		return address, size, nil
	}
	if p.used+p.idle+size > p.limit {
		if err := p.flush(); err != nil {
			return 0, 0, err
		}
		if p.used+size > p.limit {
			return 0, 0, p.full(bytes)
		}
	}
	address, err = p.from.take(size)
	if errors.Is(err, device.ErrOutOfMemory) && p.idle > 0 {
		if err := p.flush(); err != nil {
			return 0, 0, err
		}
		address, err = p.from.take(size)
	}
	if errors.Is(err, device.ErrOutOfMemory) {
		return 0, 0, p.full(bytes)
	}
	if err != nil {
		return 0, 0, err
	}
	p.used += size
	p.peak = max(p.peak, p.used+p.idle)
	p.out[address] = struct{}{}
	return address, size, nil
}

// put takes a span back.
func (p *pool) put(address uint64, size int64) {
	delete(p.out, address)
	p.spans[size] = append(p.spans[size], address)
	p.used -= size
	p.idle += size
}

// flush gives the kept spans back to the source, which waits for work that uses them.
func (p *pool) flush() error {
	var errs []error
	for size, addresses := range p.spans {
		for _, a := range addresses {
			errs = append(errs, p.from.give(a))
		}
		p.idle -= size * int64(len(addresses))
		delete(p.spans, size)
	}
	return errors.Join(errs...)
}

// close gives everything back, also what is still handed out.
func (p *pool) close() error {
	errs := []error{p.flush()}
	for address := range p.out {
		errs = append(errs, p.from.give(address))
	}
	clear(p.out)
	p.used = 0
	return errors.Join(errs...)
}

func (p *pool) full(bytes int64) error {
	return fmt.Errorf("%s more with %s of %s in use (another program may hold the rest); lower the micro-batch or the sequence length, turn on gradient checkpointing, or raise the memory limit: %w",
		byteSize(bytes), byteSize(p.used), byteSize(p.limit), device.ErrOutOfMemory)
}

// byteSize writes a number of bytes for people.
func byteSize(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}
