package cpu_test

import (
	"fmt"
	"testing"
	"time"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
)

// The shapes are square ones and those of a transformer of width 128: projections forward, with
// respect to the input and to the weights, low-rank adapters, and decoding.
var products = []struct {
	name           string
	m, n, k        int
	transA, transB bool
}{
	{"square 256", 256, 256, 256, false, false},
	{"square 512", 512, 512, 512, false, false},
	{"square 1024", 1024, 1024, 1024, false, false},
	{"square 1024 transB", 1024, 1024, 1024, false, true},
	{"square 1024 transA", 1024, 1024, 1024, true, false},
	{"square 2048", 2048, 2048, 2048, false, false},
	{"up 1024x384x128", 1024, 384, 128, false, true},
	{"down 1024x128x384", 1024, 128, 384, false, true},
	{"qkv 1024x128x128", 1024, 128, 128, false, true},
	{"dx 1024x128x384", 1024, 128, 384, false, false},
	{"dw 384x128x1024", 384, 128, 1024, true, false},
	{"head 512x4096x128", 512, 4096, 128, false, true},
	{"head dh 512x896x8192", 512, 896, 8192, false, false},
	{"head dw 8192x896x512", 8192, 896, 512, true, false},
	{"lora a 1024x16x896", 1024, 16, 896, false, true},
	{"lora b 1024x896x16", 1024, 896, 16, false, true},
	{"lora da 16x896x1024", 16, 896, 1024, true, false},
	{"decode 1x4864x896", 1, 4864, 896, false, true},
	{"decode 8x4864x896", 8, 4864, 896, false, true},
}

func open(b *testing.B, level cpu.SIMD, threads int, sizes ...int) (device.Device, []device.Buffer) {
	b.Helper()
	dev := cpu.New(cpu.Options{SIMD: level, Threads: threads})
	b.Cleanup(func() { _ = dev.Close() })
	var bufs []device.Buffer
	for _, n := range sizes {
		x, err := dev.Alloc(device.Float, n)
		if err != nil {
			b.Fatal(err)
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(i%113)/56 - 1
		}
		if err := dev.Upload(x, v); err != nil {
			b.Fatal(err)
		}
		bufs = append(bufs, x)
	}
	return dev, bufs
}

func BenchmarkMatMul(b *testing.B) {
	for _, level := range []cpu.SIMD{cpu.AVX512, cpu.AVX2, cpu.Portable} {
		name := map[cpu.SIMD]string{cpu.AVX512: "avx512", cpu.AVX2: "avx2", cpu.Portable: "none"}[level]
		for _, threads := range []int{1, 0} {
			for _, p := range products {
				b.Run(fmt.Sprintf("%s/threads=%d/%s", name, threads, p.name), func(b *testing.B) {
					dev, x := open(b, level, threads, p.m*p.n, p.m*p.k, p.k*p.n)
					if dev.Info().SIMD != name {
						b.Skipf("this machine has no %s", name)
					}
					best := time.Hour // other programs on the machine only ever add time
					for b.Loop() {
						start := time.Now()
						dev.MatMul(x[0], x[1], x[2], p.m, p.n, p.k, p.transA, p.transB, false)
						best = min(best, time.Since(start))
					}
					flops := 2 * float64(p.m) * float64(p.n) * float64(p.k)
					b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
					b.ReportMetric(flops/best.Seconds()/1e9, "best-GFLOP/s")
				})
			}
		}
	}
}

// BenchmarkOperations times what a training step of a small transformer is made of, at 1024 tokens
// in four sequences, width 896, and reports the work in the unit that bounds it.
func BenchmarkOperations(b *testing.B) {
	const T, D, heads, kv, dim, V = 1024, 896, 14, 2, 64, 8192
	shape := device.AttentionShape{Queries: T, Keys: T, Heads: heads, KVHeads: kv, HeadDim: dim, Scale: 0.125}
	ints := func(dev device.Device, f func(i int) int32) device.Buffer {
		v := make([]int32, T)
		for i := range v {
			v[i] = f(i)
		}
		x, err := dev.Alloc(device.Int32, T)
		if err != nil {
			b.Fatal(err)
		}
		if err := dev.Upload(x, v); err != nil {
			b.Fatal(err)
		}
		return x
	}
	pairs := float64(T * (T/4 + 1) / 2) // query and key pairs of four causal sequences
	for _, level := range []cpu.SIMD{cpu.AVX512, cpu.AVX2, cpu.Portable} {
		dev, x := open(b, level, 0, T*D, T*D, T*D, T*D, T*D, T*D, T*D, V*D, V*D, T)
		lo := ints(dev, func(i int) int32 { return int32(i / (T / 4) * (T / 4)) })
		hi := ints(dev, func(i int) int32 { return int32(i + 1) })
		dev.Scale(x[7], x[7], 0.02) // logits of a size that softmax sees
		labels := ints(dev, func(i int) int32 { return int32(i * 7 % V) })
		run := func(name string, work float64, unit string, f func()) {
			b.Run(dev.Info().SIMD+"/"+name, func(b *testing.B) {
				best := time.Hour
				for b.Loop() {
					start := time.Now()
					f()
					best = min(best, time.Since(start))
				}
				b.ReportMetric(work/best.Seconds()/1e9, "best-"+unit)
			})
		}
		run("attention", pairs*4*heads*dim, "GFLOP/s", func() { dev.Attention(x[0], x[1], x[2], x[3], lo, hi, shape) })
		run("attention-grad", pairs*10*heads*dim, "GFLOP/s", func() {
			dev.AttentionGrad(x[0], x[4], x[5], x[1], x[2], x[3], lo, hi, x[6], shape)
		})
		run("cross-entropy", 2*T*D*V, "GFLOP/s", func() { dev.CrossEntropy(x[9], x[1], x[7], labels, T, D, V) })
		run("cross-entropy-grad", 6*T*D*V, "GFLOP/s", func() {
			dev.CrossEntropyGrad(x[0], x[8], x[1], x[7], labels, x[9], T, D, V)
		})
		run("rmsnorm", T*D, "Gelement/s", func() { dev.RMSNorm(x[0], x[1], x[2], T, D, 1e-6) })
		run("rmsnorm-grad-x", T*D, "Gelement/s", func() { dev.RMSNormGradX(x[0], x[1], x[2], x[3], T, D, 1e-6) })
		run("rotary", T*D, "Gelement/s", func() { dev.Rotary(x[0], x[1], hi, x[2], T, heads, dim, dim/2, 1, false) })
		run("swiglu", T*D, "Gelement/s", func() { dev.SwiGLU(x[0], x[1], x[2]) })
		run("swiglu-grad", T*D, "Gelement/s", func() { dev.SwiGLUGrad(x[0], x[4], x[1], x[2], x[3]) })
		run("dropout", T*D, "Gelement/s", func() { dev.Dropout(x[0], x[1], hi, 1, 0.1) })
		run("block-mul", T*D, "Gelement/s", func() { dev.BlockMul(x[0], x[1], x[2], T, D, false) })
		run("sum-rows", T*D, "Gelement/s", func() { dev.SumRows(x[9], x[1], T, D) })
		run("add", T*D, "Gelement/s", func() { dev.Add(x[0], x[1], x[2]) })
		run("adamw", T*D, "Gelement/s", func() {
			dev.AdamWStep(x[0], x[1], x[4], x[5], device.AdamW{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: 1})
		})
	}
}
