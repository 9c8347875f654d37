package parity

import (
	"reflect"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/lora"
	"triality/runtime/train"
)

// options are those of the fixture's training runs: one epoch, a record each step.
func (f *fixture) options(seed uint64) train.Options {
	o := train.DefaultOptions()
	o.Epochs, o.BatchSize, o.GradientAccumulation, o.Seed = 1, f.data.BatchSize, f.data.Accumulate, seed
	o.LearningRate, o.WeightDecay, o.WarmupRatio = f.data.Training.LearningRate, f.data.Training.WeightDecay, f.data.Training.WarmupRatio
	o.Scheduler, o.MaxGradNorm, o.LoggingSteps = "cosine", f.data.Training.MaxGradNorm, 1
	o.SaveSteps, o.CheckpointInterval = 0, 0
	return o
}

// arranged puts the examples where the shuffled order of the run visits them as the fixture does. The
// order is found by a run of a task that learns nothing.
func (f *fixture) arranged(t *testing.T) []train.Example {
	t.Helper()
	examples := f.data.examples()
	var order []int
	dev := newDevice(t)
	task := train.Task{
		Weights: []train.Weight{{Name: "w", Shape: []int{1}, Data: []float32{0}}}, Vocab: f.cfg.VocabSize,
		Build: func(int, bool) (*train.Program, error) {
			g := G.NewGraph()
			w, err := graph.Leaf(g, "w", device.Float, 1)
			if err != nil {
				return nil, err
			}
			cost, err := graph.Dot(w, w)
			return &train.Program{
				Cost: cost, Leaves: map[string]*G.Node{"w": w}, Bind: func(*graph.Machine) error { return nil },
				Feed: func(p *train.Packed, _ *train.Window) ([]train.Input, error) {
					order = append(order, p.Examples...)
					return nil, nil
				},
			}, err
		},
	}
	if _, err := train.Loop(t.Context(), dev, task, examples, nil, t.TempDir(), f.options(3), nil); err != nil {
		t.Fatal(err)
	}
	out := make([]train.Example, len(examples))
	for visit, i := range order {
		out[i] = examples[visit]
	}
	return out
}

// train runs the trainer itself.
func (f *fixture) train(t *testing.T, a *lora.Adapter) *train.LanguageResult {
	t.Helper()
	o := f.options(3)
	o.Adapter = a
	res, err := train.Run(t.Context(), newDevice(t), f.cfg, f.params, f.arranged(t), nil, t.TempDir(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func compareSteps(t *testing.T, res train.Result, want steps) {
	t.Helper()
	if len(want.Loss) != 20 {
		t.Fatalf("the fixture has %d steps", len(want.Loss))
	}
	for name, w := range map[string][]float64{"loss": want.Loss, "grad_norm": want.GradNorm, "learning_rate": want.LearningRate} {
		var got []float64
		for _, r := range res.Records {
			if v, ok := r.Values[name]; ok {
				got = append(got, v)
			}
		}
		if len(got) != len(w) {
			t.Fatalf("%s: %d records, want %d", name, len(got), len(w))
		}
		for i := range w { // each step by itself, not by the largest
			if i > 0 || name != "learning_rate" {
				if d := got[i]/w[i] - 1; !(d < 1e-4 && d > -1e-4) {
					t.Errorf("step %d: %s is %.8g, want %.8g", i+1, name, got[i], w[i])
				}
			}
		}
		closeTo(t, name, got, w, 1e-4)
	}
}

func TestTwentyStepsOfAnAdapterAreThoseOfPeft(t *testing.T) {
	eachAdapter(t, func(t *testing.T, f *fixture) {
		start := f.adapter(t)
		res := f.train(t, start)
		compareSteps(t, res.Result, f.LoraSteps)
		if !reflect.DeepEqual(start, f.adapter(t)) || reflect.DeepEqual(res.Adapter.Modules, start.Modules) {
			t.Error("the adapter that training starts from was changed, or is what it ends with")
		}
		if !start.DoRA { // whose fixture has none
			closeTo(t, "logits after training", logits(t, f.engine(t, f.params, res.Adapter), f.data.Single), f.want(t, "after_training"), 1e-4)
		}
	})
}

func TestTwentyStepsOfTheWholeModelAreThoseOfTransformers(t *testing.T) {
	ran := 0
	eachFamily(t, func(t *testing.T, f *fixture) {
		if f.WholeModelSteps == nil {
			return // the fixture trains only an adapter of this family; the count below holds the others
		}
		ran++
		res := f.train(t, nil)
		compareSteps(t, res.Result, *f.WholeModelSteps)
		closeTo(t, "logits after training", logits(t, f.engine(t, res.Params, nil), f.data.Single), f.want(t, "after_whole_training"), 1e-4)
	})
	if ran < 2 {
		t.Errorf("%d families are trained whole", ran)
	}
}
