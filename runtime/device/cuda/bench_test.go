package cuda_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"triality/runtime/device"
	"triality/runtime/device/cuda"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/train"
)

// launchAll runs f b.N times, waits, and reports how much of unit was done a second, work a run.
func launchAll(b *testing.B, dev device.Device, work float64, unit string, f func()) {
	b.Helper()
	f() // the first run finds algorithms and memory
	if err := dev.Sync(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		f()
	}
	if err := dev.Sync(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(work*float64(b.N)/b.Elapsed().Seconds(), unit)
}

func BenchmarkMatMul(b *testing.B) {
	const n = 4096
	for name, tf32 := range map[string]bool{"float32": false, "tf32": true} {
		b.Run(name, func(b *testing.B) {
			dev := open(b, cuda.Options{TF32: tf32})
			defer closeDevice(b, dev)
			x, y, o := uploaded(b, dev, noise(1, n*n)), uploaded(b, dev, noise(2, n*n)), uploaded(b, dev, make([]float32, n*n))
			launchAll(b, dev, 2*n*n*n/1e12, "TFLOP/s", func() { dev.MatMul(o, x, y, n, n, n, false, true, false) })
		})
	}
}

// BenchmarkAttention is causal over one sequence of 2048 tokens, 32 query heads over 8 key heads of
// 128. Operations are counted for the half of the scores that exists: 4 a score and element forward,
// 10 backward, which is what a pass without recomputation needs beside the forward one.
func BenchmarkAttention(b *testing.B) {
	dev := open(b, cuda.Options{})
	defer closeDevice(b, dev)
	const T, heads, keyHeads, dim = 2048, 32, 8, 128
	lo, hi := make([]int32, T), make([]int32, T)
	for i := range hi {
		hi[i] = int32(i + 1)
	}
	l, h := indices(b, dev, lo), indices(b, dev, hi)
	const nq, nk = T * heads * dim, T * keyHeads * dim
	q, k, v, dy := uploaded(b, dev, noise(1, nq)), uploaded(b, dev, noise(2, nk)), uploaded(b, dev, noise(3, nk)), uploaded(b, dev, noise(4, nq))
	o, dq, dk, dv := uploaded(b, dev, noise(5, nq)), uploaded(b, dev, noise(5, nq)), uploaded(b, dev, noise(5, nk)), uploaded(b, dev, noise(5, nk))
	s := device.AttentionShape{Queries: T, Keys: T, Heads: heads, KVHeads: keyHeads, HeadDim: dim, Scale: 1 / math.Sqrt(dim)}
	pairs := float64(T) * T / 2 * heads * dim / 1e12
	b.Run("forward", func(b *testing.B) {
		launchAll(b, dev, 4*pairs, "TFLOP/s", func() { dev.Attention(o, q, k, v, l, h, s) })
	})
	b.Run("backward", func(b *testing.B) {
		launchAll(b, dev, 10*pairs, "TFLOP/s", func() { dev.AttentionGrad(dq, dk, dv, q, k, v, l, h, dy, s) })
	})
}

func BenchmarkElementwise(b *testing.B) {
	const n = 64 << 20
	dev := open(b, cuda.Options{})
	defer closeDevice(b, dev)
	x, y, o := uploaded(b, dev, noise(1, n)), uploaded(b, dev, noise(2, n)), uploaded(b, dev, make([]float32, n))
	b.Run("add", func(b *testing.B) {
		launchAll(b, dev, 12*n/1e9, "GB/s", func() { dev.Add(o, x, y) })
	})
	b.Run("rmsnorm", func(b *testing.B) {
		launchAll(b, dev, 8*n/1e9, "GB/s", func() { dev.RMSNorm(o, x, y, n/4096, 4096, 1e-5) })
	})
}

// BenchmarkNarrow is what a layer and the head of a model of seven billion parameters do to 2048 tokens
// in bfloat16. Bytes are those that must be read and written at least.
func BenchmarkNarrow(b *testing.B) {
	const T, D, F, V = 2048, 3584, 18_944, 152_064
	dev := open(b, cuda.Options{})
	defer closeDevice(b, dev)
	alloc := func(t device.DType, n int) device.Buffer {
		x, err := dev.Alloc(t, n)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { dev.Free(x) })
		return x
	}
	half := func(n int) device.Buffer {
		x := alloc(device.BFloat16, n)
		once := noise(7, min(n, 1<<20+8))
		if err := dev.Upload(x.Slice(0, len(once)), once); err != nil {
			b.Fatal(err)
		}
		for from := len(once); from < n; from += len(once) {
			part := x.Slice(from, min(n, from+len(once)))
			dev.Copy(part, x.Slice(0, part.Len()))
		}
		return x
	}
	bytes := func(name string, n float64, f func()) {
		b.Run(name, func(b *testing.B) { launchAll(b, dev, n/1e9, "GB/s", f) })
	}
	operations := func(name string, n float64, f func()) {
		b.Run(name, func(b *testing.B) { launchAll(b, dev, n/1e12, "TFLOP/s", f) })
	}
	x, y, o, w := half(T*D), half(T*D), half(T*D), alloc(device.Float, F)
	wx, wy, wo, wu, wv := half(T*F), half(T*F), half(T*F), half(T*F), half(T*F)
	dev.Fill(w, 1)
	pos := make([]int32, T)
	for i := range pos {
		pos[i] = int32(i)
	}
	p := indices(b, dev, pos)
	bytes("add", 6*T*F, func() { dev.Add(wo, wx, wy) })
	single := alloc(device.Float, T*F)
	bytes("copy to float32", 6*T*F, func() { dev.Copy(single, wx) })
	bytes("rmsnorm", 4*T*D, func() { dev.RMSNorm(o, x, w, T, D, 1e-5) })
	bytes("rmsnorm grad x", 6*T*D, func() { dev.RMSNormGradX(o, x, w, y, T, D, 1e-5) })
	bytes("rmsnorm grad w", 4*T*D, func() { dev.RMSNormGradW(w, x, y, T, D, 1e-5) })
	bytes("swiglu", 6*T*F, func() { dev.SwiGLU(wo, wx, wy) })
	bytes("swiglu grad", 10*T*F, func() { dev.SwiGLUGrad(wo, wu, wx, wy, wv) })
	bytes("dropout", 4*T*D, func() { dev.Dropout(o, x, p, 1, 0.1) })
	bytes("rotary", 4*T*D, func() { dev.Rotary(o, x, p, w, T, D/128, 128, 64, 1, false) })
	bytes("block mul", 4*T*D, func() { dev.BlockMul(o, x, w, T, D, false) })
	bytes("block mul grad m", 4*T*D, func() { dev.BlockMulGradM(w, x, y, T, D) })
	bytes("pet", 2*T*D, func() { dev.PET(w, x, p, T, D) })
	bytes("embedding", 4*T*D, func() { dev.Embedding(o, x, p, T, D) })
	a, c, d := half(4096*4096), half(4096*4096), half(4096*4096)
	operations("matmul", 2*4096*4096*4096, func() { dev.MatMul(d, a, c, 4096, 4096, 4096, false, true, false) })
	codes := alloc(device.Int8, F*D)
	for _, s := range [][2]int{{D, D}, {F, D}, {D, F}} {
		N, K := s[0], s[1]
		in, out, weights := wx.Slice(0, T*K), wo.Slice(0, T*N), half(N*K)
		dev.QuantizeRows(codes, w, weights, N, K)
		name := fmt.Sprintf(" %d by %d", N, K)
		bytes("dequantize"+name, float64(3*N*K), func() { dev.DequantizeRows(weights, codes, w, N, K) })
		for _, threshold := range []float64{0, 6} {
			dev.Scale(in, wy.Slice(0, T*K), 0.5)
			dev.Fill(in.Slice(5, 6), 8) // one outlier column
			operations(fmt.Sprintf("int8 matmul threshold %g%s", threshold, name), float64(2*T*N*K), func() { dev.MatMulInt8(out, in, codes, w, T, N, K, threshold) })
			bytes(fmt.Sprintf("int8 matmul of one row threshold %g%s", threshold, name), float64(N*K), func() { dev.MatMulInt8(out, in, codes, w, 1, N, K, threshold) })
		}
		operations("int8 matmul grad"+name, float64(2*T*N*K), func() { dev.MatMulInt8Grad(in, nil, out, codes, w, T, N, K) })
		operations("matmul"+name, float64(2*T*N*K), func() { dev.MatMul(out, in, weights, T, N, K, false, true, false) })
	}
	words, labels, nll := half(V*D), indices(b, dev, pos), alloc(device.Float, T)
	operations("cross-entropy", 2*T*D*V, func() { dev.CrossEntropy(nll, x, words, labels, T, D, V) })
	operations("cross-entropy grad without dw", 4*T*D*V, func() { dev.CrossEntropyGrad(o, nil, x, words, labels, nll, T, D, V) })
	dwords := half(V * D)
	operations("cross-entropy grad", 6*T*D*V, func() { dev.CrossEntropyGrad(o, dwords, x, words, labels, nll, T, D, V) })
	const n = 64 << 20
	params, g := alloc(device.Float, n), alloc(device.Float, n)
	m, v, mm, vm := alloc(device.Int8, n), alloc(device.Int8, n), alloc(device.Float, n/256), alloc(device.Float, n/256)
	bytes("8-bit adamw", 16*n, func() {
		dev.AdamW8Step(params, g, m, v, mm, vm, device.AdamW{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Step: 1})
	})
}

// BenchmarkInt8 measures int8 products over 8,192 rows beside bfloat16's of the same sizes, forward and
// for the gradient, with outliers of the threshold 6 in no column up to all of them.
func BenchmarkInt8(b *testing.B) {
	const T, D, F = 8192, 3584, 18_944
	dev := open(b, cuda.Options{})
	defer closeDevice(b, dev)
	once := noise(7, 1<<20+8)
	filled := func(n int) device.Buffer {
		x, err := dev.Alloc(device.BFloat16, n)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { dev.Free(x) })
		for from := 0; from < n; from += len(once) {
			if err := dev.Upload(x.Slice(from, min(n, from+len(once))), once[:min(len(once), n-from)]); err != nil {
				b.Fatal(err)
			}
		}
		return x
	}
	milliseconds := func(f func()) float64 {
		f()
		_ = dev.Sync()
		start := time.Now()
		for range 10 {
			f()
		}
		if err := dev.Sync(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start).Seconds() * 100
	}
	for _, s := range [][2]int{{D, D}, {F, D}, {D, F}} {
		N, K := s[0], s[1]
		weights, out, x, scale := filled(N*K), filled(T*N), filled(T*K), uploaded(b, dev, make([]float32, N))
		codes, err := dev.Alloc(device.Int8, N*K)
		if err != nil {
			b.Fatal(err)
		}
		dev.QuantizeRows(codes, scale, weights, N, K)
		exact := milliseconds(func() { dev.MatMul(out, x, weights, T, N, K, false, true, false) })
		back := milliseconds(func() { dev.MatMul(x, out, weights, T, K, N, false, false, false) })
		grad := milliseconds(func() { dev.MatMulInt8Grad(x, nil, out, codes, scale, T, N, K) })
		b.Logf("%d by %d: bfloat16 %.3f ms, int8 gradient %.2f of its speed", N, K, exact, back/grad)
		for _, columns := range []int{0, 1, 100, K / 8, K/8 + 1, K} {
			x := filled(T * K)
			for c := range columns {
				at := (c*7%T)*K + c*(K/columns)
				dev.Fill(x.Slice(at, at+1), 60)
			}
			ms := milliseconds(func() { dev.MatMulInt8(out, x, codes, scale, T, N, K, 6) })
			b.Logf("  %d outlier columns: %.3f ms, %.2f of bfloat16's speed", columns, ms, exact/ms)
			dev.Free(x)
		}
		for _, x := range []device.Buffer{weights, out, x, scale, codes} {
			dev.Free(x)
		}
	}
}

// BenchmarkAdaptedSwiGLU is a layer's SwiGLU of a model of seven billion parameters with what adapters add to it, and
// what is beside it: the same without, and a sum with one adapter's product as a pass of its own.
func BenchmarkAdaptedSwiGLU(b *testing.B) {
	dev := open(b, cuda.Options{})
	defer closeDevice(b, dev)
	const T, N, R = 8192, 18944, 64
	buf := func(n int) device.Buffer {
		x, err := dev.Alloc(device.BFloat16, n)
		if err != nil {
			b.Fatal(err)
		}
		part := noise(uint64(n), min(n, 1<<20))
		for at := 0; at < n; at += len(part) {
			m := min(len(part), n-at)
			if err := dev.Upload(x.Slice(at, at+m), part[:m]); err != nil {
				b.Fatal(err)
			}
		}
		return x
	}
	g, u, y, o, p := buf(T*N), buf(T*N), buf(T*N), buf(T*N), buf(T*N)
	l := device.LowRank{A: buf(T * R), B: buf(N * R), S: 0.01}
	turned := l
	turned.Turned = true
	adapted := dev.(device.AdaptedSwiGLU)
	for name, f := range map[string]func(){
		"swiglu":              func() { dev.SwiGLU(o, g, u) },
		"swiglu grad":         func() { dev.SwiGLUGrad(o, p, g, u, y) },
		"sum with a product":  func() { dev.(device.ProductSum).MatMulAdd(o, g, l.A, l.B, T, N, R, false, true, 0.01) },
		"adapted swiglu":      func() { adapted.SwiGLUAdapted(o, g, u, l, l, T, N, R) },
		"adapted swiglu grad": func() { adapted.SwiGLUGradAdapted(o, p, g, u, y, l, l, turned, T, N, R) },
	} {
		f()
		_ = dev.Sync()
		start := time.Now()
		for range 30 {
			f()
		}
		if err := dev.Sync(); err != nil {
			b.Fatal(name, err)
		}
		b.Logf("%s: %.4f ms", name, time.Since(start).Seconds()*1000/30)
	}
}

// BenchmarkTrain trains the named shapes on packed sequences of 128 tokens, eight to a micro-batch.
func BenchmarkTrain(b *testing.B) {
	for _, shape := range model.Shapes() {
		if shape.Name != "tiny" && shape.Name != "small" {
			continue
		}
		for name, adapter := range map[string]*lora.Config{"whole": nil, "lora": {R: 8, Alpha: 16, TargetModules: []string{lora.AllLinear}}} {
			b.Run(shape.Name+"/"+name, func(b *testing.B) {
				dev := open(b, cuda.Options{})
				defer closeDevice(b, dev)
				config, err := shape.Config("llama", 2048)
				if err != nil {
					b.Fatal(err)
				}
				weights, err := model.Init(config, 1)
				if err != nil {
					b.Fatal(err)
				}
				var set []train.Example
				for i := range 8 {
					ids := make([]int32, 128)
					for k := range ids {
						ids[k] = int32((i*131 + k*k) % 2048)
					}
					set = append(set, train.Example{IDs: ids, Labels: ids})
				}
				o := train.DefaultOptions()
				o.LoRA, o.MaxSteps, o.LoggingSteps, o.CheckpointInterval, o.SaveSteps = adapter, max(b.N, 10), 1, 0, 0
				b.ResetTimer()
				result, err := train.Run(context.Background(), dev, config, weights, set, nil, b.TempDir(), o, nil)
				if err != nil {
					b.Fatal(err)
				}
				best := math.Inf(-1) // the first step compiles the graph
				for _, r := range result.Records[1:] {
					best = max(best, r.Timing["tokens_per_second"])
				}
				b.ReportMetric(best, "tokens/s")
			})
		}
	}
}
