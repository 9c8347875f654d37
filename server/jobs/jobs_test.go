package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/server/store"
)

const yamlText = "name: %s\ndata: {input_path: rows.jsonl}\nmodel: {base_model: base}\n"

func yamlOf(name string) string { return fmt.Sprintf(yamlText, name) }

// fake is a runner that records a run as the pipeline does and then waits to be told how it ends.
type fake struct {
	st      *store.Store
	started chan string // names of configurations, in the order they start
	end     chan error
	device  string
	closed  int

	mu   sync.Mutex
	opts pipeline.RunOptions
}

// last gives the options of the newest execution.
func (f *fake) last() pipeline.RunOptions {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opts
}

func (f *fake) Run(ctx context.Context, cfg config.Pipeline, o pipeline.RunOptions) (experiments.Run, bool, error) {
	run, err := f.st.Run(ctx, o.RunID)
	if err != nil {
		return experiments.Run{}, false, err
	}
	f.mu.Lock()
	f.opts = o
	f.mu.Unlock()
	run.Status = experiments.Running
	if err := f.st.SaveRun(ctx, run); err != nil {
		return experiments.Run{}, false, err
	}
	f.started <- cfg.Name
	select {
	case err = <-f.end:
	case <-ctx.Done():
		err = ctx.Err()
	}
	switch {
	case err == nil:
		run.Status = experiments.Finished
	case ctx.Err() != nil:
		run.Status = experiments.Interrupted
	default:
		run.Status, run.Error = experiments.Failed, err.Error()
	}
	return run, false, errors.Join(err, f.st.SaveRun(context.WithoutCancel(ctx), run))
}

func open(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func queue(t *testing.T) (*Queue, *fake) {
	t.Helper()
	st := open(t)
	f := &fake{st: st, started: make(chan string, 8), end: make(chan error)}
	q := New(st, func(cfg config.Pipeline) (Runner, func() error, error) {
		f.device = cfg.Device
		return f, func() error { f.closed++; return nil }, nil
	}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q, f
}

func submit(t *testing.T, q *Queue, name string) experiments.Run {
	t.Helper()
	run, err := q.Submit(context.Background(), yamlOf(name), name)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// becomes waits for a run's status.
func becomes(t *testing.T, st *store.Store, id string, want experiments.Status) experiments.Run {
	t.Helper()
	var run experiments.Run
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		var err error
		if run, err = st.Run(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		if run.Status == want {
			return run
		}
	}
	t.Fatalf("run %s is %s (%s), want %s", run.Name, run.Status, run.Error, want)
	return run
}

func next(t *testing.T, f *fake) string {
	t.Helper()
	select {
	case name := <-f.started:
		return name
	case <-time.After(20 * time.Second):
		t.Fatal("nothing starts")
		return ""
	}
}

func TestSubmittedRunsRunInOrderOneAtATime(t *testing.T) {
	q, f := queue(t)
	var runs []experiments.Run
	for _, name := range []string{"one", "two", "three"} {
		run := submit(t, q, name)
		if run.Status != experiments.Queued || run.Name != name || run.Config != yamlOf(name) || run.Tags["kind"] != "pipeline" {
			t.Errorf("submitted: %+v", run)
		}
		runs = append(runs, run)
	}
	for i, name := range []string{"one", "two", "three"} {
		if got := next(t, f); got != name {
			t.Fatalf("%s starts, want %s", got, name)
		}
		for _, later := range runs[i+1:] {
			becomes(t, f.st, later.ID, experiments.Queued)
		}
		f.end <- nil
		becomes(t, f.st, runs[i].ID, experiments.Finished)
	}
	e, err := f.st.EnsureExperiment(context.Background(), "two")
	if err != nil || runs[1].ExperimentID != e.ID {
		t.Errorf("experiment %q, %v; run is filed under %q", e.ID, err, runs[1].ExperimentID)
	}
	if err := q.Close(); err != nil || f.closed != 3 || f.device != "auto" {
		t.Errorf("%v; %d runners closed, device %q", err, f.closed, f.device)
	}
}

func TestAConfigurationWithAFaultIsRefused(t *testing.T) {
	q, f := queue(t)
	for name, text := range map[string]string{"unknown key": yamlOf("x") + "sed: 1\n", "not YAML": "a: ["} {
		if _, err := q.Submit(context.Background(), text, ""); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if runs, _, err := f.st.Runs(context.Background(), store.RunFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	run, err := q.Submit(context.Background(), yamlOf("unnamed"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse("2006-01-02 15:04:05", run.Name); err != nil {
		t.Errorf("a run without a name is called %q", run.Name)
	}
	next(t, f)
}

func TestCancel(t *testing.T) {
	q, f := queue(t)
	ctx := context.Background()
	running, waiting, last := submit(t, q, "running"), submit(t, q, "waiting"), submit(t, q, "last")
	next(t, f)
	t.Run("a waiting run never starts", func(t *testing.T) {
		if err := q.Cancel(ctx, waiting.ID); err != nil {
			t.Fatal(err)
		}
		if r := becomes(t, f.st, waiting.ID, experiments.Interrupted); !strings.Contains(r.Error, "before it started") || r.EndedAt.IsZero() {
			t.Errorf("%+v", r)
		}
	})
	t.Run("the running run is interrupted and the next begins", func(t *testing.T) {
		if err := q.Cancel(ctx, running.ID); err != nil {
			t.Fatal(err)
		}
		becomes(t, f.st, running.ID, experiments.Interrupted)
		if got := next(t, f); got != "last" {
			t.Errorf("%s starts", got)
		}
		f.end <- nil
		becomes(t, f.st, last.ID, experiments.Finished)
	})
	t.Run("a run that ended is in conflict, one that is not there is not found", func(t *testing.T) {
		for id, code := range map[string]experiments.Code{last.ID: experiments.CodeConflict, waiting.ID: experiments.CodeConflict, "nothing": experiments.CodeNotFound} {
			err := q.Cancel(ctx, id)
			// A run's end is stored a moment before the queue lets go of it.
			for deadline := time.Now().Add(20 * time.Second); err == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				err = q.Cancel(ctx, id)
			}
			if experiments.CodeOf(err) != code {
				t.Errorf("%s: %v, want %s", id, err, code)
			}
		}
	})
}

func TestResumeGoesOnWithTheSameRun(t *testing.T) {
	q, f := queue(t)
	ctx := context.Background()
	first := submit(t, q, "work")
	next(t, f)
	becomes(t, f.st, first.ID, experiments.Running)
	if r, err := q.Resume(ctx, first.ID); err != nil || r.ID != first.ID || r.Status != experiments.Running {
		t.Errorf("a running run: %+v %v", r, err)
	}
	f.end <- errors.New("the disk is full")
	if r := becomes(t, f.st, first.ID, experiments.Failed); r.Error != "the disk is full" {
		t.Errorf("failed with %q", r.Error)
	}
	blocker := submit(t, q, "blocker") // so that the resumed run waits
	next(t, f)
	for range 2 {
		r, err := q.Resume(ctx, first.ID)
		if err != nil || r.ID != first.ID || r.Status != experiments.Queued || r.Error != "" || !r.EndedAt.IsZero() || !r.CreatedAt.Equal(first.CreatedAt) {
			t.Fatalf("%+v %v", r, err)
		}
	}
	f.end <- nil
	becomes(t, f.st, blocker.ID, experiments.Finished)
	next(t, f)
	if o := f.last(); !o.Resume || o.RunID != first.ID || o.YAML != first.Config {
		t.Errorf("ran with %+v", o)
	}
	f.end <- nil
	becomes(t, f.st, first.ID, experiments.Finished)
	if runs, _, err := f.st.Runs(ctx, store.RunFilter{}); err != nil || len(runs) != 2 {
		t.Errorf("%d runs, %v; want the first and the blocker", len(runs), err)
	}
	last := submit(t, q, "last") // nothing of the first waits before it
	if got := next(t, f); got != "last" {
		t.Errorf("%s starts", got)
	}
	f.end <- nil
	becomes(t, f.st, last.ID, experiments.Finished)
	if _, err := q.Resume(ctx, first.ID); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("a finished run: %v", err)
	}
	if _, err := q.Resume(ctx, "nothing"); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("no run: %v", err)
	}
	logged := experiments.Run{ID: "logged", ExperimentID: first.ExperimentID, Name: "logged", Status: experiments.Failed}
	if err := f.st.SaveRun(ctx, logged); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Resume(ctx, "logged"); experiments.CodeOf(err) != experiments.CodeConflict || !strings.Contains(err.Error(), "no configuration") {
		t.Errorf("a client's run: %v", err)
	}
}

func TestASubmissionSentAgainWithItsKeyIsOneRun(t *testing.T) {
	q, f := queue(t)
	for n := range 2 {
		req := &store.Request{Key: "k", Of: "POST /jobs"}
		run, err := q.Submit(store.WithRequest(context.Background(), req), yamlOf("once"), "once")
		if err != nil || req.Replayed != (n == 1) {
			t.Fatalf("%+v %v, replayed %v", run, err, req.Replayed)
		}
	}
	next(t, f)
	f.end <- nil
	if runs, _, err := f.st.Runs(context.Background(), store.RunFilter{}); err != nil || len(runs) != 1 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	submit(t, q, "after")
	if got := next(t, f); got != "after" {
		t.Errorf("%s starts", got)
	}
}

func TestAnEndedRunStaysAsItEnded(t *testing.T) {
	q, f := queue(t)
	run := submit(t, q, "work")
	next(t, f)
	f.end <- nil
	becomes(t, f.st, run.ID, experiments.Finished)
	if err := q.mark(context.Background(), run.ID, experiments.Interrupted, "too late"); err != nil {
		t.Fatal(err)
	}
	if r, err := f.st.Run(context.Background(), run.ID); err != nil || r.Status != experiments.Finished || r.Error != "" {
		t.Errorf("%+v %v", r, err)
	}
}

// unable is a runner that fails before it records anything.
type unable struct{ err error }

func (u unable) Run(ctx context.Context, _ config.Pipeline, _ pipeline.RunOptions) (experiments.Run, bool, error) {
	if u.err != nil {
		return experiments.Run{}, false, u.err
	}
	<-ctx.Done()
	return experiments.Run{ID: "made, but not stored"}, false, ctx.Err()
}

func TestARunThatCannotBeginIsNotLeftQueued(t *testing.T) {
	tests := []struct {
		name   string
		open   func(config.Pipeline) (Runner, func() error, error)
		cancel bool
		status experiments.Status
		reason string
	}{
		{"the device is not there", func(config.Pipeline) (Runner, func() error, error) { return nil, nil, errors.New("no such device") }, false, experiments.Failed, "no such device"},
		{"the inputs have a fault", func(config.Pipeline) (Runner, func() error, error) {
			return unable{errors.New("no rows")}, func() error { return nil }, nil
		}, false, experiments.Failed, "no rows"},
		{"it is cancelled before it is recorded", func(config.Pipeline) (Runner, func() error, error) { return unable{}, func() error { return nil }, nil }, true, experiments.Interrupted, "resumes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := open(t)
			q := New(st, tt.open, slog.New(slog.DiscardHandler))
			defer q.Close()
			run := submit(t, q, "x")
			if tt.cancel {
				if err := q.Cancel(context.Background(), run.ID); err != nil {
					t.Fatal(err)
				}
			}
			if r := becomes(t, st, run.ID, tt.status); !strings.Contains(r.Error, tt.reason) && !strings.Contains(r.Error, "before it started") {
				t.Errorf("reason %q", r.Error)
			}
		})
	}
}

func TestCloseInterruptsTheRunningRunAndTheWaitingOnes(t *testing.T) {
	q, f := queue(t)
	running, waiting := submit(t, q, "running"), submit(t, q, "waiting")
	next(t, f)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{running.ID, waiting.ID} {
		if r, err := f.st.Run(context.Background(), id); err != nil || r.Status != experiments.Interrupted {
			t.Errorf("%s is %s, %v", r.Name, r.Status, err)
		}
	}
	late, err := q.Submit(context.Background(), yamlOf("late"), "late")
	if experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Errorf("submitted to a closed queue: %v", err)
	}
	becomes(t, f.st, late.ID, experiments.Interrupted)
	if err := q.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

func TestWhatAKilledServerLeftCanBeResumed(t *testing.T) {
	st := open(t)
	ctx := context.Background()
	e, err := st.EnsureExperiment(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []experiments.Run{
		{ID: "was-running", Status: experiments.Running, Config: yamlOf("x"), Steps: []experiments.Step{{Kind: experiments.StepConvert, Status: experiments.Finished}, {Kind: experiments.StepFinetune, Status: experiments.Running}}},
		{ID: "was-queued", Status: experiments.Queued, Config: yamlOf("x")},
		{ID: "was-finished", Status: experiments.Finished, Config: yamlOf("x")},
		{ID: "of-a-client", Status: experiments.Running},
	} {
		r.ExperimentID, r.Name = e.ID, r.ID
		if err := st.SaveRun(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := Recover(ctx, st); err != nil {
		t.Fatal(err)
	}
	f := &fake{st: st, started: make(chan string, 8), end: make(chan error)}
	q := New(st, func(config.Pipeline) (Runner, func() error, error) { return f, func() error { return nil }, nil }, slog.New(slog.DiscardHandler))
	defer q.Close()
	for id, want := range map[string]experiments.Status{
		"was-running": experiments.Interrupted, "was-queued": experiments.Interrupted, "was-finished": experiments.Finished, "of-a-client": experiments.Running,
	} {
		if r, err := st.Run(ctx, id); err != nil || r.Status != want {
			t.Errorf("%s is %s, %v; want %s", id, r.Status, err, want)
		}
	}
	if r, _ := st.Run(ctx, "was-running"); r.Steps[0].Status != experiments.Finished || r.Steps[1].Status != experiments.Interrupted {
		t.Errorf("steps %+v", r.Steps)
	}
	again, err := q.Resume(ctx, "was-running")
	if err != nil {
		t.Fatal(err)
	}
	next(t, f)
	f.end <- nil
	becomes(t, st, again.ID, experiments.Finished)
}
