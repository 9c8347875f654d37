package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"triality/runtime/device/cpu"
	"triality/runtime/lora"
	"triality/runtime/model"
)

// BenchmarkRun trains the named shape "tiny" (2048 ids) on packed sequences of 128 tokens, eight to a
// micro-batch, and prints one JSON line with tokens per second.
func BenchmarkRun(b *testing.B) {
	for name, c := range map[string]*lora.Config{"whole model": nil, "lora": {R: 8, Alpha: 16, TargetModules: []string{lora.AllLinear}}} {
		b.Run(name, func(b *testing.B) {
			cfg, err := model.Shapes()[0].Config("llama", 2048)
			if err != nil {
				b.Fatal(err)
			}
			p, err := model.Init(cfg, 1)
			if err != nil {
				b.Fatal(err)
			}
			var set []Example
			for i := range 8 {
				ids := make([]int32, 128)
				for k := range ids {
					ids[k] = int32((i*131 + k*k) % 2048)
				}
				set = append(set, Example{IDs: ids, Labels: ids})
			}
			dev := cpu.New(cpu.Options{})
			defer dev.Close()
			opt := DefaultOptions()
			opt.LoRA, opt.MaxSteps, opt.LoggingSteps, opt.CheckpointInterval, opt.SaveSteps = c, max(b.N, 2), 1, 0, 0
			b.ResetTimer()
			res, err := Run(context.Background(), dev, cfg, p, set, nil, b.TempDir(), opt, nil)
			if err != nil {
				b.Fatal(err)
			}
			best := math.Inf(-1) // the first step compiles the graph
			for _, r := range res.Records[1:] {
				best = max(best, r.Timing["tokens_per_second"])
			}
			line, err := json.Marshal(map[string]any{"benchmark": "train.Run", "case": name, "tokens_per_second": math.Round(best), "device": dev.Info()})
			if err != nil {
				b.Fatal(err)
			}
			os.Stdout.Write(append(line, '\n'))
			b.ReportMetric(best, "tokens/s")
		})
	}
}
