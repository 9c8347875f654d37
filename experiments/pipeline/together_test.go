package pipeline

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments/config"
	"triality/runtime/device"
)

func TestDevicesShareAFineTuningAndItsKeyTells(t *testing.T) {
	dir := inPair(t)
	alone, _, _ := strings.Cut(pair, "  - {name: high")
	shared := []string{"devices=1", "low.training.gradient_accumulation_steps=2", "low.training.per_device_train_batch_size=4", "low.training.devices=2"}
	first, _ := runPair(t, parsed(t, alone, append(shared, "output_dir=first")...), nil)
	again, _ := runPair(t, parsed(t, alone, append(shared, "output_dir=again")...), nil)
	if statuses(first) != "convert finished, finetune finished" {
		t.Fatal(statuses(first))
	}
	a, b := weights(t, filepath.Join(dir, "first")), weights(t, filepath.Join(dir, "again"))
	if len(a) != 2 || !maps.Equal(a, b) {
		t.Errorf("weights of two runs differ: %v and %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	}
	r, _ := newRunner(t)
	one, err := r.Plan(t.Context(), parsed(t, alone, append(shared, "low.training.devices=1")...))
	if err != nil {
		t.Fatal(err)
	}
	if key := first.Steps[1].Key; key != again.Steps[1].Key || key == one[1].Key {
		t.Errorf("keys of two devices %s and %s, of one %s", key, again.Steps[1].Key, one[1].Key)
	}
}

func TestAnEngineOfOtherDevicesThanATrainingWantsIsRefused(t *testing.T) {
	s := parsed(t, pair, "devices=1")
	devices, _, err := OpenDevices(s.Pipeline, nil, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer devices.Close()
	two, err := devices.Get(0, false, 2)
	if g, ok := two.(device.Group); err != nil || !ok || len(g.Devices()) != 2 {
		t.Fatalf("%T, %v", two, err)
	}
	if one, err := devices.Get(0, false, 1); err != nil || one != devices.First() {
		t.Errorf("work beside the training has %T, %v", one, err)
	}
	if _, err := devices.Get(0, false, 3); err == nil || !strings.Contains(err.Error(), "training.devices: 3 devices") {
		t.Errorf("three of two: %v", err)
	}
	e := &Engine{Device: devices.First()}
	o := FinetuneOptions{Training: config.Default().Training}
	o.Training.Devices = 2
	if err := e.Finetune(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "training.devices: 2 devices") {
		t.Errorf("two on one: %v", err)
	}
}
