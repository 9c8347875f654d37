package so8t

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
	"triality/runtime/model"
	"triality/runtime/realdata"
	"triality/runtime/train"
)

func trainConfig() Config {
	c := DefaultConfig()
	c.Epochs, c.BatchSize, c.GradientAccumulation, c.LearningRate = 2, 3, 2, 0.05
	c.LoggingSteps, c.EvalSteps, c.SaveSteps, c.WeightDecay = 2, 3, 0, 0.01
	return c
}

type stopAfter struct {
	records int
	cancel  func()
	seen    []train.Record
}

func (s *stopAfter) Start(train.Start)                {}
func (s *stopAfter) Checkpoint(train.CheckpointEvent) {}
func (s *stopAfter) Record(r train.Record) {
	s.seen = append(s.seen, r)
	if s.records--; s.records == 0 {
		s.cancel()
	}
}

func values(records []train.Record) (out []train.Record) {
	for _, r := range records {
		r.Timing = nil
		out = append(out, r)
	}
	return out
}

func TestTrainingTeachesTheHeadsTheClasses(t *testing.T) {
	dev := cpu.New(cpu.Options{Threads: 2})
	defer dev.Close()
	cfg, p := plainModel(t, "llama")
	m, err := New(cfg, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := trainConfig()
	c.Epochs, c.BatchSize, c.GradientAccumulation = 12, 16, 1
	set := requests(1, 48)
	out, res, err := Train(t.Context(), dev, m, set, requests(2, 12), t.TempDir(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, last := res.Records[0].Values, func(name string) float64 { v, _ := res.Last(name); return v }
	for _, name := range []string{"loss", "task_loss", "safety_loss", "authority_loss"} {
		if !(last(name) < 0.8*first[name]) {
			t.Errorf("%s: %g → %g", name, first[name], last(name))
		}
	}
	if last("layers.1.safe.orthogonality_error") > 1e-5 || math.Abs(last("layers.1.cmd.determinant")-1) > 1e-5 || last("layers.0.commutator_norm") == 0 || last("eval_pet") == 0 {
		t.Errorf("monitor: %v", res.Records[len(res.Records)-2].Values)
	}
	weighted := last("task_loss") + last("safety_loss") + last("authority_loss") + c.PETLambda*last("pet")
	if math.Abs(weighted-last("loss")) > 1e-5 {
		t.Errorf("the parts make %g, the loss is %g", weighted, last("loss"))
	}
	if m.Layers[0] != identityLayer() || !slices.Equal(m.Safety, make([]float32, len(m.Safety))) {
		t.Error("Train changed its input")
	}
	params, err := out.Upload(dev, model.Storage{})
	if err != nil {
		t.Fatal(err)
	}
	defer params.Close()
	classifier := NewClassifier(dev, cfg, params)
	defer classifier.Close()
	right := 0
	for _, e := range set {
		v, err := classifier.Classify(t.Context(), e.IDs[:e.Prompt])
		if err != nil {
			t.Fatal(err)
		}
		if v.Class() == e.Class {
			right++
		}
	}
	if right < 40 {
		t.Errorf("%d of %d right", right, len(set))
	}
}

func TestSO8TTrainingIsTheSameWhateverItComputesAgain(t *testing.T) {
	dev := cpu.New(cpu.Options{Threads: 2})
	defer dev.Close()
	m, c, set := turned(t, "qwen2", 0.1), trainConfig(), requests(1, 14)
	want, _, err := Train(t.Context(), dev, m, set, nil, t.TempDir(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c.Recompute = range []string{train.RecomputeLayer, train.RecomputeSelective} {
		got, _, err := Train(t.Context(), dev, m, set, nil, t.TempDir(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.extras(), want.extras()) {
			t.Errorf("%s gives other weights", c.Recompute)
		}
	}
	c.Recompute = "some"
	if _, _, err := Train(t.Context(), dev, m, set, nil, t.TempDir(), c, nil); err == nil {
		t.Error("an unknown way was taken")
	}
}

func TestSO8TTrainingCutAnywhereEndsAsOneThatWasNot(t *testing.T) {
	eachDevice(t, func(t *testing.T, dev device.Device) {
		m := turned(t, "qwen2", 0.1)
		c, set, eval := trainConfig(), requests(1, 14), requests(2, 4)
		want, res, err := Train(t.Context(), dev, m, set, eval, t.TempDir(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			if _, _, err := Train(ctx, dev, m, set, eval, dir, c, &stopAfter{records: 1, cancel: cancel}); !errors.Is(err, train.ErrInterrupted) {
				t.Fatal(err)
			}
		}
		got, again, err := Train(t.Context(), dev, m, set, eval, dir, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again.ResumedFrom == 0 || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(values(again.Records), values(res.Records)) {
			t.Errorf("resumed from %d; or the result differs", again.ResumedFrom)
		}
	})
}

// The loss of a window must not depend on how it is cut into micro-batches, PET included.
func TestTheLossDoesNotDependOnTheMicroBatches(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	m := turned(t, "llama", 0.2)
	var want *train.Result
	for _, cut := range [][2]int{{6, 1}, {4, 2}, {1, 6}} {
		c := trainConfig()
		c.Epochs, c.BatchSize, c.GradientAccumulation, c.LoggingSteps, c.WarmupRatio, c.PETLambda = 2, cut[0], cut[1], 1, 0, 0.5
		_, res, err := Train(t.Context(), dev, m, requests(1, 6), nil, t.TempDir(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = res
		}
		for i, r := range res.Records {
			for _, name := range []string{"loss", "pet", "safety_loss", "task_loss", "grad_norm"} {
				if d := math.Abs(r.Values[name] - want.Records[i].Values[name]); !(d < 1e-5*r.Values[name]) || r.Values[name] == 0 {
					t.Errorf("batch %v step %d: %s is %g, in one batch %g", cut, i+1, name, r.Values[name], want.Records[i].Values[name])
				}
			}
		}
	}
}

func TestOtherClassesOrWeightsAreAnotherRun(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	m, dir, set := turned(t, "llama", 0.1), t.TempDir(), requests(1, 6)
	c := trainConfig()
	c.Epochs = 1
	if _, _, err := Train(t.Context(), dev, m, set, nil, dir, c, nil); err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(set)
	changed[0].Class = (changed[0].Class + 1) % 4
	if _, _, err := Train(t.Context(), dev, m, changed, nil, dir, c, nil); !errors.Is(err, train.ErrOtherRun) || !strings.Contains(err.Error(), "classes (") {
		t.Errorf("other classes: %v", err)
	}
	c.PETLambda = 0.7
	if _, _, err := Train(t.Context(), dev, m, set, nil, dir, c, nil); !errors.Is(err, train.ErrOtherRun) || !strings.Contains(err.Error(), "pet_lambda (checkpoint 0.01, now 0.7)") {
		t.Errorf("other weight: %v", err)
	}
}

func TestAHeadWithoutAWeightStaysAsItIs(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	m := turned(t, "llama", 0.1)
	c := trainConfig()
	c.Epochs, c.SafetyWeight, c.TaskWeight, c.PETLambda, c.WarmupRatio = 1, 0, 0, 0, 0
	out, res, err := Train(t.Context(), dev, m, requests(1, 6), nil, t.TempDir(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.Safety, m.Safety) || slices.Equal(out.Authority, m.Authority) {
		t.Error("the wrong head moved")
	}
	if _, ok := res.Last("safety_loss"); ok {
		t.Error("a loss without a weight is computed")
	}
}

func TestConfigNamesItsFaults(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Config){
		"num_train_epochs": func(c *Config) { c.Epochs = math.NaN() },
		"pet_lambda":       func(c *Config) { c.PETLambda = -1 },
		"safety_weight":    func(c *Config) { c.SafetyWeight = math.Inf(1) },
		"tolerance":        func(c *Config) { c.Tolerance = -1 },
		"task_weight":      func(c *Config) { c.Epochs, c.TaskWeight, c.SafetyWeight, c.AuthorityWeight = 1, 0, 0, 0 },
		"learning_rate":    func(c *Config) { c.Epochs, c.LearningRate = 1, -1 },
	} {
		c := DefaultConfig()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestExamplesAreChecked(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	m := turned(t, "llama", 0)
	for name, spoil := range map[string]func(*Example){
		"no prompt":       func(e *Example) { e.Prompt = 0 },
		"a long prompt":   func(e *Example) { e.Prompt = len(e.IDs) + 1 },
		"no such class":   func(e *Example) { e.Class = 4 },
		"an id too large": func(e *Example) { e.IDs = slices.Clone(e.IDs); e.IDs[0] = testVocab },
	} {
		set := requests(1, 3)
		spoil(&set[1])
		if _, _, err := Train(t.Context(), dev, m, set, nil, t.TempDir(), trainConfig(), nil); err == nil || !strings.Contains(err.Error(), "train example 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// stories260K has the structure of real ones: 5 layers, tied embeddings, float32.
func TestARealModelIsReplacedAndBurntIn(t *testing.T) {
	src := realdata.Path(t, "models/stories260K")
	dev := cpu.New(cpu.Options{Threads: 2})
	defer dev.Close()
	out := filepath.Join(t.TempDir(), "so8t")
	rep, err := Replace(t.Context(), dev, src, out, DefaultConfig(), [][]int32{{1, 403, 407, 261, 378}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("relative logit difference %g", rep.RelativeDifference)
	m := loaded(t, out)
	turn(m, 0.3)
	folded, err := m.Folded()
	if err != nil {
		t.Fatal(err)
	}
	d := relative(taskLogits(t, dev, straight(t, m.Source, folded), model.Hooks{}), taskLogits(t, dev, m, Hooks()))
	t.Logf("burn-in: relative logit difference %g", d)
	if d > 1e-5 {
		t.Errorf("burn-in differs by %g", d)
	}
}
