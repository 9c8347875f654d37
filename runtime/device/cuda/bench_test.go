package cuda_test

import (
	"context"
	"math"
	"testing"

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
	b.ReportMetric(work*float64(b.N)/b.Elapsed().Seconds(), unit)
}

func BenchmarkMatMul(b *testing.B) {
	const n = 4096
	for name, p := range map[string]cuda.Precision{"float32": cuda.Float32, "tf32": cuda.TF32, "bfloat16": cuda.BFloat16} {
		b.Run(name, func(b *testing.B) {
			dev := open(b, cuda.Options{Precision: p})
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
	for name, p := range map[string]cuda.Precision{"float32": cuda.Float32, "bfloat16": cuda.BFloat16} {
		b.Run(name, func(b *testing.B) {
			dev := open(b, cuda.Options{Precision: p})
			defer closeDevice(b, dev)
			benchmarkAttention(b, dev)
		})
	}
}

func benchmarkAttention(b *testing.B, dev device.Device) {
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
