package pipeline

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"triality/experiments"
	"triality/runtime/train"
)

// taken is a sink that keeps the names of series, and fails with each of its errors in turn.
type taken struct {
	listener
	series []string
	fails  []error
}

func (s *taken) Metrics(batch experiments.MetricBatch) (err error) {
	s.series = append(s.series, slices.Sorted(maps.Keys(batch))...)
	if len(s.fails) > 0 {
		err, s.fails = s.fails[0], s.fails[1:]
	}
	return err
}

func TestAQuantityHasItsSeries(t *testing.T) {
	s := &taken{}
	o := observe(s, "so8t", "so8t_eval")
	for name, want := range map[string]string{
		"loss": "so8t/loss", "eval_loss": "so8t_eval/loss", "learning_rate": "so8t/learning_rate", "layers.2.safe.scale": "so8t/safe_scale/layer_2",
		"layers.11.cmd.scale": "so8t/cmd_scale/layer_11", "layers.0.orthogonality_error": "so8t/orthogonality/layer_0", "layers.1.determinant": "so8t/determinant/layer_1",
		"layers.3.commutator_norm": "so8t/commutator/layer_3", "layers.x.scale": "so8t/layers.x.scale",
	} {
		if got := o.series(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	o.log(train.Record{Values: map[string]float64{"loss": 1}, Timing: map[string]float64{"seconds": 1}})
	o.log(train.Record{Values: map[string]float64{"eval_loss": 1}, Timing: map[string]float64{"seconds": 1}})
	if want := []string{"so8t/loss", "so8t/seconds", "so8t_eval/loss", "so8t_eval/seconds"}; !slices.Equal(s.series, want) {
		t.Errorf("%q, want %q", s.series, want)
	}
}

func TestWhatHappensToATrainingIsNoted(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(o *trainObserver)
		want []string
	}{
		{"a new one", func(o *trainObserver) { o.Start(train.Start{TotalSteps: 9}) }, nil},
		{"one that goes on", func(o *trainObserver) { o.Start(train.Start{TotalSteps: 9, ResumedFrom: 1}) }, []string{"resumed from the checkpoint of step 1 of 9"}},
		{"a checkpoint", func(o *trainObserver) { o.Checkpoint(train.CheckpointEvent{Action: train.Written}) }, nil},
		{"a damaged one", func(o *trainObserver) {
			o.Checkpoint(train.CheckpointEvent{Action: train.Rejected, Path: "a.ckpt", Reason: "its checksum is wrong"})
		}, []string{"checkpoint a.ckpt is damaged (its checksum is wrong); the one before it is used"}},
	} {
		s := &taken{}
		tt.do(observe(s, "train", "eval"))
		if !slices.Equal(s.notes, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, s.notes, tt.want)
		}
	}
}

func TestTheFirstErrorOfATrainingsFiguresIsKept(t *testing.T) {
	first := errors.New("the disk is full")
	s := &taken{fails: []error{nil, first, errors.New("another"), nil}}
	o := observe(s, "train", "eval")
	for i, want := range []error{nil, first, first, first} {
		if o.Record(train.Record{Step: i}); o.err != want {
			t.Errorf("after record %d: %v, want %v", i, o.err, want)
		}
	}
}
