package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cuda"
	"triality/runtime/device/reference"
)

// attentionCase is an attention call over made-up values.
type attentionCase struct {
	shape  device.AttentionShape
	lo, hi []int32
}

// packed gives causal sequences of these lengths, one after another.
func packed(heads, keyHeads, dim, window int, lengths ...int) (c attentionCase) {
	for _, n := range lengths {
		start := int32(len(c.lo))
		for i := range n {
			c.lo, c.hi = append(c.lo, start), append(c.hi, start+int32(i)+1)
		}
	}
	c.shape = device.AttentionShape{Queries: len(c.lo), Keys: len(c.lo), Heads: heads, KVHeads: keyHeads, HeadDim: dim,
		Scale: 1 / math.Sqrt(float64(dim)), Window: window}
	return c
}

// cached gives queries over a cache of keys with a range to each.
func cached(keys, heads, keyHeads, dim int, ranges ...[2]int32) (c attentionCase) {
	for _, r := range ranges {
		c.lo, c.hi = append(c.lo, r[0]), append(c.hi, r[1])
	}
	c.shape = device.AttentionShape{Queries: len(ranges), Keys: keys, Heads: heads, KVHeads: keyHeads, HeadDim: dim,
		Scale: 1 / math.Sqrt(float64(dim))}
	return c
}

// storedAs gives a buffer of type t, and the values that it holds after rounding.
func storedAs(t testing.TB, dev device.Device, kind device.DType, x []float32) (device.Buffer, []float64) {
	t.Helper()
	b, err := dev.Alloc(kind, len(x))
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Upload(b, x); err != nil {
		t.Fatal(err)
	}
	return b, downloaded(t, dev, b)
}

// both gives the result and the gradients of a case in storage type kind, and what the reference gives for
// the same rounded operands. offset moves each operand in its buffer.
func both(t *testing.T, dev device.Device, kind device.DType, c attentionCase, offset int) (got, want [][]float64) {
	t.Helper()
	exact := reference.New()
	defer closeDevice(t, exact)
	s := c.shape
	nq, nk := s.Queries*s.Heads*s.HeadDim, s.Keys*s.KVHeads*s.HeadDim
	var x, y [8]device.Buffer // q, k, v, dy, dst, dq, dk, dv
	for i, n := range []int{nq, nk, nk, nq, nq, nq, nk, nk} {
		whole, values := storedAs(t, dev, kind, noise(uint64(20+i), n+offset))
		x[i] = whole.Slice(offset, n+offset)
		b, err := exact.Alloc(device.Float, n)
		if err != nil {
			t.Fatal(err)
		}
		if err := exact.Upload(b, values[offset:]); err != nil {
			t.Fatal(err)
		}
		y[i] = b
	}
	run := func(d device.Device, b [8]device.Buffer) (out [][]float64) {
		l, h := indices(t, d, c.lo), indices(t, d, c.hi)
		d.Attention(b[4], b[0], b[1], b[2], l, h, s)
		d.AttentionGrad(b[5], b[6], b[7], b[0], b[1], b[2], l, h, b[3], s)
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		for _, r := range b[4:] {
			out = append(out, downloaded(t, d, r))
		}
		return out
	}
	return run(dev, x), run(exact, y)
}

var storageTypes = map[string]device.DType{"bfloat16": device.BFloat16, "float16": device.Float16}

// A result is rounded to 8 or 11 bits, and so are the weights between two products.
var storageError = map[device.DType]float64{device.BFloat16: 6e-3, device.Float16: 8e-4, device.Float: 5e-6}

func TestAttentionInSixteenBitsAgreesWithTheReferenceAndRepeatsToTheBit(t *testing.T) {
	dev := open(t, cuda.Options{})
	defer closeDevice(t, dev)
	cases := map[string]attentionCase{
		"packed sequences under a window":  packed(4, 2, 64, 150, 200, 133),
		"one head to each key head":        packed(2, 2, 128, 0, 200),
		"seven heads to a key head":        packed(7, 1, 64, 0, 30, 97),
		"no window over several tiles":     packed(2, 1, 128, 0, 5, 300, 1),
		"a sequence that goes round rings": packed(2, 1, 128, 0, 700),
		"the same with heads of 64":        packed(2, 1, 64, 0, 700),
		"queries that read nothing":        cached(200, 2, 1, 64, [2]int32{0, 200}, [2]int32{7, 7}, [2]int32{130, 200}, [2]int32{9, 3}),
		"one query over a cache":           cached(1000, 8, 2, 128, [2]int32{3, 997}),
		"nine heads to a key head":         cached(300, 18, 2, 64, [2]int32{0, 257}),
		"heads of 256 over a cache":        cached(400, 4, 2, 256, [2]int32{30, 390}, [2]int32{0, 5}),
		"heads of 72 over a cache":         cached(400, 4, 2, 72, [2]int32{30, 390}, [2]int32{0, 5}, [2]int32{7, 7}),
		"heads of 20 over a cache":         cached(400, 4, 2, 20, [2]int32{30, 390}, [2]int32{0, 5}),
		"sequences of a batch in a cache":  cached(2000, 4, 1, 80, [2]int32{0, 611}, [2]int32{700, 701}, [2]int32{800, 2000}),
	}
	for _, dim := range []int{1, 5, 24, 32, 48, 80, 96, 127, 128, 160, 256} {
		cases[fmt.Sprintf("heads of %d", dim)] = packed(4, 2, dim, 0, 100, 60)
	}
	for name, kind := range storageTypes {
		for label, c := range cases {
			t.Run(name+"/"+label, func(t *testing.T) {
				got, want := both(t, dev, kind, c, 0)
				agree(t, got, want, 0, storageError[kind])
				again, _ := both(t, dev, kind, c, 0)
				agree(t, again, got, 0, 1e-300)
			})
		}
		t.Run(name+"/operands that are not aligned", func(t *testing.T) {
			got, want := both(t, dev, kind, packed(4, 2, 64, 0, 150), 1)
			agree(t, got, want, 0, storageError[kind])
		})
	}
}

// attentionBench is a shape to time: one causal sequence or, where queries is 1, that many keys of a cache.
type attentionBench struct{ queries, keys, heads, keyHeads, dim int }

// BenchmarkStoredAttention counts operations as BenchmarkAttention does.
func BenchmarkStoredAttention(b *testing.B) {
	for _, c := range []attentionBench{{4096, 4096, 32, 8, 128}, {4096, 4096, 32, 32, 128}, {2048, 2048, 28, 4, 128}, {4096, 4096, 14, 2, 64}} {
		b.Run(fmt.Sprintf("%dx%dx%dx%d", c.queries, c.heads, c.keyHeads, c.dim), func(b *testing.B) {
			dev := open(b, cuda.Options{})
			defer closeDevice(b, dev)
			x := packed(c.heads, c.keyHeads, c.dim, 0, c.queries)
			l, h := indices(b, dev, x.lo), indices(b, dev, x.hi)
			nq, nk := c.queries*c.heads*c.dim, c.keys*c.keyHeads*c.dim
			var o [8]device.Buffer
			for i, n := range []int{nq, nk, nk, nq, nq, nq, nk, nk} {
				o[i], _ = storedAs(b, dev, device.BFloat16, noise(uint64(i+1), n))
			}
			work := float64(c.queries) * float64(c.keys) / 2 * float64(c.heads*c.dim) / 1e12
			b.Run("forward", func(b *testing.B) {
				launchAll(b, dev, 4*work, "TFLOP/s", func() { dev.Attention(o[4], o[0], o[1], o[2], l, h, x.shape) })
			})
			b.Run("backward", func(b *testing.B) {
				launchAll(b, dev, 10*work, "TFLOP/s", func() { dev.AttentionGrad(o[5], o[6], o[7], o[0], o[1], o[2], l, h, o[3], x.shape) })
			})
		})
	}
}

// BenchmarkSmallAttention is what a call costs beside the work.
func BenchmarkSmallAttention(b *testing.B) {
	for name, kind := range map[string]device.DType{"bfloat16": device.BFloat16, "float": device.Float} {
		for label, keys := range map[string]int{"tile": 1, "decode": 2} {
			b.Run(name+"/"+label, func(b *testing.B) {
				dev := open(b, cuda.Options{})
				defer closeDevice(b, dev)
				x := cached(keys, 1, 1, 64, [2]int32{0, 1})
				l, h := indices(b, dev, x.lo), indices(b, dev, x.hi)
				o, _ := storedAs(b, dev, kind, noise(1, 64*keys))
				y, _ := storedAs(b, dev, kind, noise(1, 64))
				launchAll(b, dev, 1, "calls/s", func() { dev.Attention(y, o, o, o, l, h, x.shape) })
			})
		}
	}
}

// BenchmarkDecode is one query to a sequence over a cache, in bytes of keys and values read a second.
func BenchmarkDecode(b *testing.B) {
	for _, c := range []attentionBench{{1, 4096, 32, 8, 128}, {1, 32768, 32, 8, 128}, {32, 131072, 32, 8, 128}} {
		for name, kind := range map[string]device.DType{"bfloat16": device.BFloat16, "float": device.Float} {
			b.Run(fmt.Sprintf("%s/%dx%dx%dx%dx%d", name, c.queries, c.keys, c.heads, c.keyHeads, c.dim), func(b *testing.B) {
				dev := open(b, cuda.Options{})
				defer closeDevice(b, dev)
				each := int32(c.keys / c.queries)
				var ranges [][2]int32
				for i := range int32(c.queries) {
					ranges = append(ranges, [2]int32{i * each, (i + 1) * each})
				}
				x := cached(c.keys, c.heads, c.keyHeads, c.dim, ranges...)
				x.shape.Keys++
				l, h := indices(b, dev, x.lo), indices(b, dev, x.hi)
				nq, nk := c.queries*c.heads*c.dim, (c.keys+1)*c.keyHeads*c.dim
				var o [4]device.Buffer
				values := noise(1, 1<<20)
				for i, n := range []int{nq, nk, nk, nq} {
					var err error
					if o[i], err = dev.Alloc(kind, n); err != nil {
						b.Fatal(err)
					}
					for at := 0; at < n; at += len(values) {
						part := values[:min(len(values), n-at)]
						if err := dev.Upload(o[i].Slice(at, at+len(part)), part); err != nil {
							b.Fatal(err)
						}
					}
				}
				size := 2.0
				if kind == device.Float {
					size = 4
				}
				launchAll(b, dev, 2*size*float64(c.keys*c.keyHeads*c.dim)/1e9, "GB/s", func() { dev.Attention(o[3], o[0], o[1], o[2], l, h, x.shape) })
			})
		}
	}
}
