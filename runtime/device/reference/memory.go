package reference

import (
	"fmt"

	"triality/runtime/device"
)

// buffer is a span of float64 or int32 elements.
type buffer struct {
	t device.DType
	f []float64
	i []int32
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

// Alloc returns n zeroed elements.
func (d *Device) Alloc(t device.DType, n int) (device.Buffer, error) {
	switch {
	case n < 0:
		return nil, fmt.Errorf("reference: alloc: negative length %d", n)
	case n > 1<<36:
		return nil, fmt.Errorf("reference: alloc %d elements: %w", n, device.ErrOutOfMemory)
	case t == device.Int32:
		return &buffer{t: t, i: make([]int32, n)}, nil
	case t == device.Float:
		return &buffer{t: t, f: make([]float64, n)}, nil
	}
	return nil, fmt.Errorf("reference: alloc: unknown element type %d", t)
}

// Free does nothing: the garbage collector frees the memory.
func (d *Device) Free(device.Buffer) {}

// Upload converts src to float64 or int32. Fractions are not converted to indices: a float source
// for an index buffer is an error.
func (d *Device) Upload(dst device.Buffer, src any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := dst.(*buffer)
	if !ok {
		return fmt.Errorf("reference: upload: destination is a %T of another device", dst)
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
	return fmt.Errorf("reference: upload: source is %T; want []float32, []float64 or []int32", src)
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
		return fmt.Errorf("reference: download: source is a %T of another device", src)
	}
	switch o := dst.(type) {
	case []float32:
		return download(b, o)
	case []float64:
		return download(b, o)
	case []int32:
		if b.t != device.Int32 {
			return fmt.Errorf("reference: download: source holds floats, destination is []int32")
		}
		return download(b, o)
	}
	return fmt.Errorf("reference: download: destination is %T; want []float32, []float64 or []int32", dst)
}

type number interface{ ~float32 | ~float64 | ~int32 }

func upload[D, S number](b *buffer, dst []D, want device.DType, src []S) error {
	if b.t != want {
		return fmt.Errorf("reference: upload: %T cannot fill an %v buffer", src, b.t)
	}
	if len(dst) != len(src) {
		return fmt.Errorf("reference: upload: %d elements into a buffer of %d", len(src), len(dst))
	}
	for i, v := range src {
		dst[i] = D(v)
	}
	return nil
}

func download[D number](b *buffer, dst []D) error {
	if len(dst) != b.Len() {
		return fmt.Errorf("reference: download: %d elements from a buffer of %d", len(dst), b.Len())
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
