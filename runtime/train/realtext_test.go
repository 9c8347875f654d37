package train_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/cuda"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/realdata"
	"triality/runtime/tokenizer"
	"triality/runtime/train"
)

// requests are real ones as the tokenizer of stories260K cuts them, at most 96 tokens of each.
func requests(t *testing.T, folder string) (set []train.Example) {
	t.Helper()
	tok, err := tokenizer.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	folders := realdata.Paths(t, "data/xsafety")
	if len(folders) < 2 {
		t.Skip("needs the whole data: 300 steps know the extract by heart, where small losses differ by much")
	}
	f, err := os.Open(filepath.Join(folders[1], "four_class_xsafety_en.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var row struct {
			Input string `json:"input"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		ids := tok.Encode(row.Input, true)
		e := train.Example{IDs: make([]int32, min(96, len(ids)))}
		for i := range e.IDs {
			e.IDs[i] = int32(ids[i])
		}
		e.Labels = e.IDs
		set = append(set, e)
	}
	return set
}

// lessons trains an adapter of stories260K on real requests for 300 steps: the mean loss of the last 50.
func lessons(t *testing.T, dev device.Device, st model.Storage) (first, last float64) {
	t.Helper()
	folder := realdata.Path(t, "models/stories260K")
	cfg, err := model.LoadConfig(folder)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.LoadParams(folder, cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := train.DefaultOptions()
	o.LoRA = &lora.Config{R: 8, Alpha: 16, TargetModules: []string{lora.AllLinear}}
	o.MaxSteps, o.BatchSize, o.GradientAccumulation, o.LearningRate, o.Scheduler = 300, 4, 1, 2e-3, "constant"
	o.LoggingSteps, o.CheckpointInterval, o.SaveSteps, o.Storage = 1, 0, 0, st
	result, err := train.Run(context.Background(), dev, cfg, p, requests(t, folder), nil, t.TempDir(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := result.Records
	if len(r) < 300 {
		t.Fatalf("%d records", len(r))
	}
	for i := range 50 {
		first += r[i].Values["loss"] / 50
		last += r[len(r)-1-i].Values["loss"] / 50
	}
	return first, last
}

func sameLosses(t *testing.T, dev device.Device, plain, fp8 model.Storage) {
	t.Helper()
	first, want := lessons(t, dev, plain)
	_, got := lessons(t, dev, fp8)
	t.Logf("the loss goes from %.4f to %.4f, in fp8 to %.4f (%+.2f %%)", first, want, got, 100*(got/want-1))
	if !(want < 0.9*first) {
		t.Errorf("the loss goes from %g to %g: nothing is learnt", first, want)
	}
	if !(math.Abs(got/want-1) < 0.01) {
		t.Errorf("the loss in fp8 is %g, else %g", got, want)
	}
}

func TestRealTextIsLearntInFP8AsInFull(t *testing.T) {
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	sameLosses(t, dev, model.Storage{}, model.Storage{FP8: true})
}

func TestRealTextIsLearntInFP8AsInBFloat16OnACard(t *testing.T) {
	dev, err := cuda.Open(cuda.Options{})
	if errors.Is(err, cuda.ErrNoDriver) || errors.Is(err, cuda.ErrNoDevice) || errors.Is(err, cuda.ErrNoBLAS) || errors.Is(err, cuda.ErrOldDevice) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	sameLosses(t, dev, model.Storage{Matrices: device.BFloat16}, model.Storage{Matrices: device.BFloat16, FP8: true})
}
