package cuda_test

import (
	"context"
	"maps"
	"math"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/cuda"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/train"
)

// pupil is a small model and what it learns.
func pupil(t *testing.T) (model.Config, *model.Params, []train.Example) {
	t.Helper()
	config, err := model.Shapes()[0].Config("llama", 512)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := model.Init(config, 1)
	if err != nil {
		t.Fatal(err)
	}
	var set []train.Example
	for i := range 16 {
		ids := make([]int32, 24+i)
		for k := range ids {
			ids[k] = int32((i*131 + k*k) % 512)
		}
		set = append(set, train.Example{IDs: ids, Labels: ids})
	}
	return config, weights, set
}

// pupilOptions are those of an adapter with dropout and accumulation.
func pupilOptions() train.Options {
	o := train.DefaultOptions()
	o.LoRA = &lora.Config{R: 8, Alpha: 16, Dropout: 0.1, TargetModules: []string{lora.AllLinear}}
	o.MaxSteps, o.BatchSize, o.GradientAccumulation, o.LearningRate = 12, 4, 2, 1e-3
	o.LoggingSteps, o.CheckpointInterval, o.SaveSteps = 1, 0, 0
	return o
}

// lesson is a short run: its records.
func lesson(t *testing.T, dev device.Device) []train.Record {
	t.Helper()
	config, weights, set := pupil(t)
	result, err := train.Run(context.Background(), dev, config, weights, set, nil, t.TempDir(), pupilOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return result.Records
}

func TestTrainingFollowsTheCPUAndRepeatsToTheBit(t *testing.T) {
	gpu := open(t, cuda.Options{})
	defer closeDevice(t, gpu)
	host := cpu.New(cpu.Options{})
	defer closeDevice(t, host)
	got, again, want := lesson(t, gpu), lesson(t, gpu), lesson(t, host)
	if len(got) != len(want) || len(got) < 12 {
		t.Fatalf("%d records, on the cpu %d", len(got), len(want))
	}
	worst := 0.0
	for i, r := range got {
		if !maps.Equal(r.Values, again[i].Values) {
			t.Errorf("step %d: %v, in a second run %v", r.Step, r.Values, again[i].Values)
		}
		for name, v := range want[i].Values {
			e := math.Abs(r.Values[name]-v) / max(math.Abs(v), 1e-6)
			worst = max(worst, e)
			if !(e < 1e-4) {
				t.Errorf("step %d: %s is %v, on the cpu %v", r.Step, name, r.Values[name], v)
			}
		}
	}
	t.Logf("first %v, last %v, largest relative difference to the cpu %.2g", got[0].Values, got[len(got)-1].Values, worst)
}
