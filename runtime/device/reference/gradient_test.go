package reference_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

// gradientCase is an operation with one float result and its gradients by every float input.
type gradientCase struct {
	name    string
	inputs  []int // sizes
	result  int
	forward func(d device.Device, dst device.Buffer, in []device.Buffer)
	// backward gives the gradient of Σ dy·result; grads[i] is nil where it is not asked for.
	backward func(d device.Device, grads, in []device.Buffer, dy device.Buffer)
	asked    []bool // nil: all
}

func TestGradientsAgreeWithCentralDifferences(t *testing.T) {
	ref := reference.New()
	ints := func(v ...int32) device.Buffer {
		b, err := ref.Alloc(device.Int32, len(v))
		if err != nil {
			t.Fatal(err)
		}
		if err := ref.Upload(b, v); err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := ints(7, -9)
	shape := device.AttentionShape{Queries: 5, Keys: 6, Heads: 4, KVHeads: 2, HeadDim: 3, Scale: 0.7}
	lo, hi := ints(0, 0, 2, 4, 1), ints(1, 2, 2, 6, 5)
	labels := ints(2, -100, 0, 4)
	ids := ints(3, 1, 3, 0)
	pos, freq := ints(0, 3, 11), []float64{1, 0.1}
	freqs, err := ref.Alloc(device.Float, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := ref.Upload(freqs, freq); err != nil {
		t.Fatal(err)
	}
	starts := ints(0, 0, 0, 0, 4, 4, 4, 4)

	type bufs = []device.Buffer
	cases := []gradientCase{
		{"dropout is its own gradient", []int{19}, 19,
			func(d device.Device, o device.Buffer, in bufs) { d.Dropout(o, in[0], key, 3, 0.3) },
			func(d device.Device, g, in bufs, dy device.Buffer) { d.Dropout(g[0], dy, key, 3, 0.3) }, nil},
		{"swiglu", []int{9, 9}, 9,
			func(d device.Device, o device.Buffer, in bufs) { d.SwiGLU(o, in[0], in[1]) },
			func(d device.Device, g, in bufs, dy device.Buffer) { d.SwiGLUGrad(g[0], g[1], in[0], in[1], dy) }, nil},
		{"matmul by its transposes", []int{12, 20}, 15,
			func(d device.Device, o device.Buffer, in bufs) {
				d.MatMul(o, in[0], in[1], 3, 5, 4, false, true, false)
			},
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.MatMul(g[0], dy, in[1], 3, 4, 5, false, false, false)
				d.MatMul(g[1], dy, in[0], 5, 4, 3, true, false, false)
			}, nil},
		{"bias by the sum of rows", []int{12, 4}, 12,
			func(d device.Device, o device.Buffer, in bufs) { d.AddBias(o, in[0], in[1], 3, 4) },
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.Copy(g[0], dy)
				d.SumRows(g[1], dy, 3, 4)
			}, nil},
		{"embedding", []int{4 * 3}, 4 * 3,
			func(d device.Device, o device.Buffer, in bufs) { d.Embedding(o, in[0], ids, 4, 3) },
			func(d device.Device, g, in bufs, dy device.Buffer) { d.EmbeddingGrad(g[0], ids, dy, 4, 4, 3) }, nil},
		{"rmsnorm", []int{15, 5}, 15,
			func(d device.Device, o device.Buffer, in bufs) { d.RMSNorm(o, in[0], in[1], 3, 5, 1e-2) },
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.RMSNormGradX(g[0], in[0], in[1], dy, 3, 5, 1e-2)
				d.RMSNormGradW(g[1], in[0], dy, 3, 5, 1e-2)
			}, nil},
		{"rotary by the inverse turn", []int{24}, 24,
			func(d device.Device, o device.Buffer, in bufs) {
				d.Rotary(o, in[0], pos, freqs, 3, 2, 4, 2, 1.3, false)
			},
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.Rotary(g[0], dy, pos, freqs, 3, 2, 4, 2, 1.3, true)
			}, nil},
		{"attention with shared key heads and an empty range", []int{60, 36, 36}, 60,
			func(d device.Device, o device.Buffer, in bufs) {
				d.Attention(o, in[0], in[1], in[2], lo, hi, shape)
			},
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.AttentionGrad(g[0], g[1], g[2], in[0], in[1], in[2], lo, hi, dy, shape)
			}, nil},
		{"cross-entropy with a masked row", []int{12, 15}, 4,
			func(d device.Device, o device.Buffer, in bufs) { d.CrossEntropy(o, in[0], in[1], labels, 4, 3, 5) },
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.CrossEntropyGrad(g[0], g[1], in[0], in[1], labels, dy, 4, 3, 5)
			}, nil},
		{"cross-entropy of the hidden state alone", []int{12, 15}, 4,
			func(d device.Device, o device.Buffer, in bufs) { d.CrossEntropy(o, in[0], in[1], labels, 4, 3, 5) },
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.CrossEntropyGrad(g[0], nil, in[0], in[1], labels, dy, 4, 3, 5)
			}, []bool{true, false}},
		{"exponential of a skew-symmetric matrix", []int{28}, 64,
			func(d device.Device, o device.Buffer, in bufs) { d.SkewExp(o, in[0]) },
			func(d device.Device, g, in bufs, dy device.Buffer) { d.SkewExpGrad(g[0], in[0], dy) }, nil},
		{"block rotation", []int{48, 64}, 48,
			func(d device.Device, o device.Buffer, in bufs) { d.BlockMul(o, in[0], in[1], 3, 16, false) },
			func(d device.Device, g, in bufs, dy device.Buffer) {
				d.BlockMul(g[0], dy, in[1], 3, 16, true)
				d.BlockMulGradM(g[1], in[0], dy, 3, 16)
			}, nil},
		{"pet over two sequences", []int{24}, 1,
			func(d device.Device, o device.Buffer, in bufs) { d.PET(o, in[0], starts, 8, 3) },
			func(d device.Device, g, in bufs, dy device.Buffer) { d.PETGrad(g[0], in[0], starts, dy, 8, 3) }, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkGradient(t, ref, c) })
	}
}

func checkGradient(t *testing.T, ref device.Device, c gradientCase) {
	rng := rand.New(rand.NewPCG(1, 2))
	floats := func(n int, random bool) (device.Buffer, []float64) {
		b, err := ref.Alloc(device.Float, n)
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float64, n)
		if random {
			for i := range v {
				v[i] = rng.NormFloat64()
			}
			if err := ref.Upload(b, v); err != nil {
				t.Fatal(err)
			}
		}
		return b, v
	}
	var in, grads []device.Buffer
	var values [][]float64
	for i, n := range c.inputs {
		b, v := floats(n, true)
		in, values = append(in, b), append(values, v)
		g, _ := floats(n, true) // filled, so that a gradient left unwritten shows
		if c.asked != nil && !c.asked[i] {
			g = nil
		}
		grads = append(grads, g)
	}
	dy, weight := floats(c.result, true)
	out, result := floats(c.result, false)
	loss := func() float64 {
		c.forward(ref, out, in)
		if err := ref.Download(result, out); err != nil {
			t.Fatal(err)
		}
		var s float64
		for i := range result {
			s += weight[i] * result[i]
		}
		return s
	}
	c.backward(ref, grads, in, dy)
	if err := ref.Sync(); err != nil {
		t.Fatal(err)
	}
	const h = 1e-5
	for i, g := range grads {
		if g == nil {
			continue
		}
		got := make([]float64, c.inputs[i])
		if err := ref.Download(got, g); err != nil {
			t.Fatal(err)
		}
		for j, x := range values[i] {
			at := func(v float64) float64 {
				values[i][j] = v
				if err := ref.Upload(in[i], values[i]); err != nil {
					t.Fatal(err)
				}
				return loss()
			}
			want := (at(x+h) - at(x-h)) / (2 * h)
			at(x)
			if math.Abs(got[j]-want) > 1e-8*(1+math.Abs(want)) {
				t.Errorf("input %d element %d: gradient %.12g, central difference %.12g", i, j, got[j], want)
			}
		}
	}
}

// The gradients of element-wise sums, products and scalings are calls of the same operations, so
// what is left to hold is the optimizer and the known values below.
func TestAdamWTakesPyTorchsFirstSteps(t *testing.T) {
	ref := reference.New()
	buf := func(v ...float64) device.Buffer {
		b, err := ref.Alloc(device.Float, len(v))
		if err != nil {
			t.Fatal(err)
		}
		if err := ref.Upload(b, v); err != nil {
			t.Fatal(err)
		}
		return b
	}
	p, g, m, v := buf(1, -2), buf(0.5, 4), buf(0, 0), buf(0, 0)
	k := device.AdamW{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01}
	for k.Step = 1; k.Step <= 2; k.Step++ {
		ref.AdamWStep(p, g, m, v, k)
	}
	got := make([]float64, 2)
	if err := ref.Download(got, p); err != nil {
		t.Fatal(err)
	}
	// A constant gradient moves each parameter by lr a step; decay takes a factor of 1 − lr·wd.
	want := []float64{(1*0.999-0.1)*0.999 - 0.1, (-2*0.999-0.1)*0.999 - 0.1}
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-7 {
			t.Errorf("parameter %d is %.10f after two steps, want %.10f", i, got[i], want[i])
		}
	}
}

func TestSkewExpIsARotation(t *testing.T) {
	ref := reference.New()
	rng := rand.New(rand.NewPCG(5, 6))
	a := make([]float64, 28)
	for i := range a {
		a[i] = 3 * rng.NormFloat64()
	}
	x, _ := ref.Alloc(device.Float, 28)
	r, _ := ref.Alloc(device.Float, 64)
	rrt, _ := ref.Alloc(device.Float, 64)
	if err := ref.Upload(x, a); err != nil {
		t.Fatal(err)
	}
	ref.SkewExp(r, x)
	ref.MatMul(rrt, r, r, 8, 8, 8, false, true, false)
	got := make([]float64, 64)
	if err := ref.Download(got, rrt); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		want := 0.0
		if i%9 == 0 {
			want = 1
		}
		if math.Abs(got[i]-want) > 1e-13 {
			t.Errorf("R·Rᵀ[%d,%d] = %g", i/8, i%8, got[i])
		}
	}
}

func TestBadArgumentsAreReportedBySyncOnce(t *testing.T) {
	ref := reference.New()
	table, _ := ref.Alloc(device.Float, 6)
	out, _ := ref.Alloc(device.Float, 4)
	ids, _ := ref.Alloc(device.Int32, 2)
	if err := ref.Upload(ids, []int32{0, 3}); err != nil {
		t.Fatal(err)
	}
	ref.Embedding(out, table, ids, 2, 2)
	ref.Add(out, table, ids)
	err := ref.Sync()
	if err == nil || !strings.Contains(err.Error(), "embedding: ids[1] is 3, outside [0,3)") {
		t.Errorf("sync gave %v", err)
	}
	if err := ref.Sync(); err != nil {
		t.Errorf("second sync gave %v", err)
	}
}

func TestUploadConvertsAndRefuses(t *testing.T) {
	ref := reference.New()
	f, _ := ref.Alloc(device.Float, 2)
	i, _ := ref.Alloc(device.Int32, 2)
	for _, src := range []any{[]float32{1, 2}, []float64{1, 2}, []int32{1, 2}} {
		if err := ref.Upload(f, src); err != nil {
			t.Errorf("%T: %v", src, err)
		}
		got := make([]float32, 2)
		if err := ref.Download(got, f); err != nil || got[0] != 1 || got[1] != 2 {
			t.Errorf("%T came back as %v, %v", src, got, err)
		}
	}
	for name, err := range map[string]error{
		"floats into indices": ref.Upload(i, []float32{1, 2}),
		"a wrong length":      ref.Upload(f, []float32{1}),
		"a wrong type":        ref.Upload(f, []int{1, 2}),
		"floats as int32":     ref.Download(make([]int32, 2), f),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
