package reference

import (
	"fmt"
	"math"

	"triality/runtime/device"
)

// buffer is a span of float64, int32 or int8 elements. In a narrow float type what is uploaded is
// rounded to it; results are not, so that they are exact for those inputs.
type buffer struct {
	t device.DType
	f []float64
	i []int32
	q []int8
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

// Alloc returns n zeroed elements.
func (d *Device) Alloc(t device.DType, n int) (device.Buffer, error) {
	switch {
	case n < 0:
		return nil, fmt.Errorf("reference: alloc: negative length %d", n)
	case n > 1<<36:
		return nil, fmt.Errorf("reference: alloc %d elements: %w", n, device.ErrOutOfMemory)
	case t == device.Int32:
		return &buffer{t: t, i: make([]int32, n)}, nil
	case t == device.Int8:
		return &buffer{t: t, q: make([]int8, n)}, nil
	case t.IsFloat():
		return &buffer{t: t, f: make([]float64, n)}, nil
	}
	return nil, fmt.Errorf("reference: alloc: unknown element type %d", t)
}

// Free does nothing: the garbage collector frees the memory.
func (d *Device) Free(device.Buffer) {}

// Upload converts src to dst's type. Fractions are not converted to indices or codes: a float source
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
		return upload(b, b.f, b.t.IsFloat(), s)
	case []float64:
		return upload(b, b.f, b.t.IsFloat(), s)
	case []int32:
		if b.t == device.Int32 {
			return upload(b, b.i, true, s)
		}
		return upload(b, b.f, b.t.IsFloat(), s)
	case []int8:
		return upload(b, b.q, b.t == device.Int8, s)
	}
	return fmt.Errorf("reference: upload: source is %T; want []float32, []float64, []int32 or []int8", src)
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
			return fmt.Errorf("reference: download: source holds %v, destination is []int32", b.t)
		}
		return download(b, o)
	case []int8:
		if b.t != device.Int8 {
			return fmt.Errorf("reference: download: source holds %v, destination is []int8", b.t)
		}
		return download(b, o)
	}
	return fmt.Errorf("reference: download: destination is %T; want []float32, []float64, []int32 or []int8", dst)
}

type number interface {
	~float32 | ~float64 | ~int32 | ~int8
}

func upload[D, S number](b *buffer, dst []D, fits bool, src []S) error {
	if !fits {
		return fmt.Errorf("reference: upload: %T cannot fill a buffer of %v", src, b.t)
	}
	if len(dst) != len(src) {
		return fmt.Errorf("reference: upload: %d elements into a buffer of %d", len(src), len(dst))
	}
	for i, v := range src {
		dst[i] = D(v)
	}
	for i, v := range b.f {
		b.f[i] = round(v, b.t)
	}
	return nil
}

func download[D number](b *buffer, dst []D) error {
	if len(dst) != b.Len() {
		return fmt.Errorf("reference: download: %d elements from a buffer of %d", len(dst), b.Len())
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

// round gives the nearest value of a float type, ties to even.
func round(v float64, t device.DType) float64 {
	bits, least := 0, 0 // of the mantissa, and the exponent of the least normal value
	switch t {
	case device.BFloat16:
		bits, least = 7, -126
	case device.Float16:
		bits, least = 10, -14
	default:
		return v
	}
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	exponent := max(math.Ilogb(v), least)
	step := math.Ldexp(1, exponent-bits)
	r := math.RoundToEven(v/step) * step
	if largest := math.Ldexp(2-math.Ldexp(1, -bits), 1-least); math.Abs(r) > largest {
		return math.Inf(int(r / math.Abs(r)))
	}
	return r
}
