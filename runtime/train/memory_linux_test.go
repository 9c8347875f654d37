package train

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"testing"

	"triality/runtime/device/cpu"
	"triality/runtime/lora"
	"triality/runtime/memory"
	"triality/runtime/model"
)

// measured is what a process saw that planned a training and then ran it.
type measured struct {
	Held    int64 // before
	Planned int64
	Slack   int64
	Peak    int64
	Shares  string
}

// measuredCases are trainings of a model of 30 M parameters.
var measuredCases = map[string]func(*Options){
	"lora":                func(o *Options) {},
	"lora, rank 256":      func(o *Options) { o.LoRA.R = 256 },
	"selective":           func(o *Options) { o.Recompute = RecomputeSelective },
	"by layers":           func(o *Options) { o.Recompute = RecomputeLayer },
	"dora with dropout":   func(o *Options) { o.LoRA.DoRA, o.LoRA.Dropout = true, 0.1 },
	"int8":                func(o *Options) { o.Storage = model.Storage{Int8: true, Threshold: 6} },
	"every weight":        func(o *Options) { o.LoRA = nil },
	"every weight, paged": func(o *Options) { o.LoRA, o.Optimizer = nil, PagedAdamW8bit },
	"large evaluation":    func(o *Options) { o.BatchSize, o.EvalBatchSize, o.Recompute = 1, 3, RecomputeLayer },
}

const measureEnv = "TRIALITY_MEASURE_TRAINING"

func TestMain(m *testing.M) {
	if name := os.Getenv(measureEnv); name != "" {
		if err := measure(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// measure plans a training, runs it in this process and prints what was measured.
func measure(name string) error {
	cfg := model.Config{
		ModelType: "llama", VocabSize: 8192, HiddenSize: 512, IntermediateSize: 1536, Layers: 6, Heads: 8, KVHeads: 8, HeadDim: 64,
		MaxPositions: 1024, RMSNormEps: 1e-6, RopeTheta: 1e4, BOS: -1,
	}
	weights, err := model.NewFresh(cfg, 1)
	if err != nil {
		return err
	}
	var set []Example
	for i := range 8 {
		e := Example{IDs: make([]int32, 256-8*i)}
		for j := range e.IDs {
			e.IDs[j] = int32((i*31 + j*7) % cfg.VocabSize)
		}
		e.Labels = e.IDs
		set = append(set, e)
	}
	opt := DefaultOptions()
	opt.MaxSteps, opt.BatchSize, opt.LoggingSteps = 1, 3, 1
	opt.LoRA = &lora.Config{R: 16, Alpha: 32, TargetModules: []string{lora.AllLinear}}
	measuredCases[name](&opt)
	dir, err := os.MkdirTemp("", "triality-memory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	debug.FreeOSMemory()
	var m measured
	m.Held, _ = memory.Held(os.Getpid())
	need, err := PlanMemory(dev, cfg, weights, set, set[:3], opt)
	if err != nil {
		return err
	}
	all := need.Device
	all.Join(need.Host)
	m.Planned, m.Slack, m.Shares = all.Total(), memory.Slack(all.Total()), all.String()
	release := memory.Hold(m.Planned)
	defer release()
	if _, err := Run(context.Background(), dev, cfg, weights, set, set[:3], dir, opt, nil); err != nil {
		return err
	}
	m.Peak = memory.Peak()
	return json.NewEncoder(os.Stdout).Encode(m)
}

func TestThePlannedMemoryIsWhatATrainingTakes(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector keeps memory of its own beside the program's; the task test runs this without it, too")
	}
	names := make([]string, 0, len(measuredCases))
	for name := range measuredCases {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), measureEnv+"="+name)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var m measured
			if err := json.Unmarshal(out, &m); err != nil {
				t.Fatal(err)
			}
			estimate := m.Held + m.Planned + m.Slack
			ratio := float64(estimate) / float64(m.Peak)
			t.Logf("%.2f: held %s, planned %s (%s), peak %s", ratio, memory.Bytes(m.Held), memory.Bytes(m.Planned), m.Shares, memory.Bytes(m.Peak))
			if ratio < 1 || ratio > 1.3 {
				t.Errorf("the estimate of %s is %.2f of the peak of %s", memory.Bytes(estimate), ratio, memory.Bytes(m.Peak))
			}
		})
	}
}
