package cpu

import (
	"fmt"
	"unsafe"

	"triality/runtime/device"
)

// buffer is a span of float32 or int32 elements.
type buffer struct {
	t     device.DType
	f     []float32
	i     []int32
	bytes int64 // what Alloc counted; 0 for slices
}

func (b *buffer) Len() int {
	if b.t == device.Int32 {
		return len(b.i)
	}
	return len(b.f)
}

func (b *buffer) DType() device.DType { return b.t }

func (b *buffer) Slice(from, to int) device.Buffer {
	if b.t == device.Int32 {
		return &buffer{t: b.t, i: b.i[from:to:to]}
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

// Alloc returns n zeroed elements; ErrOutOfMemory where they would pass the physical memory.
func (d *Device) Alloc(t device.DType, n int) (device.Buffer, error) {
	if n < 0 {
		return nil, fmt.Errorf("cpu: alloc: negative length %d", n)
	}
	limit := d.info.Memory
	if limit == 0 {
		limit = 1 << 46 // unknown; still refuse what no machine has
	}
	d.mu.Lock()
	if used := d.used; int64(n) > (limit-used)/4 {
		d.mu.Unlock()
		return nil, fmt.Errorf("cpu: alloc %d elements of 4 bytes with %d of %d bytes in use: %w", n, used, limit, device.ErrOutOfMemory)
	}
	d.used += int64(n) * 4
	d.mu.Unlock()
	b := &buffer{t: t, bytes: int64(n) * 4}
	if t == device.Int32 {
		b.i = make([]int32, n)
	} else {
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
	b.f, b.i, b.bytes = nil, nil, 0
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
	}
	return fmt.Errorf("cpu: upload: source is %T; want []float32, []float64 or []int32", src)
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
			return fmt.Errorf("cpu: download: source holds floats, destination is []int32")
		}
		return download(b, o)
	}
	return fmt.Errorf("cpu: download: destination is %T; want []float32, []float64 or []int32", dst)
}

type number interface{ ~float32 | ~float64 | ~int32 }

func upload[D, S number](b *buffer, dst []D, want device.DType, src []S) error {
	if b.t != want {
		return fmt.Errorf("cpu: upload: %T cannot fill an %v buffer", src, b.t)
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
	if b.t == device.Int32 {
		for i, v := range b.i {
			dst[i] = D(v)
		}
		return nil
	}
	for i, v := range b.f {
		dst[i] = D(v)
	}
	return nil
}
