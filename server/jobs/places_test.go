package jobs

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"triality/experiments"
)

// placed is a queue with some places.
func placed(t *testing.T, o Options) (*Queue, *fake) {
	t.Helper()
	f := newFake()
	o.Logger = slog.New(slog.DiscardHandler)
	q, err := New(context.Background(), open(t), f, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q, f
}

// submits submits a run whose configuration ends with more.
func submits(t *testing.T, q *Queue, name, more string, priority int) experiments.Run {
	t.Helper()
	run, err := q.Submit(context.Background(), experiments.Submission{Config: yamlOf(name) + more, Name: name, Priority: priority})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// says gives what a run waits for, in English.
func says(t *testing.T, q *Queue, run experiments.Run) string {
	t.Helper()
	why := q.Waits(context.Background(), run.ID)
	if why == nil {
		return ""
	}
	return strings.ReplaceAll(why.String(), "run "+why.Args["run"], "run RUN")
}

func TestAWaitingJobSaysWhy(t *testing.T) {
	q, f := placed(t, Options{Cards: 2})
	a := submits(t, q, "a", "", 0)
	if job := starts(t, f, a.ID); !slices.Equal(job.Devices, []int{0}) {
		t.Errorf("the first job has the cards %v", job.Devices)
	}
	b := submits(t, q, "b", "", 0)
	if job := starts(t, f, b.ID); !slices.Equal(job.Devices, []int{1}) {
		t.Errorf("the second job has the cards %v", job.Devices)
	}
	c, d, e := submits(t, q, "c", "", 0), submits(t, q, "d", "", 0), submits(t, q, "e", "", 4)
	for _, tt := range []struct {
		run  experiments.Run
		want string
	}{
		{a, ""}, {e, "waits for GPU 0 (run RUN: a)"}, {c, "behind 1 of higher priority"}, {d, "behind 1 of higher priority"},
	} {
		if got := says(t, q, tt.run); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.run.Name, got, tt.want)
		}
	}
	if _, err := q.Prioritize(context.Background(), e.ID, -3); err != nil {
		t.Fatal(err)
	}
	for run, want := range map[string]string{c.ID: "waits for GPU 0 (run RUN: a)", d.ID: "behind 1 that came before", e.ID: "behind 2 of higher priority"} {
		if got := says(t, q, experiments.Run{ID: run}); got != want {
			t.Errorf("after its priority fell: %q, want %q", got, want)
		}
	}
	list, err := q.List(context.Background())
	if err != nil || len(list) != 5 || list[2].Job.Waits == nil || list[2].Job.Waits.Code != experiments.WaitsForDevice || list[0].Job.Waits != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	if stored, err := q.store.Run(context.Background(), c.ID); err != nil || stored.Job.Waits != nil {
		t.Errorf("what it waits for is stored: %+v, %v", stored.Job, err)
	}
	f.end <- nil
	starts(t, f, c.ID)
}

func TestAPriorityChangesOnlyWhileARunWaits(t *testing.T) {
	q, f := queue(t)
	first, low, high := submit(t, q, "first"), submit(t, q, "low"), submit(t, q, "high")
	starts(t, f, first.ID)
	if run, err := q.Prioritize(context.Background(), high.ID, 9); err != nil || run.Job.Priority != 9 {
		t.Fatalf("%+v, %v", run.Job, err)
	}
	for id, code := range map[string]experiments.Code{first.ID: experiments.CodeConflict, "nothing": experiments.CodeNotFound} {
		if _, err := q.Prioritize(context.Background(), id, 9); experiments.CodeOf(err) != code {
			t.Errorf("%s: %v, want %s", id, err, code)
		}
	}
	for _, next := range []experiments.Run{high, low} {
		f.end <- nil
		starts(t, f, next.ID)
	}
	f.end <- nil
}

func TestJobsOfTheProcessorRunBesideThoseOnCardsWhereTheyMay(t *testing.T) {
	const cpu = "device: cpu\n"
	q, f := placed(t, Options{Cards: 1, Beside: 1})
	card := submits(t, q, "card", "", 0)
	starts(t, f, card.ID)
	waits := submits(t, q, "waits", "", 0)
	beside := submits(t, q, "beside", cpu, -5)
	if job := starts(t, f, beside.ID); job.Devices != nil {
		t.Errorf("a job of the processor has the cards %v", job.Devices)
	}
	second := submits(t, q, "second", cpu, 0)
	if got := says(t, q, second); got != "waits for the processor (run RUN: beside)" {
		t.Errorf("%q", got)
	}
	if got := says(t, q, waits); got != "waits for GPU 0 (run RUN: card)" {
		t.Errorf("%q", got)
	}

	q, f = placed(t, Options{Cards: 1})
	starts(t, f, submits(t, q, "card", "", 0).ID)
	if got := says(t, q, submits(t, q, "cpu", cpu, 0)); got != "waits for GPU 0 (run RUN: card)" {
		t.Errorf("without places beside: %q", got)
	}
}

func TestSlotsBeyondTheCardsShareThemEvenly(t *testing.T) {
	q, f := placed(t, Options{Cards: 2, Slots: 4})
	load := map[int]int{}
	for _, name := range []string{"a", "b", "c", "d"} {
		load[starts(t, f, submits(t, q, name, "", 0).ID).Devices[0]]++
	}
	if load[0] != 2 || load[1] != 2 {
		t.Errorf("jobs on the cards: %v", load)
	}
	if got := says(t, q, submits(t, q, "e", "", 0)); got != "waits for GPU 0 (run RUN: a)" {
		t.Errorf("%q", got)
	}
}

func TestAJobWaitsForTheMachinesMemoryBesideOthersOnly(t *testing.T) {
	var free atomic.Int64
	q, f := placed(t, Options{Slots: 2, Memory: func() (int64, int64) { return free.Load(), 16 << 30 }})
	first := submits(t, q, "first", "", 0)
	starts(t, f, first.ID)
	second := submits(t, q, "second", "", 0)
	if got := says(t, q, second); got != "waits for the machine's memory: 0.0 GiB are free, and it starts beside others at 2.0 GiB" {
		t.Errorf("%q", got)
	}
	free.Store(3 << 30)
	q.mu.Lock()
	if !q.looking {
		t.Error("nothing looks at the memory again")
	}
	q.fill() // as the look does
	q.mu.Unlock()
	starts(t, f, second.ID)
}

func TestAJobWhoseTrainingTakesSeveralCardsWaitsForThemAll(t *testing.T) {
	const together = "training: {devices: 2, gradient_accumulation_steps: 2}\n"
	q, f := placed(t, Options{Cards: 3, Slots: 6})
	pair := submits(t, q, "pair", together, 0)
	if job := starts(t, f, pair.ID); !slices.Equal(job.Devices, []int{0, 1}) {
		t.Errorf("it has the cards %v", job.Devices)
	}
	if job := starts(t, f, submits(t, q, "one", "", 0).ID); !slices.Equal(job.Devices, []int{2}) {
		t.Errorf("the next has the cards %v", job.Devices)
	}
	q, f = placed(t, Options{Cards: 2})
	one := submits(t, q, "one", "", 0)
	starts(t, f, one.ID)
	waits := submits(t, q, "waits", together, 0)
	if got := says(t, q, waits); got != "waits for GPU 0 (run RUN: one)" {
		t.Errorf("%q", got)
	}
	f.end <- nil
	if job := starts(t, f, waits.ID); len(job.Devices) != 2 {
		t.Errorf("it has the cards %v", job.Devices)
	}
}
