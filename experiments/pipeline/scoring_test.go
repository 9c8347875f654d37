package pipeline

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/calibration"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/kinds/finetune"
	"triality/runtime/train"
)

// pointSink keeps metric points, and ends a training at one of them.
type pointSink struct {
	notes
	points experiments.MetricBatch
	at     func(name string, p experiments.Point)
}

func (s *pointSink) Metrics(b experiments.MetricBatch) error {
	if s.points == nil {
		s.points = experiments.MetricBatch{}
	}
	for name, points := range b {
		s.points[name] = append(s.points[name], points...)
		if s.at != nil {
			s.at(name, points[0])
		}
	}
	return nil
}

// tuning are options that fine-tune the first run's base on its rows.
func tuning(t *testing.T, dir string, set ...string) FinetuneOptions {
	t.Helper()
	sets, err := filepath.Glob(filepath.Join(dir, "work", "convert", "*", "dataset"))
	if err != nil || len(sets) != 1 {
		t.Fatal(sets, err)
	}
	cfg := smallConfig(t, dir, append([]string{"training.num_train_epochs=2", "training.eval_steps=2"}, set...)...)
	return FinetuneOptions{BaseModel: firstBase(t, dir), Dataset: sets[0], OutDir: t.TempDir(), Training: cfg.Training, MaxLength: cfg.Data.MaxLength, Seed: 7}
}

func TestAnEvaluationHasTheFiguresThatTheModelItselfGets(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	o := tuning(t, dir)
	var sink pointSink
	if err := r.Engine.Finetune(t.Context(), o, &sink); err != nil {
		t.Fatal(err)
	}
	a, err := openArm(r.Engine.Device, r.Engine.Storage, Source{Dir: filepath.Join(o.OutDir, "merged"), Name: "merged"}, "instruction", o.MaxLength)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	splits, err := dataset.Open(o.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	val := splits["val"]
	var scores [][]float64
	for i := range val.Rows {
		ids, err := a.prompt(&val.Rows[i])
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.classify(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		scores = append(scores, got.scores)
	}
	for name, want := range figures(scores, labelsOf(val)) {
		points := sink.points["eval/"+name]
		if len(points) != len(sink.points["eval/loss"]) || len(points) < 3 {
			t.Fatalf("eval/%s has %d points, eval/loss %d", name, len(points), len(sink.points["eval/loss"]))
		}
		if got := points[len(points)-1].Value; math.Abs(got-want) > 2e-3 {
			t.Errorf("eval/%s is %v, the merged model's %v", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Clean(o.Dataset) + looksSuffix); err != nil {
		t.Fatal("the first run's own look is not counted")
	}
}

func TestNoEvaluationIsALookAtTheTestRows(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	o := tuning(t, dir, "training.load_best=true", "training.metric_for_best=eval/macro_f1")
	before, err := os.ReadFile(filepath.Clean(o.Dataset) + looksSuffix)
	if err != nil {
		t.Fatal(err)
	}
	// Training reads nothing of the test split: without one it ends the same.
	if err := r.Engine.Finetune(t.Context(), o, &pointSink{}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Clean(o.Dataset) + looksSuffix)
	if err != nil || string(after) != string(before) {
		t.Errorf("looks were %q and are %q; %v", before, after, err)
	}
}

func TestABestModelIsSaidKeptAndResumed(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	set := []string{"training.load_best=true", "training.metric_for_best=eval/log_loss", "training.early_stopping_patience=2", "training.num_train_epochs=6", "training.learning_rate=0.1"}
	whole := tuning(t, dir, set...)
	var sink pointSink
	if err := r.Engine.Finetune(t.Context(), whole, &sink); err != nil {
		t.Fatal(err)
	}
	read := func(o FinetuneOptions) (c choice, weights string) {
		text, err := os.ReadFile(filepath.Join(o.OutDir, finetune.ChoiceName))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(o.OutDir, "merged", "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return c, string(b)
	}
	c, weights := read(whole)
	points := sink.points["eval/log_loss"]
	least := slices.MinFunc(points, func(a, b experiments.Point) int {
		return int(math.Copysign(1, a.Value-b.Value))
	})
	if c.Metric != config.EvalLogLoss || int64(c.Step) != least.Step || c.Value != least.Value || !c.Loaded || c.Evaluations != len(points) {
		t.Errorf("%+v of %+v", c, points)
	}
	if best := sink.points["eval/best_log_loss"]; len(best) != 1 || best[0].Step != least.Step || best[0].Value != least.Value {
		t.Errorf("logged %+v", best)
	}
	if said := strings.Join(sink.text, "\n"); !strings.Contains(said, c.String()) {
		t.Errorf("said %q", said)
	}
	// Killed after an evaluation, and resumed.
	cut := tuning(t, dir, set...)
	ctx, cancel := context.WithCancel(t.Context())
	killed := pointSink{at: func(name string, p experiments.Point) {
		if name == "eval/log_loss" && p.Step >= 4 {
			cancel()
		}
	}}
	if err := r.Engine.Finetune(ctx, cut, &killed); err == nil {
		t.Fatal("it was not killed")
	}
	var again pointSink
	if err := r.Engine.Finetune(t.Context(), cut, &again); err != nil {
		t.Fatal(err)
	}
	if got, bytes := read(cut); got != c || bytes != weights {
		t.Errorf("resumed: %+v, want %+v; the same model: %t", got, c, bytes == weights)
	}
	for name := range sink.points {
		if strings.HasPrefix(name, "eval/") && !strings.Contains(name, "second") && !slices.EqualFunc(sink.points[name], again.points[name], func(a, b experiments.Point) bool { return a.Step == b.Step && a.Value == b.Value }) {
			t.Errorf("%s is %v, want %v", name, again.points[name], sink.points[name])
		}
	}
}

func TestWhatEvaluationsCannotGiveIsSaidOrRefused(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	o := tuning(t, dir)
	splits, err := dataset.Open(o.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	// Rows that were written otherwise: a token more in front of each answer.
	other := *splits["train"]
	other.IDs, other.Labels = slices.Clone(other.IDs), slices.Clone(other.Labels)
	for i := range other.IDs {
		other.IDs[i] = append([]int32{5}, other.IDs[i]...)
		other.Labels[i] = append([]int32{-100}, other.Labels[i]...)
	}
	base := Source{Dir: o.BaseModel, Name: "base"}
	try := func(rows, val *dataset.Stored, set ...string) (string, bool, error) {
		o := tuning(t, dir, set...)
		var said notes
		opt := trainOptions(o.Training, o.MaxLength, 1)
		err := r.Engine.choosing(&opt, base, o, examplesOf(rows), rows, val, &said)
		return strings.Join(said.text, "\n"), opt.Scoring != nil, err
	}
	if said, scores, err := try(&other, splits["val"]); err != nil || scores || !strings.Contains(said, "in no format of [instruction completion chat]: evaluations have eval/loss alone") {
		t.Errorf("%q, %t, %v", said, scores, err)
	}
	if _, _, err := try(&other, splits["val"], "training.load_best=true", "training.metric_for_best=eval/accuracy"); err == nil || !strings.Contains(err.Error(), "metric_for_best: eval/accuracy need it") {
		t.Error(err)
	}
	if _, scores, err := try(splits["train"], splits["val"], "training.eval_rows=0"); err != nil || scores {
		t.Error(scores, err)
	}
	if _, _, err := try(splits["train"], nil, "training.load_best=true"); err == nil || !strings.Contains(err.Error(), "has no validation split to choose by") {
		t.Error(err)
	}
	if _, scores, err := try(splits["train"], nil); err != nil || scores {
		t.Error(scores, err)
	}
	free := *splits["train"]
	free.Labels = slices.Clone(free.Labels)
	for i := range free.Labels {
		free.Labels[i] = slices.Clone(free.Labels[i])
		free.Labels[i][promptOf(free.Labels[i])] = 7 // no label begins so
	}
	if _, _, err := try(&free, splits["val"], "training.label_smoothing=0.1"); err == nil || !strings.Contains(err.Error(), "no training row's output begins with its label") {
		t.Error(err)
	}
	// A tokenizer that ends texts by a broken file: training goes on without answers, and what needs them is refused.
	broken := filepath.Join(t.TempDir(), "base")
	if err := os.CopyFS(broken, os.DirFS(o.BaseModel)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "generation_config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := base
	base.Dir = broken
	if said, scores, err := try(splits["train"], splits["val"]); err != nil || scores || !strings.Contains(said, "evaluations have eval/loss alone: ") {
		t.Errorf("%q, %t, %v", said, scores, err)
	}
	if _, _, err := try(splits["train"], splits["val"], "training.load_best=true", "training.metric_for_best=eval/ece"); err == nil {
		t.Error("a metric of answers that there are none of is taken")
	}
	base = whole
	// Rows that fill the model's positions.
	full := *splits["val"]
	full.Rows = slices.Clone(full.Rows)
	for i := range full.Rows {
		full.Rows[i].Instruction, full.Rows[i].Input = strings.Repeat("a b c d ", 2000), "x"
	}
	if said, scores, err := try(splits["train"], &full); err != nil || scores || !strings.Contains(said, "of the validation rows leave no room for a label") {
		t.Errorf("%q, %t, %v", said, scores, err)
	}
	if _, _, err := try(splits["train"], &full, "training.load_best=true", "training.metric_for_best=eval/ece"); err == nil || !strings.Contains(err.Error(), "eval/ece: no validation row leaves room for a label") {
		t.Error(err)
	}
	said, _, err := try(splits["train"], splits["val"], "training.class_weights={REFUSE: 3}")
	if err != nil || !strings.Contains(said, "rows count in the loss by their class: ALLOW 1, ESCALATION 1, DENY 1, REFUSE 3") {
		t.Errorf("%q, %v", said, err)
	}
}

func examplesOf(s *dataset.Stored) []train.Example {
	out := make([]train.Example, len(s.IDs))
	for i := range out {
		out[i] = train.Example{IDs: s.IDs[i], Labels: s.Labels[i]}
	}
	return out
}

func TestRowsForAnEvaluationAreSpreadEvenly(t *testing.T) {
	for _, c := range []struct {
		rows, n int
		want    []int
	}{{5, 9, []int{0, 1, 2, 3, 4}}, {10, 4, []int{0, 2, 5, 7}}, {0, 4, []int{}}} {
		if got := spread(c.rows, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%d of %d: %v", c.n, c.rows, got)
		}
	}
}

func TestTemperatureAndThresholdsAreFittedOnTheValidationRowsAlone(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	models, err := filepath.Glob(filepath.Join(dir, "work", "replace", "*", "model"))
	if err != nil || len(models) != 1 {
		t.Fatal(models, err)
	}
	sets, err := filepath.Glob(filepath.Join(dir, "work", "convert", "*", "dataset"))
	if err != nil || len(sets) != 1 {
		t.Fatal(sets, err)
	}
	test := func(data, train string, tests config.Test) (*experiments.ABResult, string, error) {
		var said notes
		tests.Resamples = 100
		got, err := r.Engine.ABTest(t.Context(), ABTestOptions{ModelA: firstBase(t, dir), ModelB: models[0], TestData: data, TrainData: train,
			OutDir: t.TempDir(), Format: "instruction", MaxLength: 96, Test: tests, Seed: 7}, &said)
		return got, strings.Join(said.text, "\n"), err
	}
	plain, _, err := test(sets[0], "", config.Test{})
	if err != nil || plain.Arms[0].Calibration != nil {
		t.Fatal(plain, err)
	}
	both := config.Test{Calibration: "temperature", Thresholds: experiments.ThresholdsMacroF1}
	got, said, err := test(sets[0], "", both)
	if err != nil {
		t.Fatal(err)
	}
	splits, err := dataset.Open(sets[0])
	if err != nil {
		t.Fatal(err)
	}
	for a, arm := range got.Arms {
		c := arm.Calibration
		if c == nil || c.Rows != len(splits["val"].Rows) || !strings.Contains(said, describe(arm.Model, c)) {
			t.Fatalf("%+v; %s", c, said)
		}
		// Before is what the test without has, after what the rows of this one have.
		if c.Test.Before.Scores != plain.Arms[a].Scores || c.Test.After.Scores != arm.Scores {
			t.Errorf("arm %d: %+v and %+v, without %+v", a, c.Test, arm.Scores, plain.Arms[a].Scores)
		}
		if c.Validation.After.MacroF1 < c.Validation.Before.MacroF1 || c.Note == "" && c.Validation.After.LogLoss > c.Validation.Before.LogLoss {
			t.Errorf("arm %d is worse on the rows that it was fitted on: %+v", a, c.Validation)
		}
		sum := 0.0
		for i, s := range got.Samples {
			p, label := [][]float64{s.ProbabilityA, s.ProbabilityB}[a], []string{s.PredictionA, s.PredictionB}[a]
			if experiments.Labels[calibration.Decide(p, c.Thresholds)] != label {
				t.Errorf("row %d is not answered by the thresholds", i)
			}
			sum += calibration.LogLoss(p[experiments.LabelIndex(s.Label)])
		}
		if math.Abs(sum/float64(len(got.Samples))-c.Test.After.LogLoss) > 1e-12 {
			t.Errorf("arm %d: the rows' log loss is %v, said %v", a, sum/float64(len(got.Samples)), c.Test.After.LogLoss)
		}
	}
	// Other test rows change nothing of it: the rows file with the data set for training.
	moved, _, err := test(filepath.Join(dir, "rows.jsonl"), sets[0], both)
	if err != nil {
		t.Fatal(err)
	}
	for a := range moved.Arms {
		x, y := moved.Arms[a].Calibration, got.Arms[a].Calibration
		if math.Abs(x.Temperature-y.Temperature) > 1e-4*y.Temperature || math.Abs(x.Validation.After.LogLoss-y.Validation.After.LogLoss) > 1e-4 {
			t.Errorf("arm %d: %+v on other rows, %+v", a, x, y)
		}
	}
	// A limit holds where it was chosen.
	limited, _, err := test(sets[0], "", config.Test{Thresholds: experiments.ThresholdsFalseAllow, FalseAllowLimit: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	for a, arm := range limited.Arms {
		if c := arm.Calibration; c.Validation.After.FalseAllow > 0.1 || c.Temperature != 1 || c.Limit != 0.1 {
			t.Errorf("arm %d: %+v", a, c)
		}
	}
	// There is no falling back on other rows.
	for name, from := range map[string][2]string{"a file": {filepath.Join(dir, "rows.jsonl"), ""}, "a file beside": {sets[0], filepath.Join(dir, "rows.jsonl")}} {
		if _, _, err := test(from[0], from[1], both); err == nil || !strings.Contains(err.Error(), "they are fitted on a validation split, and") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if names := slices.Sorted(maps.Keys(resultMetrics(got))); !slices.Contains(names, "abtest/b/temperature") || !slices.Contains(names, "abtest/b/ece") {
		t.Errorf("logged %v", names)
	}
}
