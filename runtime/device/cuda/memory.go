package cuda

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"triality/runtime/device"
	"triality/runtime/safetensors"
)

// buffer is a span of elements on the card. Indices have a copy on the host, which is exact
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
	s := &buffer{d: b.d, t: b.t, at: b.at + uint64(from*size(b.t)), n: to - from}
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
	if t > device.Int8 {
		return nil, fmt.Errorf("cuda: alloc: element type %d: %w", t, device.ErrNoDType)
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
	if b.at, b.size, err = d.pool.get(int64(n * size(t))); err != nil {
		return nil, fmt.Errorf("cuda: alloc %d elements: %w", n, err)
	}
	if err := d.driver.clear(b.at, n*size(t), d.stream); err != nil {
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

// Upload copies src to the card, rounded to the nearest value of a narrow type. Fractions are not
// converted to integers: a float source for an index or byte buffer is an error.
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
	var err error
	switch s := src.(type) {
	case []float32:
		err = sendAs(b, s)
	case []float64:
		err = sendAs(b, s)
	case []int32:
		if b.t != device.Int32 {
			err = sendAs(b, s)
		} else if err = send(b, s); err == nil {
			copy(b.host, s)
		}
	case []int8:
		if b.t != device.Int8 {
			return fmt.Errorf("cuda: upload: %T cannot fill a buffer of %v", src, b.t)
		}
		err = send(b, s)
	default:
		return fmt.Errorf("cuda: upload: source is %T; want []float32, []float64, []int32 or []int8", src)
	}
	return err
}

type number interface{ ~float32 | ~float64 | ~int32 }

// sendAs converts numbers to the buffer's float type.
func sendAs[S number](b *buffer, src []S) error {
	switch b.t {
	case device.Float:
		if s, ok := any(src).([]float32); ok {
			return send(b, s)
		}
		return send(b, converted(src, func(v S) float32 { return float32(v) }))
	case device.BFloat16:
		return send(b, converted(src, func(v S) uint16 { return safetensors.Float32ToBF16(sticky(float64(v))) }))
	case device.Float16:
		return send(b, converted(src, func(v S) uint16 { return safetensors.Float32ToF16(sticky(float64(v))) }))
	}
	return fmt.Errorf("cuda: upload: %T cannot fill a buffer of %v", src, b.t)
}

// sticky is v as a float32 whose last bit is set where v has more of them, so that rounding it again
// gives what rounding v once would.
func sticky(v float64) float32 {
	f := float32(v)
	bits := math.Float32bits(f)
	if float64(f) == v || v != v || math.IsInf(float64(f), 0) || bits&1 != 0 {
		return f
	}
	if math.Abs(float64(f)) > math.Abs(v) {
		return math.Float32frombits(bits - 1)
	}
	return math.Float32frombits(bits + 1)
}

// converted is f of each element, on all processors where there are many.
func converted[D, S any](src []S, f func(S) D) []D {
	const span = 1 << 18
	out := make([]D, len(src))
	part := func(from int) {
		for i := from; i < min(len(src), from+span); i++ {
			out[i] = f(src[i])
		}
	}
	if len(src) <= span {
		part(0)
		return out
	}
	var spans sync.WaitGroup
	for from := 0; from < len(src); from += span {
		spans.Go(func() { part(from) })
	}
	spans.Wait()
	return out
}

// send copies words of the buffer's own size.
func send[E any](b *buffer, words []E) error {
	if len(words) != b.n {
		return fmt.Errorf("cuda: upload: %d elements into a buffer of %d", len(words), b.n)
	}
	if b.n == 0 {
		return nil
	}
	if at, n := unsafe.Pointer(&words[0]), size(b.t)*b.n; b.d.locked.holds(at, n) {
		if err := b.d.driver.copyIn(b.at, at, n, b.d.stream); err != nil {
			return fmt.Errorf("cuda: upload: %w", err)
		}
		return nil
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size(b.t)*b.n)
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
		return receiveAs(&c, b, o)
	case []float64:
		return receiveAs(&c, b, o)
	case []int32:
		if b.t == device.Int32 {
			return receive(&c, b, o)
		}
	case []int8:
		if b.t == device.Int8 {
			return receive(&c, b, o)
		}
	default:
		return fmt.Errorf("cuda: download: destination is %T; want []float32, []float64, []int32 or []int8", dst)
	}
	return fmt.Errorf("cuda: download: source holds %v elements, destination is %T", b.t, dst)
}

// receiveAs copies the buffer's words and converts them.
func receiveAs[D number](c *call, b *buffer, dst []D) error {
	switch b.t {
	case device.Float:
		if o, ok := any(dst).([]float32); ok {
			return receive(c, b, o)
		}
		return receiveThrough(c, b, dst, func(v float32) D { return D(v) })
	case device.BFloat16:
		return receiveThrough(c, b, dst, func(v uint16) D { return D(safetensors.BF16ToFloat32(v)) })
	case device.Float16:
		return receiveThrough(c, b, dst, func(v uint16) D { return D(safetensors.F16ToFloat32(v)) })
	case device.Int32:
		return receiveThrough(c, b, dst, func(v int32) D { return D(v) })
	}
	return fmt.Errorf("cuda: download: source holds %v elements, destination is %T", b.t, dst)
}

// receiveThrough copies words of type E and converts each.
func receiveThrough[E, D any](c *call, b *buffer, dst []D, f func(E) D) error {
	if len(dst) != b.n {
		return wrongLength(len(dst), b.n)
	}
	words := make([]E, b.n)
	if err := receive(c, b, words); err != nil {
		return err
	}
	for i, v := range words {
		dst[i] = f(v)
	}
	return nil
}

// receive copies words of the buffer's own size.
func receive[E any](c *call, b *buffer, dst []E) error {
	if len(dst) != b.n {
		return wrongLength(len(dst), b.n)
	}
	if b.n > 0 {
		c.check("copy", c.d.driver.copyOut(unsafe.Pointer(&dst[0]), b.at, size(b.t)*b.n, c.d.stream))
	}
	return c.wait()
}

func wrongLength(n, want int) error {
	return fmt.Errorf("cuda: download: %d elements from a buffer of %d", n, want)
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
