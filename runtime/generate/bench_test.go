package generate

import (
	"fmt"
	"testing"

	"triality/runtime/device/cpu"
	"triality/runtime/model"
)

// small is an engine over a model of a named shape, on the cpu.
func small(b *testing.B, shape model.NamedShape, vocab int) *Engine {
	b.Helper()
	cfg, err := shape.Config("llama", vocab)
	if err != nil {
		b.Fatal(err)
	}
	p, err := model.Init(cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	dev := cpu.New(cpu.Options{})
	d, err := model.Upload(dev, cfg, p)
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(dev, cfg, d, model.Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close(); d.Close(); dev.Close() })
	return e
}

// BenchmarkTexts makes eight texts of 64 tokens after prompts of 32, one by one and together.
func BenchmarkTexts(b *testing.B) {
	for _, shape := range model.Shapes()[2:] {
		e := small(b, shape, 4096)
		requests := make([]Request, 8)
		for i := range requests {
			requests[i] = Request{Prompt: tokens(32, i), MaxNew: 64}
		}
		b.Run(shape.Name+"/one by one", func(b *testing.B) {
			for b.Loop() {
				for _, r := range requests {
					if _, err := e.Generate(b.Context(), r); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(8*64*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
		for _, n := range []int{1, 2, 4, 8} {
			b.Run(fmt.Sprintf("%s/%d at once", shape.Name, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := e.GenerateBatch(b.Context(), requests, n); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(8*64*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

// BenchmarkLabels scores four labels after 16 prompts of 60 tokens, 30 of them the same.
func BenchmarkLabels(b *testing.B) {
	labels := [][]int32{tokens(2, 1), tokens(4, 2), tokens(2, 3), tokens(3, 4)}
	for _, shape := range model.Shapes()[2:] {
		e := small(b, shape, 4096)
		prompts := make([][]int32, 16)
		for i := range prompts {
			prompts[i] = append(tokens(30, 1), tokens(30, 2+i)...)
		}
		rate := func(b *testing.B) { b.ReportMetric(float64(16*b.N)/b.Elapsed().Seconds(), "prompts/s") }
		b.Run(shape.Name+"/one by one", func(b *testing.B) {
			for b.Loop() {
				for _, p := range prompts {
					if _, err := e.Score(b.Context(), p, labels); err != nil {
						b.Fatal(err)
					}
				}
			}
			rate(b)
		})
		b.Run(shape.Name+"/one by one, prefix kept", func(b *testing.B) {
			if err := e.Keep(b.Context(), prompts[0][:30]); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				for i := range prompts {
					if _, err := e.ScoreBatch(b.Context(), prompts[i:i+1], labels); err != nil {
						b.Fatal(err)
					}
				}
			}
			rate(b)
		})
		b.Run(shape.Name+"/together", func(b *testing.B) {
			for b.Loop() {
				if _, err := e.ScoreBatch(b.Context(), prompts, labels); err != nil {
					b.Fatal(err)
				}
			}
			rate(b)
		})
	}
}
