package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

// jumpy scores weights by their digits: any two trainings' values differ, and those of the same weights are the same.
func jumpy(dev device.Device) func(context.Context, map[string]device.Buffer) (map[string]float64, error) {
	return func(_ context.Context, trained map[string]device.Buffer) (map[string]float64, error) {
		data := make([]float64, trained["in"].Len())
		if err := dev.Download(data, trained["in"]); err != nil {
			return nil, err
		}
		sum := 0.0
		for _, v := range data {
			sum += v
		}
		_, digits := math.Modf(math.Abs(sum) * 1e4)
		return map[string]float64{"jumpy": digits}, nil
	}
}

// chooseUntil is runUntil of a task that is scored by jumpy.
func chooseUntil(t *testing.T, dir string, opt Options, crash int, o Observer) (*Result, error) {
	t.Helper()
	dev := reference.New()
	defer dev.Close()
	task := bigrams(0.3)
	task.Score = jumpy(dev)
	r, err := newRunner(dev, task, sentences(1, 20), sentences(2, 5), dir, opt, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.afterStep = func(step int) error {
		if step == crash {
			return errCrash
		}
		return nil
	}
	return r.run(context.Background())
}

func chooseOptions(higher bool) Options {
	o := testOptions()
	o.EvalSteps, o.SaveSteps, o.SaveTotalLimit, o.LoggingSteps = 2, 1, 0, 3
	o.LoadBest, o.MetricForBest, o.GreaterIsBetter = true, "eval_jumpy", higher
	o.Scoring = &Scoring{} // that there is something to choose by; the task has its own
	return o
}

func TestTheResultHasTheWeightsOfTheBestEvaluation(t *testing.T) {
	for _, higher := range []bool{false, true} {
		opt, dir := chooseOptions(higher), t.TempDir()
		res, err := chooseUntil(t, dir, opt, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		best, n := Record{}, 0
		for _, r := range res.Records {
			v, ok := r.Values["eval_jumpy"]
			if !ok {
				continue
			}
			if n++; n == 1 || higher && v > best.Values["eval_jumpy"] || !higher && v < best.Values["eval_jumpy"] {
				best = r
			}
		}
		want := Choice{Metric: "eval_jumpy", Step: best.Step, Value: best.Values["eval_jumpy"], Evaluations: n, Loaded: true}
		if n != 6 || res.Choice == nil || *res.Choice != want || res.Steps != 12 {
			t.Fatalf("%d evaluations, %d steps: %+v, want %+v", n, res.Steps, res.Choice, want)
		}
		c, f, err := openCheckpoint(filepath.Join(dir, fmt.Sprintf("checkpoint-%d.ckpt", best.Step)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, w := range res.Weights {
			data, err := c.tensor(tensorInfo{Name: "weights/" + w.Name, Elements: len(w.Data)})
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range data.([]float64) {
				if w.Data[i] != float32(v) {
					t.Fatalf("%s is not that of step %d", w.Name, best.Step)
				}
			}
		}
	}
}

func TestARunThatChoosesEndsTheSameWhereverItWasCut(t *testing.T) {
	stopping := chooseOptions(true)
	stopping.EarlyStoppingPatience = 2
	unloaded := stopping
	unloaded.LoadBest, unloaded.SaveSteps = false, 2
	for name, opt := range map[string]Options{"the best is loaded": chooseOptions(false), "and training stops early": stopping, "it stops early alone": unloaded} {
		t.Run(name, func(t *testing.T) {
			whole := t.TempDir()
			want, err := chooseUntil(t, whole, opt, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			if opt.EarlyStoppingPatience > 0 && (want.Steps >= 12 || !want.Choice.Stopped || want.Choice.Evaluations*2 != want.Steps) {
				t.Fatalf("after %d steps: %+v", want.Steps, want.Choice)
			}
			for crash := 1; crash < want.Steps; crash++ {
				dir := t.TempDir()
				if _, err := chooseUntil(t, dir, opt, crash, nil); !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				got, err := chooseUntil(t, dir, opt, 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				if *got.Choice != *want.Choice || !bytes.Equal(fingerprint(t, got, dir), fingerprint(t, want, whole)) {
					t.Errorf("cut after step %d: %+v, want %+v", crash, got.Choice, want.Choice)
				}
			}
			again, err := chooseUntil(t, whole, opt, 0, nil) // a finished run
			if err != nil || *again.Choice != *want.Choice || !bytes.Equal(fingerprint(t, again, whole), fingerprint(t, want, whole)) || again.ResumedFrom != want.Steps {
				t.Errorf("finished: %+v, %v", again, err)
			}
		})
	}
}

func TestARunCancelledAtTheEvaluationThatStopsItHasItsLastRecord(t *testing.T) {
	opt := chooseOptions(true)
	opt.EarlyStoppingPatience, opt.SaveSteps, opt.LoggingSteps = 2, 0, 5 // no record is due at the evaluation that ends it
	whole := t.TempDir()
	want, err := chooseUntil(t, whole, opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := func(crash func(Record)) (*Result, error) {
		return chooseUntil(t, dir, opt, 0, &journal{onRecord: crash})
	}
	func() {
		defer func() { recover() }()
		r(func(rec Record) {
			if _, ok := rec.Values["eval_jumpy"]; ok && rec.Step == want.Steps {
				panic("killed")
			}
		})
	}()
	got, err := r(nil)
	if err != nil || !bytes.Equal(fingerprint(t, got, dir), fingerprint(t, want, whole)) {
		t.Errorf("%v: %+v, want %+v", err, got, want)
	}
	if last := want.Records[len(want.Records)-1]; last.Step != want.Steps || last.Values["loss"] == 0 {
		t.Errorf("the steps since the last record are lost: %+v", last)
	}
}

// The counter is that of transformers' EarlyStoppingCallback.
func TestTrainingStopsAfterEvaluationsThatWereNoBetter(t *testing.T) {
	for name, c := range map[string]struct {
		values    []float64 // of the evaluations
		higher    bool
		patience  int
		threshold float64
		best      int // the evaluation, from 1 on
		last      int
	}{
		"never better again":                       {[]float64{3, 4, 5, 6, 7, 8}, false, 2, 0, 1, 3},
		"better in time":                           {[]float64{3, 4, 2, 6, 1, 8}, false, 2, 0, 5, 6},
		"equal is no better":                       {[]float64{3, 3, 3, 3, 3, 3}, false, 3, 0, 1, 4},
		"higher":                                   {[]float64{1, 3, 2, 2, 4, 5}, true, 2, 0, 2, 4},
		"better by less than the threshold":        {[]float64{1, 1.1, 1.2, 1.3, 1.4, 1.5}, true, 2, 0.2, 3, 3},
		"better by more than the threshold":        {[]float64{1, 1.25, 1.5, 1.75, 2, 2.25}, true, 1, 0.2, 6, 6},
		"by just the threshold is no improvement":  {[]float64{1, 1.5, 2, 2.5, 3, 3.5}, true, 1, 0.5, 2, 2},
		"patience beyond the run":                  {[]float64{1, 2, 3, 4, 5, 6}, false, 9, 0, 1, 6},
		"of equal evaluations the first is chosen": {[]float64{2, 1, 1, 1, 5, 5}, false, 5, 0, 2, 6},
	} {
		opt := chooseOptions(c.higher)
		opt.EarlyStoppingPatience, opt.EarlyStoppingThreshold = c.patience, c.threshold
		task, next := bigrams(0), 0
		task.Score = func(context.Context, map[string]device.Buffer) (map[string]float64, error) {
			next++
			return map[string]float64{"jumpy": c.values[next-1]}, nil
		}
		res, err := runUntil(t, task, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, 0, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		want := Choice{Metric: "eval_jumpy", Step: 2 * c.best, Value: c.values[c.best-1], Evaluations: c.last, Loaded: true, Stopped: c.last < 6}
		if *res.Choice != want || res.Steps != 2*c.last {
			t.Errorf("%s: %+v after %d steps, want %+v", name, *res.Choice, res.Steps, want)
		}
	}
}

func TestWhatCannotBeChosenByIsRefused(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	run := func(eval []Example, change func(*Options)) error {
		opt := chooseOptions(true)
		change(&opt)
		task := bigrams(0)
		task.Score = jumpy(dev)
		_, err := Loop(t.Context(), dev, task, sentences(1, 6), eval, t.TempDir(), opt, nil)
		return err
	}
	for want, c := range map[string]struct {
		eval   []Example
		change func(*Options)
	}{
		"eval_steps: 0":                       {sentences(2, 3), func(o *Options) { o.EvalSteps = 0 }},
		"early_stopping_patience: -1":         {sentences(2, 3), func(o *Options) { o.EarlyStoppingPatience = -1 }},
		"early_stopping_threshold: NaN":       {sentences(2, 3), func(o *Options) { o.EarlyStoppingThreshold = math.NaN() }},
		"no evaluation examples to choose by": {nil, func(*Options) {}},
		"metric_for_best: the evaluation has no eval_f1, only eval_jumpy, eval_loss, eval_task": {sentences(2, 3), func(o *Options) { o.MetricForBest = "eval_f1" }},
		"have no answers": {sentences(2, 3), func(o *Options) { o.Scoring = nil }},
	} {
		if err := run(c.eval, c.change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestACheckpointOfAnotherChoiceIsAnotherRuns(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"the metric": func(o *Options) { o.MetricForBest = "" }, "the direction": func(o *Options) { o.GreaterIsBetter = false },
		"loading": func(o *Options) { o.LoadBest, o.EarlyStoppingPatience = false, 7 }, "none": func(o *Options) { o.LoadBest = false },
		"the rows": func(o *Options) { o.Scoring = &Scoring{Prompts: [][]int32{{1}}} },
	} {
		opt, dir := chooseOptions(true), t.TempDir()
		if _, err := chooseUntil(t, dir, opt, 3, nil); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		change(&opt)
		if _, err := chooseUntil(t, dir, opt, 0, nil); !errors.Is(err, ErrOtherRun) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACheckpointWithoutTheBestWeightsIsRefused(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	r, err := newRunner(dev, bigrams(0), sentences(1, 20), sentences(2, 5), t.TempDir(), chooseOptions(true), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.restoreBest(&checkpoint{Step: 2, Float: 64, Best: &chosen{Step: 2}}); err == nil || err.Error() != "checkpoint tensor best/in is missing" {
		t.Error(err)
	}
}

func TestWithoutAChoiceNothingOfItIsKept(t *testing.T) {
	dir := t.TempDir()
	opt := testOptions()
	res, err := chooseUntil(t, dir, opt, 0, nil)
	if err != nil || res.Choice != nil {
		t.Fatal(res.Choice, err)
	}
	if v, ok := res.Last("eval_jumpy"); !ok || v < 0 {
		t.Error("the figure is not recorded")
	}
	c, f, err := openCheckpoint(filepath.Join(dir, "checkpoint-12.ckpt"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if c.Best != nil || slices.ContainsFunc(c.Tensors, func(i tensorInfo) bool { return strings.HasPrefix(i.Name, "best/") }) {
		t.Error("a checkpoint has weights that nobody chose")
	}
}
