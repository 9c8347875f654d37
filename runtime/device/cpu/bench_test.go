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
