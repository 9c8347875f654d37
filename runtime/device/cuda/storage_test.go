package cuda_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/compliance"
	"triality/runtime/device/cuda"
	"triality/runtime/safetensors"
)

// narrowTypes with the error that their rounding leaves on a result: half a unit in the last place, and
// as much again for what is rounded on the way.
var narrowTypes = map[device.DType]float64{device.BFloat16: 0x1p-8, device.Float16: 0x1p-11}

func TestTheCardCompliesInNarrowTypes(t *testing.T) {
	for storage, unit := range narrowTypes {
		t.Run(storage.String(), func(t *testing.T) {
			compliance.RunNarrow(t, opener(t, cuda.Options{}), storage, 2*unit)
		})
	}
}

// stored gives a buffer of any float type.
func stored(t testing.TB, dev device.Device, dt device.DType, x []float32) device.Buffer {
	t.Helper()
	b, err := dev.Alloc(dt, len(x))
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Upload(b, x); err != nil {
		t.Fatal(err)
	}
	return b
}

// rounded is x as a storage type holds it.
func rounded(x []float32, dt device.DType) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		switch dt {
		case device.BFloat16:
			out[i] = safetensors.BF16ToFloat32(safetensors.Float32ToBF16(v))
		case device.Float16:
			out[i] = safetensors.F16ToFloat32(safetensors.Float32ToF16(v))
		default:
			out[i] = v
		}
	}
	return out
}

func TestCopiesBetweenFloatTypesRoundAsTheHostDoes(t *testing.T) {
	dev := open(t, cuda.Options{})
	defer closeDevice(t, dev)
	x := noise(21, 1003)
	inf := float32(math.Inf(1))
	copy(x, []float32{0, float32(math.Copysign(0, -1)), inf, -inf, 65519, 65520, 1e-7, 2.98e-8, 2.99e-8, 1e-40, 3.4e38, -3.4e38, 1 + 0x1p-8, 1 + 3*0x1p-8, 1 + 0x1p-11})
	types := []device.DType{device.Float, device.BFloat16, device.Float16}
	for _, from := range types {
		for _, to := range types {
			for _, skip := range []int{0, 1} { // addresses that are aligned and not
				src, dst := stored(t, dev, from, x).Slice(skip, len(x)), stored(t, dev, to, make([]float32, len(x))).Slice(0, len(x)-skip)
				dev.Copy(dst, src)
				got := make([]float32, dst.Len())
				if err := dev.Download(got, dst); err != nil {
					t.Fatal(err)
				}
				for i, want := range rounded(rounded(x, from), to)[skip:] {
					if math.Float32bits(got[i]) != math.Float32bits(want) {
						t.Fatalf("%v to %v: element %d from %v is %v, want %v", from, to, i, x[i+skip], got[i], want)
					}
				}
			}
		}
	}
}

func TestOperandsOfDifferentTypesAreRefused(t *testing.T) {
	dev := open(t, cuda.Options{})
	defer closeDevice(t, dev)
	three := []float32{3, 3, 3, 3}
	f, b, h := stored(t, dev, device.Float, three), stored(t, dev, device.BFloat16, three), stored(t, dev, device.Float16, three)
	q, err := dev.Alloc(device.Int8, 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, launch := range map[string]func(){
		"add":                    func() { dev.Add(b, f, b) },
		"swiglu":                 func() { dev.SwiGLU(h, h, b) },
		"a narrow norm weight":   func() { dev.RMSNorm(b, b, b, 1, 4, 1e-5) },
		"a narrow sum":           func() { dev.SumRows(b, b, 1, 4) },
		"a product into another": func() { dev.MatMul(h, b, b, 2, 2, 2, false, false, false) },
		"bytes as floats":        func() { dev.Scale(q, q, 2) },
		"bytes to floats":        func() { dev.Copy(f, q) },
		"a narrow optimizer":     func() { dev.AdamWStep(b, b, b, b, device.AdamW{Step: 1}) },
		"codes that are floats":  func() { dev.QuantizeRows(f, f, f, 1, 4) },
	} {
		launch()
		if err := dev.Sync(); err == nil {
			t.Errorf("%s: no error", name)
		}
		for _, x := range []device.Buffer{f, b, h} {
			if got := downloaded(t, dev, x); fmt.Sprint(got) != "[3 3 3 3]" {
				t.Errorf("%s: %v became %v", name, x.DType(), got)
			}
		}
	}
}

// large runs operations at the sizes of a model of seven billion parameters, a few rows of it, and
// gives their results.
func large(t *testing.T, dev device.Device, s device.DType) map[string][]float64 {
	t.Helper()
	const T, D, F, heads, V = 65, 3584, 4736, 28, 150_001
	seed := uint64(100)
	narrow := func(n int) device.Buffer {
		seed++
		// the same inputs whatever is stored
		return stored(t, dev, s, rounded(rounded(noise(seed, n), device.Float16), device.BFloat16))
	}
	vector := func(n int) device.Buffer {
		seed++
		return uploaded(t, dev, noise(seed, n))
	}
	out := map[string][]float64{}
	keep := func(name string, b ...device.Buffer) {
		for i, x := range b {
			out[fmt.Sprintf("%s %d", name, i)] = downloaded(t, dev, x)
			dev.Free(x)
		}
	}
	x, y, w, o := narrow(T*D), narrow(T*D), vector(D), narrow(T*D)
	dev.RMSNormGradX(o, x, w, y, T, D, 1e-5)
	keep("rmsnorm grad x", o)
	dw := vector(D)
	dev.RMSNormGradW(dw, x, y, T, D, 1e-5)
	keep("rmsnorm grad w", dw)
	sum := vector(D)
	dev.SumRows(sum, x, T, D)
	keep("sum of rows", sum)
	dev.RMSNorm(x, x, w, T, D, 1e-5)
	pos := make([]int32, T)
	for i := range pos {
		pos[i] = int32(i * 2011)
	}
	dev.Rotary(y, y, indices(t, dev, pos), vector(64), T, heads, 128, 64, 1, true)
	m, dm := vector(64), vector(64)
	dev.BlockMulGradM(dm, x, y, T, D)
	o = narrow(T * D)
	dev.BlockMul(o, x, m, T, D, true)
	keep("block mul", o, dm)
	up, gate, dup := narrow(T*F), narrow(T*F), narrow(T*F)
	dev.SwiGLUGrad(gate, dup, gate, up, dup)
	wide := narrow(F * D)
	product := narrow(T * D)
	dev.MatMul(product, up, wide, T, D, F, false, false, true)
	keep("product", product)
	exact := vector(D * D)
	dev.MatMul(exact, x, y, D, D, T, true, false, false)
	keep("product in float32", exact)
	codes, err := dev.Alloc(device.Int8, F*D)
	if err != nil {
		t.Fatal(err)
	}
	scale := vector(F)
	dev.QuantizeRows(codes, scale, wide, F, D)
	dev.Scale(x.Slice(777, 778), x.Slice(777, 778), 40) // an outlier beside those that are
	z, dz := narrow(T*F), narrow(T*D)
	dev.MatMulInt8(z, x, codes, scale, T, F, D, 3.5)
	dev.Scale(z, z, 1e-3) // half precision ends at 65504
	dev.MatMulInt8Grad(dz, nil, z, codes, scale, T, F, D)
	keep("int8", z, dz)
	few := narrow(3 * F)
	dev.MatMulInt8(few, x, codes, scale, 3, F, D, 3.5)
	keep("int8 of few rows", few)
	keep("swiglu grad", gate, dup)
	keep("rmsnorm and rotary", x, y)
	const width = 64
	h, words, dh, dwords, nll := narrow(T*width), narrow(V*width), narrow(T*width), narrow(V*width), vector(T)
	dev.Scale(words, words, 0.5)
	labels := make([]int32, T)
	for i := range labels {
		labels[i] = int32(i*2111%V - 300)
	}
	l := indices(t, dev, labels)
	dev.CrossEntropy(nll, h, words, l, T, width, V)
	dev.CrossEntropyGrad(dh, dwords, h, words, l, vector(T), T, width, V)
	keep("cross-entropy", nll, dh, dwords)
	return out
}

func TestLargerShapesInNarrowTypesAgreeWithFloat32(t *testing.T) {
	dev := open(t, cuda.Options{})
	defer closeDevice(t, dev)
	want := large(t, dev, device.Float)
	for storage, unit := range narrowTypes {
		got := large(t, dev, storage)
		for name, x := range want {
			e := distance(got[name], x)
			t.Logf("%v: %s: %.2g", storage, name, e)
			// int8 codes of inputs that were rounded differ by a step of 1/127
			if bound := 2*unit + 0.02*float64(strings.Count(name, "int8")); !(e < bound) {
				t.Errorf("%v: %s is %g from float32, want at most %g", storage, name, e, bound)
			}
		}
	}
}

// Most probabilities are far below what half precision holds once they are multiplied by dnll; together
// they are half of the gradient.
func TestSmallProbabilitiesCountInHalfPrecision(t *testing.T) {
	dev := open(t, cuda.Options{})
	defer closeDevice(t, dev)
	const T, D, V = 8, 16, 30_000
	words, labels := rounded(noise(31, V*D), device.Float16), make([]int32, T)
	for i := range words {
		words[i] = rounded([]float32{words[i]/16 + 1}, device.Float16)[0]
	}
	dnll := make([]float32, T)
	for i := range dnll {
		labels[i], dnll[i] = int32(i*1000), 1e-3
	}
	run := func(s device.DType) [2][]float64 {
		h, w := stored(t, dev, s, rounded(noise(32, T*D), device.Float16)), stored(t, dev, s, words)
		dh, dw := stored(t, dev, s, noise(33, T*D)), stored(t, dev, s, noise(34, V*D))
		dev.CrossEntropyGrad(dh, dw, h, w, indices(t, dev, labels), uploaded(t, dev, dnll), T, D, V)
		return [2][]float64{downloaded(t, dev, dh), downloaded(t, dev, dw)}
	}
	got, want := run(device.Float16), run(device.Float)
	for i := range want {
		if e := distance(got[i], want[i]); !(e < 5e-3) {
			t.Errorf("result %d is %g from float32", i, e)
		}
	}
}

func TestTheScratchOfALargeVocabularyIsBounded(t *testing.T) {
	const T, D, V = 2048, 3584, 152_064
	for name, words := range map[string]bool{"loss and dh": false, "loss, dh and dw": true} {
		t.Run(name, func(t *testing.T) {
			dev := open(t, cuda.Options{})
			defer closeDevice(t, dev)
			zeros := func(n int) device.Buffer {
				b, err := dev.Alloc(device.BFloat16, n)
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			h, w, dh, nll, l := zeros(T*D), zeros(V*D), zeros(T*D), uploaded(t, dev, make([]float32, T)), indices(t, dev, make([]int32, T))
			var dw device.Buffer
			if words {
				dw = zeros(V * D)
			}
			before, _ := dev.(*cuda.Device).MemoryInUse()
			dev.CrossEntropyGrad(dh, dw, h, w, l, nll, T, D, V)
			if err := dev.Sync(); err != nil {
				t.Fatal(err)
			}
			after, _ := dev.(*cuda.Device).MemoryInUse()
			if used := after - before; used <= 0 || used > 256<<20 {
				t.Errorf("%d MiB of scratch", used>>20)
			}
		})
	}
}

func TestLogitsFitASmallMemoryLimit(t *testing.T) {
	dev := open(t, cuda.Options{MemoryLimit: 256 << 20})
	defer closeDevice(t, dev)
	const T, D, V = 2048, 8, 152_064
	h, w, dh := stored(t, dev, device.BFloat16, noise(1, T*D)), stored(t, dev, device.BFloat16, noise(2, V*D)), stored(t, dev, device.BFloat16, noise(3, T*D))
	labels := make([]int32, T)
	l, nll := indices(t, dev, labels), uploaded(t, dev, noise(4, T))
	dev.CrossEntropy(nll, h, w, l, T, D, V)
	dev.CrossEntropyGrad(dh, w, h, stored(t, dev, device.BFloat16, noise(5, V*D)), l, nll, T, D, V)
	if err := dev.Sync(); err != nil {
		t.Error(err)
	}
}
