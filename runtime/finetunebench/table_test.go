package finetunebench

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/model"
	"triality/runtime/train"
)

func TestARowThatFailsLeavesTheOthersTheirs(t *testing.T) {
	row := func(name string, limit int64) Row {
		return Row{Name: name, Limit: limit, Peers: []Peer{{}}, Options: Options{Shape: Shapes[len(Shapes)-1], R: 4, Sequence: 32, MicroBatch: 1,
			Accumulation: 1, LearningRate: 1e-3, Optimizer: train.AdamW, Recompute: train.RecomputeNone, Seed: 1}}
	}
	narrow := row("narrow", 0)
	narrow.Storage = model.Storage{Matrices: device.BFloat16}
	rows := []Row{row("first", 0), row("no room", 7), narrow, row("last", 0)}
	var begun []string
	open := func(limit int64) (device.Device, error) {
		if limit != 0 {
			return nil, errors.New("no card of 7 bytes")
		}
		return cpu.New(cpu.Options{}), nil
	}
	lines, err := RunTable(t.Context(), rows, 2, "", open, func(what string) { begun = append(begun, what) })
	if err == nil || !strings.Contains(err.Error(), "2 of 4 rows failed") {
		t.Errorf("the error is %v", err)
	}
	if len(lines) != 4 || !slices.Equal(begun, []string{"first", "no room", "narrow", "last"}) {
		t.Fatalf("%d lines, begun %q", len(lines), begun)
	}
	for _, i := range []int{0, 3} {
		if l := lines[i]; l.Failed != "" || l.Triality == nil || len(l.Triality.Losses) != 2 || len(l.Peers) != 0 {
			t.Errorf("%+v", l)
		}
	}
	if lines[1].Failed != "no card of 7 bytes" || lines[2].Failed == "" || lines[2].Triality != nil {
		t.Errorf("%+v\n%+v", lines[1], lines[2])
	}
}

func TestAPeerThatDoesNotRunIsTheRowsFailure(t *testing.T) {
	row := Row{Name: "row", Peers: []Peer{{Compiled: true}}, Options: Options{Shape: Shapes[len(Shapes)-1], R: 4, Sequence: 32, MicroBatch: 1,
		Accumulation: 1, LearningRate: 1e-3, Optimizer: train.AdamW, Recompute: train.RecomputeNone, Seed: 1}}
	open := func(int64) (device.Device, error) { return cpu.New(cpu.Options{}), nil }
	lines, err := RunTable(t.Context(), []Row{row}, 2, "no-such-python", open, func(string) {})
	if err == nil || len(lines) != 1 || lines[0].Triality == nil || !strings.Contains(lines[0].Failed, "compiled") {
		t.Errorf("%+v, %v", lines, err)
	}
}

func TestEveryRowOfTheTableCanBeTrained(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Table() {
		if seen[r.Name] {
			t.Errorf("two rows are called %s", r.Name)
		}
		seen[r.Name] = true
		r.Shape, r.Storage.Matrices = Shapes[len(Shapes)-1], device.Float
		r.Sequence, r.MicroBatch, r.R, r.Steps = 32, 1, 4, 1
		dev := cpu.New(cpu.Options{})
		if _, err := Run(t.Context(), dev, r.Options); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
}
