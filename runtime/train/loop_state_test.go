package train

import (
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
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
	"triality/runtime/graph"
)

func TestEveryMicroBatchOfTheRunHasItsOwnDropoutKey(t *testing.T) {
	task := bigrams(0.5)
	build, seen, next := task.Build, map[[2]int32]int{}, int32(0)
	task.Build = func(rows int, training bool) (*Program, error) {
		p, err := build(rows, training)
		if err != nil {
			return nil, err
		}
		feed := p.Feed
		p.Feed = func(b *Packed, w *Window) ([]Input, error) {
			if !w.Eval {
				seen[w.DropoutKey]++
				if w.DropoutKey[1] < next { // of the two of the last step of an epoch one is left out
					t.Errorf("key %v comes after %d", w.DropoutKey, next)
				}
				next = w.DropoutKey[1] + 1
			}
			return feed(b, w)
		}
		return p, nil
	}
	opt := testOptions() // 20 examples: 7 micro-batches in 4 steps, 3 epochs
	if _, err := runUntil(t, task, sentences(1, 20), sentences(2, 3), t.TempDir(), opt, 0, nil); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 21 {
		t.Errorf("%d keys for 21 micro-batches: %v", len(seen), seen)
	}
	first := slices.Collect(func(yield func([2]int32) bool) {
		for k := range seen {
			yield(k)
		}
	})
	clear(seen)
	next = 0
	opt.Seed++
	if _, err := runUntil(t, task, sentences(1, 20), nil, t.TempDir(), opt, 0, nil); err != nil {
		t.Fatal(err)
	}
	for _, k := range first {
		if seen[k] != 0 {
			t.Errorf("key %v comes under another seed too", k)
		}
	}
}

func TestAFailureInAStepSaysWhichStep(t *testing.T) {
	boom := errors.New("boom")
	for name, spoil := range map[string]func(p *Program, left *int) error{
		"the graph": func(*Program, *int) error { return boom },
		"the feed": func(p *Program, left *int) error {
			feed := p.Feed
			p.Feed = func(b *Packed, w *Window) ([]Input, error) {
				if *left--; *left < 0 {
					return nil, boom
				}
				return feed(b, w)
			}
			return nil
		},
	} {
		task, left := bigrams(0), 2 // a step has two micro-batches
		build := task.Build
		task.Build = func(rows int, training bool) (*Program, error) {
			p, err := build(rows, training)
			return p, errors.Join(err, spoil(p, &left))
		}
		// The longest graphs are made before the first step, for their memory.
		want := map[string]string{"the graph": "graph of ", "the feed": "step 2: "}[name]
		if _, err := runUntil(t, task, sentences(1, 20), nil, t.TempDir(), testOptions(), 0, nil); !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACheckpointSaysHowFarTheRunIs(t *testing.T) {
	dir, opt := t.TempDir(), testOptions()
	opt.SaveSteps, opt.SaveTotalLimit = 1, 0
	res, err := runUntil(t, bigrams(0), sentences(1, 17), nil, dir, opt, 0, nil) // 6 micro-batches of 3, 3 steps an epoch
	if err != nil || res.Steps != 9 {
		t.Fatal(res, err)
	}
	for _, r := range res.Records {
		if r.Epoch != float64(r.Step)/3 {
			t.Errorf("step %d is recorded as epoch %g", r.Step, r.Epoch)
		}
	}
	for step, want := range map[int][2]int{2: {0, 12}, 3: {1, 0}, 4: {1, 6}, 8: {2, 12}, 9: {3, 0}} {
		c, f, err := openCheckpoint(filepath.Join(dir, fmt.Sprintf("checkpoint-%d.ckpt", step)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got := [2]int{c.Epoch, c.Position}; c.Step != step || got != want {
			t.Errorf("step %d: epoch and position %v, want %v", c.Step, got, want)
		}
	}
}

func TestARunThatIsCancelledBeforeItsFirstStepResumes(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	dir, j := t.TempDir(), &journal{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Loop(ctx, dev, bigrams(0), sentences(1, 6), nil, dir, testOptions(), j); !errors.Is(err, ErrInterrupted) || !slices.Equal(j.steps(Written), []int{0}) {
		t.Fatalf("%v; written at %v", err, j.steps(Written))
	}
	if _, err := Loop(context.Background(), dev, bigrams(0), sentences(1, 6), nil, dir, testOptions(), nil); err != nil {
		t.Error(err)
	}
}

func TestACheckpointThatCannotBeOfThisRunIsRefused(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	r, err := newRunner(dev, bigrams(0), sentences(1, 20), nil, t.TempDir(), testOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for want, c := range map[string]*checkpoint{
		"checkpoint of step -1: the run has 12":           {Step: -1},
		"checkpoint of step 13: the run has 12":           {Step: 13},
		"checkpoint of step 2: it has a loss scale: true": {Step: 2, Scale: newLossScale()},
		"checkpoint tensor weights/in is missing":         {Step: 12},
	} {
		if err := r.restore(c); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAFreshRunSavesItsFirstStepToo(t *testing.T) {
	for _, logging := range []int{1, 3} {
		opt, j := testOptions(), &journal{}
		opt.SaveSteps, opt.Epochs, opt.LoggingSteps = 1, 1, logging
		if _, err := runUntil(t, bigrams(0), sentences(1, 20), nil, t.TempDir(), opt, 0, j); err != nil || !slices.Equal(j.steps(Written), []int{1, 2, 3, 4}) {
			t.Errorf("written at %v; %v", j.steps(Written), err)
		}
	}
}

func TestARecordHasEveryPartOfTheLossAndWhatTheMonitorReads(t *testing.T) {
	task := bigrams(0)
	build := task.Build
	task.Build = func(rows int, training bool) (*Program, error) {
		p, err := build(rows, training)
		if err != nil {
			return nil, err
		}
		twice, err := graph.Scale(p.Cost, 2)
		p.Parts = append(p.Parts, Part{"twice", twice})
		return p, err
	}
	opt := testOptions()
	opt.LoggingSteps = 1
	res, err := runUntil(t, task, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Records {
		prefix := ""
		if _, ok := r.Values["eval_loss"]; ok {
			prefix = "eval_"
		}
		loss := r.Values[prefix+"loss"]
		if loss == 0 || r.Values[prefix+"task"] != loss || math.Abs(r.Values[prefix+"twice"]-2*loss) > 1e-9 {
			t.Errorf("after step %d: %v", r.Step, r.Values)
		}
	}
	if last, ok := res.Last("first"); !ok || float32(last) != res.Weights[1].Data[0] {
		t.Errorf("the monitor reads %g, %s begins with %g", last, res.Weights[1].Name, res.Weights[1].Data[0])
	}
}

func TestRatesAreTokensASecondAndNothingWhereNoTimePassed(t *testing.T) {
	train, eval := sentences(1, 20), sentences(2, 5)
	opt := testOptions()
	opt.Epochs, opt.LoggingSteps, opt.EvalSteps = 1, 0, 0
	count := func(set []Example) (n float64) {
		for _, e := range set {
			n += float64(len(e.IDs))
		}
		return n
	}
	for _, tick := range []time.Duration{0, 7 * time.Second} {
		dev := reference.New()
		defer dev.Close()
		r, err := newRunner(dev, bigrams(0), train, eval, t.TempDir(), opt, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		at := time.Unix(0, 0)
		r.now = func() time.Time { at = at.Add(tick); return at }
		res, err := r.run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for i, tokens := range []float64{count(train), count(eval)} {
			timing := res.Records[i].Timing
			rate, ok := timing["tokens_per_second"]
			if ok != (tick > 0) || math.Abs(rate*timing["seconds"]-tokens*min(1, tick.Seconds())) > 1e-6 {
				t.Errorf("a reading of the clock takes %v: record %d of %g tokens has %v", tick, i, tokens, timing)
			}
		}
	}
}

func TestTheClockSavesWhenTheIntervalIsOverAndAStepIsDone(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	opt, j := testOptions(), &journal{}
	opt.SaveSteps, opt.LoggingSteps, opt.CheckpointInterval, opt.Epochs = 0, 0, 10*time.Second, 1
	r, err := newRunner(dev, bigrams(0), sentences(1, 20), nil, t.TempDir(), opt, j)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	late := time.Unix(0, 0)
	r.now = func() time.Time { // a step takes just the interval; what comes before the first one takes an hour
		if r.step == 0 {
			late = late.Add(time.Hour)
		}
		return late.Add(time.Duration(r.step) * 10 * time.Second)
	}
	if _, err := r.run(context.Background()); err != nil || !slices.Equal(j.steps(Written), []int{1, 2, 3, 4}) {
		t.Errorf("written at %v; %v", j.steps(Written), err)
	}
}

func TestARunGivesAllOfTheDevicesMemoryBack(t *testing.T) {
	for _, optimizer := range []string{AdamW, PagedAdamW8bit} {
		inner := cpu.New(cpu.Options{Threads: 1})
		defer inner.Close()
		dev := &counted{Device: inner, left: 1 << 30}
		opt := codedOptions(optimizer)
		if _, err := Loop(context.Background(), dev, bigramsOf(codedWidth, 0), sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil); err != nil || dev.held != 0 {
			t.Errorf("%s: %d buffers are left; %v", optimizer, dev.held, err)
		}
	}
}

// A token that never occurs has no gradient in the input table: only decay moves its row.
func TestDecayMovesOnlyWhatDecays(t *testing.T) {
	train := sentences(1, 20)
	for i, e := range train {
		for k := range e.IDs {
			if e.IDs[k] == 10 {
				train[i].IDs[k] = 9
			}
		}
		for k, label := range e.Labels {
			if label == 10 {
				train[i].Labels[k] = 9
			}
		}
	}
	opt := testOptions()
	opt.Scheduler, opt.WarmupRatio, opt.LearningRate, opt.WeightDecay = "constant", 0, 0.01, 0.5
	for _, decays := range []bool{true, false} {
		task := bigrams(0)
		task.Weights[0].Decay = decays
		res, err := runUntil(t, task, train, nil, t.TempDir(), opt, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		factor := 1.0
		if decays {
			factor = math.Pow(1-0.01*0.5, float64(res.Steps))
		}
		for k := 10 * testWidth; k < 11*testWidth; k++ {
			want := factor * float64(task.Weights[0].Data[k])
			if got := float64(res.Weights[0].Data[k]); math.Abs(got-want) > 1e-7 {
				t.Errorf("decay %t: %g, want %g", decays, got, want)
			}
		}
	}
}

func TestDamagedFilesNeitherCountNorStay(t *testing.T) {
	dir, j := t.TempDir(), &journal{}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint-100.ckpt"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := runUntil(t, bigrams(0), sentences(1, 20), nil, dir, testOptions(), 0, j)
	if err != nil || res.ResumedFrom != 0 {
		t.Fatal(err)
	}
	if !slices.Equal(j.steps(Rejected), []int{100}) || !slices.Equal(j.steps(Pruned), []int{100, 2, 4, 6}) {
		t.Errorf("rejected %v, pruned %v", j.steps(Rejected), j.steps(Pruned))
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	if !slices.Equal(names, []string{"checkpoint-10.ckpt", "checkpoint-12.ckpt", "checkpoint-8.ckpt", "notes.txt"}) {
		t.Errorf("left %v", names)
	}
}

func TestAnEvaluationThatWasCutIsDoneOnceOnResumption(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	dir, opt := t.TempDir(), testOptions()
	opt.LoggingSteps, opt.EvalSteps = 0, 0 // both only at the end
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Loop(ctx, dev, bigrams(0), sentences(1, 20), sentences(2, 5), dir, opt, &journal{onRecord: func(Record) { cancel() }})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		j := &journal{}
		res, err := Loop(context.Background(), dev, bigrams(0), sentences(1, 20), sentences(2, 5), dir, opt, j)
		if err != nil {
			t.Fatal(err)
		}
		if len(j.records) != want || len(j.steps(Written)) != want || len(res.Records) != 2 {
			t.Errorf("call %d: %d new records, checkpoints %v, %d records in all", i, len(j.records), j.steps(Written), len(res.Records))
		}
	}
}

// weighed is a device that counts its memory.
type weighed struct{ *reference.Device }

func (weighed) MemoryInUse() (now, peak int64) { return 5, 7 }

func TestRecordsHaveTheDevicesPeakOfMemoryWhereItCounts(t *testing.T) {
	for want, dev := range map[float64]device.Device{0: reference.New(), 7: weighed{reference.New()}} {
		res, err := Loop(context.Background(), dev, bigrams(0), sentences(1, 6), nil, t.TempDir(), testOptions(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := res.Records[0].Timing["peak_memory_bytes"]; got != want || ok != (want > 0) {
			t.Errorf("the record says %g (%t), want %g", got, ok, want)
		}
	}
}
