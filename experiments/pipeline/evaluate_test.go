package pipeline

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/device"
)

// crowded is a device with room for so many elements.
type crowded struct {
	device.Device
	room, used, most int
}

func (d *crowded) Alloc(t device.DType, n int) (device.Buffer, error) {
	if d.used+n > d.room {
		return nil, fmt.Errorf("%d elements more: %w", n, device.ErrOutOfMemory)
	}
	b, err := d.Device.Alloc(t, n)
	if err == nil {
		d.used += n
		d.most = max(d.most, d.used)
	}
	return b, err
}

func (d *crowded) Free(b device.Buffer) {
	d.used -= b.Len()
	d.Device.Free(b)
}

func TestModelsThatDoNotFitTogetherAnswerOneAfterTheOther(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	models, err := filepath.Glob(filepath.Join(dir, "work", "replace", "*", "model"))
	if err != nil || len(models) != 1 {
		t.Fatal(models, err)
	}
	dev := &crowded{Device: r.Engine.Device, room: 1 << 40}
	engine := &Engine{Device: dev, Sandbox: r.Engine.Sandbox}
	test := func(sink Sink) *experiments.ABResult {
		t.Helper()
		dev.most = 0
		result, err := engine.ABTest(t.Context(), ABTestOptions{
			ModelA: firstBase(t, dir), ModelB: models[0], TestData: filepath.Join(dir, "rows.jsonl"), OutDir: t.TempDir(),
			Format: "instruction", MaxLength: 96, Test: config.Test{Warmup: 1, Resamples: 100}, Seed: 7,
			Modules: []Module{{Name: "good", SHA256: "g", Wasm: metrictest.Good("good", 1)}, {Name: "bad", SHA256: "b", Wasm: []byte("no module")}},
		}, sink)
		if err != nil {
			t.Fatal(err)
		}
		if dev.used != 0 {
			t.Errorf("%d elements are left on the device", dev.used)
		}
		return result
	}
	together := test(&notes{})
	dev.room = dev.most * 3 / 4
	var said notes
	apart := test(&said)
	if !strings.Contains(strings.Join(said.text, "\n"), "one after the other") || apart.Environment["arms"] == "" || together.Environment["arms"] != "" {
		t.Errorf("said %q; environments %v and %v", said.text, together.Environment, apart.Environment)
	}
	for i, name := range []string{"A", "B"} {
		if arm := apart.Arms[i]; arm.Name != name || (arm.Heads != nil) != (name == "B") {
			t.Errorf("arm %d: %+v", i, arm)
		}
	}
	failed := slices.DeleteFunc(slices.Clone(said.text), func(text string) bool { return !strings.HasPrefix(text, "metric ") })
	if len(failed) != 1 || !strings.HasPrefix(failed[0], "metric bad: ") {
		t.Errorf("said of the metrics: %q", failed)
	}
	for i, s := range apart.Samples {
		if want := together.Samples[i]; s.PredictionA != want.PredictionA || s.PredictionB != want.PredictionB || !slices.Equal(s.ProbabilityB, want.ProbabilityB) {
			t.Errorf("row %d: %+v, together %+v", i, s, want)
		}
	}
	dev.room = dev.most / 3
	if _, err := engine.ABTest(t.Context(), ABTestOptions{ModelA: firstBase(t, dir), ModelB: models[0], TestData: filepath.Join(dir, "rows.jsonl"),
		OutDir: t.TempDir(), Format: "instruction", MaxLength: 96, Test: config.Test{Resamples: 100}}, &notes{}); err == nil {
		t.Error("a third of the room was enough")
	}
}

// notes is a sink that keeps what it is told.
type notes struct{ text []string }

func (n *notes) Progress(experiments.Progress)         {}
func (n *notes) Metrics(experiments.MetricBatch) error { return nil }
func (n *notes) Note(text string)                      { n.text = append(n.text, text) }
