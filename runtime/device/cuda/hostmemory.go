package cuda

import (
	"fmt"
	"unsafe"

	"triality/runtime/device"
)

// locked is page-locked memory of the host by its address, with its size in bytes: the card reads and
// writes it while the host goes on.
type locked map[unsafe.Pointer]int

// holds tells whether a span is the beginning of such memory.
func (l locked) holds(at unsafe.Pointer, bytes int) bool { return bytes <= l[at] }

// AllocHost gives page-locked memory.
func (d *Device) AllocHost(t device.DType, n int) (any, error) {
	c := d.begin("alloc host")
	defer c.end()
	if c.failed {
		return nil, c.err
	}
	if n < 0 || (t != device.Float && t != device.Int8) {
		return nil, fmt.Errorf("cuda: %d elements of %v in host memory: %w", n, t, device.ErrNoDType)
	}
	bytes := max(1, n*size(t))
	var at unsafe.Pointer
	if err := d.driver.hostAlloc(&at, bytes); err != nil {
		return nil, fmt.Errorf("cuda: %s of page-locked host memory: %w", byteSize(int64(bytes)), err)
	}
	d.locked[at] = bytes
	clear(unsafe.Slice((*byte)(at), bytes))
	if t == device.Int8 {
		return unsafe.Slice((*int8)(at), n), nil
	}
	return unsafe.Slice((*float32)(at), n), nil
}

// span gives the address and size of memory of AllocHost.
func (l locked) span(memory any) (at unsafe.Pointer, bytes int, t device.DType, ok bool) {
	switch m := memory.(type) {
	case []int8:
		at, bytes, t = unsafe.Pointer(unsafe.SliceData(m)), len(m), device.Int8
	case []float32:
		at, bytes, t = unsafe.Pointer(unsafe.SliceData(m)), 4*len(m), device.Float
	}
	_, ok = l[at]
	return at, bytes, t, ok && l.holds(at, bytes)
}

// FreeHost waits for the card, which may still use the memory.
func (d *Device) FreeHost(memory any) {
	c := d.begin("free host")
	defer c.end()
	at, _, _, ok := d.locked.span(memory)
	if !ok || c.failed {
		return
	}
	c.check("wait", d.driver.streamSync(d.stream))
	c.check("free", d.driver.hostFree(at))
	delete(d.locked, at)
}

// Fetch starts a copy to page-locked memory.
func (d *Device) Fetch(dst any, src device.Buffer) error {
	c := d.begin("fetch")
	defer c.end()
	b := c.own("src", src)
	at, bytes, t, ok := d.locked.span(dst)
	switch {
	case c.failed:
	case !ok || b.t != t:
		c.fail("%v elements go to memory of AllocHost of their type, not %T", b.t, dst)
	case bytes != size(t)*b.n:
		c.fail("%d bytes into %d", size(t)*b.n, bytes)
	case bytes > 0:
		c.check("copy", d.driver.copyOut(at, b.at, bytes, d.stream))
	}
	return c.err
}

// close frees what was not given back.
func (l locked) close(d *driver) {
	for at := range l {
		_ = d.hostFree(at) // the context goes next, and this memory with it
		delete(l, at)
	}
}
