package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

func TestTrainingLowersTheLoss(t *testing.T) {
	j := &journal{}
	opt := testOptions()
	opt.Epochs = 12
	res, err := runUntil(t, bigrams(0), sentences(1, 20), sentences(2, 6), t.TempDir(), opt, 0, j)
	if err != nil {
		t.Fatal(err)
	}
	first, last := j.records[0].Values["loss"], j.records[len(j.records)-2].Values["loss"]
	if res.Steps != 48 || last > first-0.5 {
		t.Errorf("%d steps, loss %g → %g", res.Steps, first, last)
	}
	eval, ok := res.Last("eval_loss")
	if task, _ := res.Last("eval_task"); !ok || eval != task || eval > first {
		t.Errorf("eval_loss %g", eval)
	}
	if s := j.starts[0]; s.TotalSteps != 48 || s.StepsPerEpoch != 4 || s.Weights != 2*testVocab*testWidth || s.ResumedFrom != 0 {
		t.Errorf("start %+v", s)
	}
	if j.records[0].Timing["tokens_per_second"] <= 0 || j.records[0].Values["first"] == 0 {
		t.Errorf("record %+v", j.records[0])
	}
}

func TestARunCutAtAnyStepEndsAsOneThatWasNot(t *testing.T) {
	train, eval, task, opt := sentences(1, 20), sentences(2, 7), bigrams(0.3), testOptions()
	whole := t.TempDir()
	res, err := runUntil(t, task, train, eval, whole, opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := fingerprint(t, res, whole)
	for crash := 1; crash <= res.Steps; crash++ {
		t.Run(fmt.Sprintf("after step %d", crash), func(t *testing.T) {
			dir := t.TempDir()
			if _, err := runUntil(t, task, train, eval, dir, opt, crash, nil); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			j := &journal{}
			again, err := runUntil(t, task, train, eval, dir, opt, 0, j)
			if err != nil {
				t.Fatal(err)
			}
			if saved := (crash - 1) / 2 * 2; again.ResumedFrom != saved {
				t.Errorf("resumed from %d, want %d", again.ResumedFrom, saved)
			}
			if !bytes.Equal(fingerprint(t, again, dir), want) {
				t.Error("the result differs")
			}
		})
	}
}

func TestACancelledRunSavesAndResumesToTheSameBytes(t *testing.T) {
	train, eval, task, opt := sentences(1, 20), sentences(2, 7), bigrams(0.3), testOptions()
	opt.SaveSteps = 0
	whole := t.TempDir()
	res, err := runUntil(t, task, train, eval, whole, opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dev := reference.New()
	defer dev.Close()
	for i := range 3 { // the records of steps 3, 4 (evaluation) and 6 each end a run
		ctx, cancel := context.WithCancel(context.Background())
		j := &journal{onRecord: func(Record) { cancel() }}
		_, err := Loop(ctx, dev, task, train, eval, dir, opt, j)
		if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) {
			t.Fatalf("run %d: %v", i, err)
		}
		if len(j.steps(Written)) != 1 {
			t.Errorf("run %d wrote %v", i, j.steps(Written))
		}
	}
	again, err := Loop(context.Background(), dev, task, train, eval, dir, opt, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.ResumedFrom != 6 || !bytes.Equal(fingerprint(t, again, dir), fingerprint(t, res, whole)) {
		t.Errorf("resumed from %d; or the result differs", again.ResumedFrom)
	}
}

func TestAFinishedRunGivesItsResultAgain(t *testing.T) {
	dir, task, train := t.TempDir(), bigrams(0), sentences(1, 20)
	first, err := runUntil(t, task, train, nil, dir, testOptions(), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{}
	again, err := runUntil(t, task, train, nil, dir, testOptions(), 1, j)
	if err != nil || again.ResumedFrom != first.Steps || len(j.records) != 0 {
		t.Fatalf("%v %+v", err, j)
	}
	if digestOf(t, again.Weights...) != digestOf(t, first.Weights...) || len(j.starts[0].History) != len(first.Records) {
		t.Error("the result differs")
	}
}

func TestADamagedNewestCheckpointIsReportedAndTheOneBeforeItUsed(t *testing.T) {
	damage := map[string]func(t *testing.T, path string){
		"truncated": func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err == nil {
				err = os.Truncate(path, info.Size()*2/3)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"one bit flipped": func(t *testing.T, path string) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)-100] ^= 4
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		},
	}
	train, task, opt := sentences(1, 20), bigrams(0.2), testOptions()
	whole := t.TempDir()
	res, err := runUntil(t, task, train, nil, whole, opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := fingerprint(t, res, whole)
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := runUntil(t, task, train, nil, dir, opt, 7, nil); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(dir, "checkpoint-6.ckpt"))
			j := &journal{}
			again, err := runUntil(t, task, train, nil, dir, opt, 0, j)
			if err != nil {
				t.Fatal(err)
			}
			if again.ResumedFrom != 4 || !slices.Equal(j.steps(Rejected), []int{6}) || j.checkpoints[0].Reason == "" {
				t.Errorf("resumed from %d, rejected %v", again.ResumedFrom, j.steps(Rejected))
			}
			if !bytes.Equal(fingerprint(t, again, dir), want) {
				t.Error("the result differs")
			}
		})
	}
}

func TestTheLimitPrunesTheOldestCheckpoints(t *testing.T) {
	dir, j := t.TempDir(), &journal{}
	if _, err := runUntil(t, bigrams(0), sentences(1, 20), nil, dir, testOptions(), 0, j); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(j.steps(Written), []int{2, 4, 6, 8, 10, 12}) || !slices.Equal(j.steps(Pruned), []int{2, 4, 6}) {
		t.Errorf("written %v, pruned %v", j.steps(Written), j.steps(Pruned))
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) != 3 {
		t.Errorf("left: %v", names)
	}
}

func TestCheckpointsAreWrittenByTheClock(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	opt := testOptions()
	opt.SaveSteps, opt.CheckpointInterval, opt.SaveTotalLimit, opt.LoggingSteps = 0, 30*time.Second, 0, 0
	j := &journal{}
	r, err := newRunner(dev, bigrams(0), sentences(1, 20), nil, t.TempDir(), opt, j)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.now = (&clock{at: time.Unix(0, 0)}).now
	if _, err := r.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	steps := j.steps(Written)
	if len(steps) < 3 || len(steps) > 7 || steps[len(steps)-1] != 12 {
		t.Errorf("written at %v", steps)
	}
}

func TestACheckpointOfAnotherRunIsRefusedWithWhatDiffers(t *testing.T) {
	dir, train := t.TempDir(), sentences(1, 20)
	if _, err := runUntil(t, bigrams(0), train, nil, dir, testOptions(), 3, nil); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	other := testOptions()
	other.LearningRate, other.SaveSteps = 0.01, 5 // when it saves is not what it computes
	finer := testOptions()
	finer.LearningRate = 0.051
	packed := testOptions()
	packed.Packing = 20
	narrow := bigrams(0)
	narrow.Storage = device.BFloat16
	changed := bigrams(0)
	changed.Weights[0].Data[3]++
	tests := map[string]struct {
		task  Task
		train []Example
		opt   Options
		want  string
	}{
		"learning rate":  {bigrams(0), train, other, "what differs: learning_rate (checkpoint 0.05, now 0.01);"},
		"its next digit": {bigrams(0), train, finer, "what differs: learning_rate (checkpoint 0.05, now 0.051);"},
		"packing":        {bigrams(0), train, packed, "what differs: packing (checkpoint absent, now 20);"},
		"storage":        {narrow, train, testOptions(), "what differs: storage (checkpoint absent, now bfloat16);"},
		"examples":       {bigrams(0), train[1:], testOptions(), "what differs: examples ("},
		"model":          {changed, train, testOptions(), "what differs: initial_weights ("},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := runUntil(t, tt.task, tt.train, nil, dir, tt.opt, 0, nil)
			if !errors.Is(err, ErrOtherRun) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOfALongValueThatDiffersTheBeginningIsTold(t *testing.T) {
	for length, want := range map[int]string{40: strings.Repeat("a", 40), 41: strings.Repeat("a", 12) + "…"} {
		err := checkIdentity("c", map[string]string{"k": strings.Repeat("a", length)}, map[string]string{})
		if err == nil || !strings.Contains(err.Error(), "k (checkpoint "+want+", now absent)") {
			t.Errorf("got %v", err)
		}
	}
}

func TestTheLossIsTheMeanOverTheWindowsTokensHoweverItIsCut(t *testing.T) {
	train := sentences(1, 7) // one window: 7 = 3 + 3 + 1
	var want []Weight
	for _, cut := range []struct{ batch, accumulate int }{{7, 1}, {3, 3}, {1, 7}, {2, 8}} {
		opt := testOptions()
		opt.Epochs, opt.BatchSize, opt.GradientAccumulation, opt.LoggingSteps, opt.WarmupRatio = 3, cut.batch, cut.accumulate, 1, 0
		res, err := runUntil(t, bigrams(0), train, nil, t.TempDir(), opt, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = res.Weights
			continue
		}
		for i, w := range res.Weights {
			for k := range w.Data {
				if math.Abs(float64(w.Data[k]-want[i].Data[k])) > 1e-6 {
					t.Fatalf("batch %d × %d: %s[%d] is %g, in one batch %g", cut.batch, cut.accumulate, w.Name, k, w.Data[k], want[i].Data[k])
				}
			}
		}
	}
}

func TestClippingBoundsTheStep(t *testing.T) {
	opt := testOptions()
	opt.Epochs, opt.WeightDecay, opt.LoggingSteps = 1, 0, 1
	opt.MaxGradNorm = 1e-12 // far under epsilon, so AdamW moves by about lr·norm/epsilon
	task := bigrams(0)
	res, err := runUntil(t, task, sentences(1, 20), nil, t.TempDir(), opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range res.Weights {
		for k, v := range w.Data {
			if d := math.Abs(float64(v - task.Weights[i].Data[k])); d > 1e-3 {
				t.Fatalf("%s[%d] moved by %g", w.Name, k, d)
			}
		}
	}
	if norm, _ := res.Last("grad_norm"); norm < 1e-3 {
		t.Errorf("the recorded norm %g is that after clipping", norm)
	}
}

func TestALossThatIsNotFiniteEndsTheRunWithItsStep(t *testing.T) {
	task := bigrams(0)
	task.Weights[0].Data[0] = float32(math.Inf(1))
	_, err := runUntil(t, task, sentences(1, 20), nil, t.TempDir(), testOptions(), 0, nil)
	if !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "step 1 (learning rate 0): ") || !strings.Contains(err.Error(), "examples [") {
		t.Errorf("got %v", err)
	}
}

func TestNoExamplesIsAnError(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	if _, err := Loop(context.Background(), dev, bigrams(0), nil, nil, t.TempDir(), testOptions(), nil); err == nil {
		t.Error("accepted")
	}
}
