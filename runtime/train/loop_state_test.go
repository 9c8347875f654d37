package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

func TestEveryMicroBatchOfTheRunHasItsOwnDropoutKey(t *testing.T) {
	task := bigrams(0.5)
	build, seen := task.Build, map[[2]int32]int{}
	task.Build = func(rows int, training bool) (*Program, error) {
		p, err := build(rows, training)
		if err != nil {
			return nil, err
		}
		feed := p.Feed
		p.Feed = func(b *Packed, w *Window) ([]Input, error) {
			if !w.Eval {
				seen[w.DropoutKey]++
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
