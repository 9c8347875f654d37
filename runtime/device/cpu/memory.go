package cpu

import (
	"fmt"
	"unsafe"

	"triality/runtime/device"
)

// buffer is a span of float32, int32 or int8 elements.
type buffer struct {
	t     device.DType
	f     []float32
	i     []int32
	q     []int8
	bytes int64 // what Alloc counted; 0 for slices
}

func (b *buffer) Len() int {
	return len(b.f) + len(b.i) + len(b.q) // one of them
}

func (b *buffer) DType() device.DType { return b.t }

func (b *buffer) Slice(from, to int) device.Buffer {
	switch b.t {
	case device.Int32:
		return &buffer{t: b.t, i: b.i[from:to:to]}
	case device.Int8:
		return &buffer{t: b.t, q: b.q[from:to:to]}
	}
	return &buffer{t: b.t, f: b.f[from:to:to]}
}

// aligned returns n zeros starting at a cache line, which full-width vector loads want.
func aligned(n int) []float32 {
	const line = 64
	x := make([]float32, n+line/4-1)
	skip := 0
	if n > 0 {
		skip = int(-uintptr(unsafe.Pointer(&x[0]))%line) / 4
	}
	return x[skip : skip+n : skip+n]
}

// Alloc returns n zeroed elements; ErrOutOfMemory where they would pass the physical memory. There are
// no narrow float types.
func (d *Device) Alloc(t device.DType, n int) (device.Buffer, error) {
	if n < 0 {
		return nil, fmt.Errorf("cpu: alloc: negative length %d", n)
	}
	size := int64(4)
	switch t {
	case device.Float, device.Int32:
	case device.Int8:
		size = 1
	default:
		return nil, fmt.Errorf("cpu: alloc %d elements of %v: %w; it computes in float32", n, t, device.ErrNoDType)
	}
	limit := d.info.Memory
	if limit == 0 {
		limit = 1 << 46 // unknown; still refuse what no machine has
	}
	d.mu.Lock()
	if used := d.used; int64(n) > (limit-used)/size {
		d.mu.Unlock()
		return nil, fmt.Errorf("cpu: alloc %d elements of %d bytes with %d of %d bytes in use: %w", n, size, used, limit, device.ErrOutOfMemory)
	}
	d.used += int64(n) * size
	d.mu.Unlock()
	b := &buffer{t: t, bytes: int64(n) * size}
	switch t {
	case device.Int32:
		b.i = make([]int32, n)
	case device.Int8:
		b.q = make([]int8, n)
	default:
		b.f = aligned(n)
	}
	return b, nil
}

// Free drops the buffer's memory, which the garbage collector takes back.
func (d *Device) Free(x device.Buffer) {
	b, ok := x.(*buffer)
	if !ok || b == nil {
		return
	}
	d.mu.Lock()
	d.used -= b.bytes
	b.f, b.i, b.q, b.bytes = nil, nil, nil, 0
	d.mu.Unlock()
}

// Upload converts src to float32 or int32. Fractions are not converted to indices: a float source
// for an index buffer is an error.
func (d *Device) Upload(dst device.Buffer, src any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := dst.(*buffer)
	if !ok {
		return fmt.Errorf("cpu: upload: destination is a %T of another device", dst)
	}
	switch s := src.(type) {
	case []float32:
		return upload(b, b.f, device.Float, s)
	case []float64:
		return upload(b, b.f, device.Float, s)
	case []int32:
		if b.t == device.Int32 {
			return upload(b, b.i, device.Int32, s)
		}
		return upload(b, b.f, device.Float, s)
	case []int8:
		return upload(b, b.q, device.Int8, s)
	}
	return fmt.Errorf("cpu: upload: source is %T; want []float32, []float64, []int32 or []int8", src)
}

// Download converts src to the type of dst; an error of an earlier operation is returned too.
func (d *Device) Download(dst any, src device.Buffer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	b, ok := src.(*buffer)
	if !ok {
		return fmt.Errorf("cpu: download: source is a %T of another device", src)
	}
	switch o := dst.(type) {
	case []float32:
		if b.t == device.Float && len(o) == len(b.f) {
			copy(o, b.f)
			return nil
		}
		return download(b, o)
	case []float64:
		return download(b, o)
	case []int32:
		if b.t != device.Int32 {
			return fmt.Errorf("cpu: download: source holds %v, destination is []int32", b.t)
		}
		return download(b, o)
	case []int8:
		if b.t != device.Int8 {
			return fmt.Errorf("cpu: download: source holds %v, destination is []int8", b.t)
		}
		return download(b, o)
	}
	return fmt.Errorf("cpu: download: destination is %T; want []float32, []float64, []int32 or []int8", dst)
}

type number interface {
	~float32 | ~float64 | ~int32 | ~int8
}

func upload[D, S number](b *buffer, dst []D, want device.DType, src []S) error {
	if b.t != want {
		return fmt.Errorf("cpu: upload: %T cannot fill a buffer of %v", src, b.t)
	}
	if len(dst) != len(src) {
		return fmt.Errorf("cpu: upload: %d elements into a buffer of %d", len(src), len(dst))
	}
	for i, v := range src {
		dst[i] = D(v)
	}
	return nil
}

func download[D number](b *buffer, dst []D) error {
	if len(dst) != b.Len() {
		return fmt.Errorf("cpu: download: %d elements from a buffer of %d", len(dst), b.Len())
	}
	for i, v := range b.f {
		dst[i] = D(v)
	}
	for i, v := range b.i {
		dst[i] = D(v)
	}
	for i, v := range b.q {
		dst[i] = D(v)
	}
	return nil
}
