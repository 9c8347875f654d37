package cuda

import (
	"fmt"
	"math"
	"unsafe"

	"triality/runtime/device"
)

// buffer is a span of four-byte elements on the card. Indices have a copy on the host, which is exact
// because only Upload and Copy write them: arguments are checked, and work is planned, without
// waiting for the card.
type buffer struct {
	d    *Device
	t    device.DType
	at   uint64
	n    int
	host []int32 // of indices; slices share it
	size int64   // what the pool handed out; 0 for slices
}

func (b *buffer) Len() int            { return b.n }
func (b *buffer) DType() device.DType { return b.t }

func (b *buffer) Slice(from, to int) device.Buffer {
	if from < 0 || to < from || to > b.n {
		panic(fmt.Sprintf("cuda: slice [%d:%d) of a buffer of %d", from, to, b.n)) // as a Go slice does
	}
	s := &buffer{d: b.d, t: b.t, at: b.at + 4*uint64(from), n: to - from}
	if b.t == device.Int32 {
		s.host = b.host[from:to:to]
	}
	return s
}

// Alloc returns n zeroed elements. Where they do not fit in the card's memory or the limit, the error
// wraps device.ErrOutOfMemory and says what to lower.
func (d *Device) Alloc(t device.DType, n int) (device.Buffer, error) {
	c := d.begin("alloc")
	defer c.end()
	if n < 0 {
		return nil, fmt.Errorf("cuda: alloc: negative length %d", n)
	}
	b := &buffer{d: d, t: t, n: n}
	if c.failed {
		return nil, c.err
	}
	if n == 0 {
		return b, nil
	}
	if int64(n) > math.MaxInt64/8 {
		return nil, fmt.Errorf("cuda: alloc %d elements: %w", n, d.pool.full(math.MaxInt64))
	}
	var err error
	if b.at, b.size, err = d.pool.get(int64(n) * 4); err != nil {
		return nil, fmt.Errorf("cuda: alloc %d elements: %w", n, err)
	}
	if err := d.driver.set(b.at, 0, n, d.stream); err != nil {
		return nil, fmt.Errorf("cuda: alloc %d elements: %w", n, err)
	}
	if t == device.Int32 {
		b.host = make([]int32, n)
	}
	return b, nil
}

// Free keeps the buffer's memory for the next Alloc of its size.
func (d *Device) Free(x device.Buffer) {
	b, ok := x.(*buffer)
	if !ok || b == nil || b.d != d {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.size > 0 && !d.closed {
		d.pool.put(b.at, b.size)
	}
	b.at, b.n, b.size, b.host = 0, 0, 0, nil
}

// Upload copies src to the card. Fractions are not converted to indices: a float source for an index
// buffer is an error.
func (d *Device) Upload(dst device.Buffer, src any) error {
	c := d.begin("upload")
	defer c.end()
	if c.failed {
		return c.err
	}
	b, ok := dst.(*buffer)
	if !ok || b.d != d {
		return fmt.Errorf("cuda: upload: destination is a %T of another device", dst)
	}
	if _, indices := src.([]int32); b.t == device.Int32 && !indices {
		return fmt.Errorf("cuda: upload: %T cannot fill an int32 buffer", src)
	}
	switch s := src.(type) {
	case []float32:
		return send(b, s, s)
	case []float64:
		return send(b, s, converted[float32](s))
	case []int32:
		if b.t == device.Int32 {
			err := send(b, s, s)
			if err == nil {
				copy(b.host, s)
			}
			return err
		}
		return send(b, s, converted[float32](s))
	}
	return fmt.Errorf("cuda: upload: source is %T; want []float32, []float64 or []int32", src)
}

type number interface{ ~float32 | ~float64 | ~int32 }

func converted[D, S number](src []S) []D {
	out := make([]D, len(src))
	for i, v := range src {
		out[i] = D(v)
	}
	return out
}

func send[S, E number](b *buffer, src []S, words []E) error {
	if len(src) != b.n {
		return fmt.Errorf("cuda: upload: %d elements into a buffer of %d", len(src), b.n)
	}
	if b.n == 0 {
		return nil
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 4*len(words))
	if err := b.d.staging.send(b.d, b.at, bytes); err != nil {
		return fmt.Errorf("cuda: upload: %w", err)
	}
	return nil
}

// Download waits for all work and copies src to dst; an error of earlier work is returned and left to
// Sync.
func (d *Device) Download(dst any, src device.Buffer) error {
	c := d.begin("download")
	defer c.end()
	if d.err != nil {
		return d.err
	}
	b, ok := src.(*buffer)
	if !ok || b.d != d {
		return fmt.Errorf("cuda: download: source is a %T of another device", src)
	}
	switch o := dst.(type) {
	case []float32:
		if b.t == device.Float {
			return c.receive(b, o)
		}
		return receiveAs[int32](&c, b, o)
	case []float64:
		if b.t == device.Float {
			return receiveAs[float32](&c, b, o)
		}
		return receiveAs[int32](&c, b, o)
	case []int32:
		if b.t == device.Int32 {
			return receiveAs[int32](&c, b, o)
		}
		return fmt.Errorf("cuda: download: source holds floats, destination is []int32")
	}
	return fmt.Errorf("cuda: download: destination is %T; want []float32, []float64 or []int32", dst)
}

// receiveAs copies words of type E and converts them.
func receiveAs[E, D number](c *call, b *buffer, dst []D) error {
	words := make([]E, b.n)
	if len(dst) != b.n {
		return wrongLength(len(dst), b.n)
	}
	if b.n == 0 {
		return c.wait()
	}
	if err := c.receiveBytes(b, unsafe.Pointer(&words[0])); err != nil {
		return err
	}
	for i, v := range words {
		dst[i] = D(v)
	}
	return nil
}

func (c *call) receive(b *buffer, dst []float32) error {
	if len(dst) != b.n {
		return wrongLength(len(dst), b.n)
	}
	if b.n == 0 {
		return c.wait()
	}
	return c.receiveBytes(b, unsafe.Pointer(&dst[0]))
}

func wrongLength(n, want int) error {
	return fmt.Errorf("cuda: download: %d elements from a buffer of %d", n, want)
}

func (c *call) receiveBytes(b *buffer, dst unsafe.Pointer) error {
	c.check("copy", c.d.driver.copyOut(dst, b.at, 4*b.n, c.d.stream))
	return c.wait()
}

// wait gives the error of this call or of work before it, which stays for Sync.
func (c *call) wait() error {
	c.check("wait", c.d.driver.streamSync(c.d.stream))
	c.d.staging.offset = 0
	return c.d.err
}

// staging is memory of the host that the card reads by itself: what is sent lies there until it is
// read, so that an upload need not wait.
type staging struct {
	at     unsafe.Pointer
	offset int
}

const stagingBytes = 8 << 20

func (s *staging) open(d *driver) error {
	if err := d.hostAlloc(&s.at, stagingBytes); err != nil {
		return fmt.Errorf("cuda: %s of page-locked host memory: %w", byteSize(stagingBytes), err)
	}
	return nil
}

func (s *staging) close(d *driver) {
	if s.at != nil {
		_ = d.hostFree(s.at) // the context goes next, and this memory with it
		s.at = nil
	}
}

// send copies src to the card, in parts where it is larger than the staging memory.
func (s *staging) send(d *Device, dst uint64, src []byte) error {
	for len(src) > 0 {
		if s.offset == stagingBytes {
			if err := d.driver.streamSync(d.stream); err != nil {
				return err
			}
			s.offset = 0
		}
		n := min(len(src), stagingBytes-s.offset)
		at := unsafe.Add(s.at, s.offset)
		copy(unsafe.Slice((*byte)(at), n), src[:n])
		if err := d.driver.copyIn(dst, at, n, d.stream); err != nil {
			return err
		}
		s.offset, dst, src = s.offset+n, dst+uint64(n), src[n:]
	}
	return nil
}
