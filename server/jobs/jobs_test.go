package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/store"
	"triality/server/worker"
)

const yamlText = "name: %s\ndata: {input_path: rows.jsonl}\nmodel: {base_model: base}\n"

func yamlOf(name string) string { return fmt.Sprintf(yamlText, name) }

// fake is a worker that records a run as the pipeline does and then waits to be told how it ends.
type fake struct {
	started chan worker.Job
	end     chan error
	linger  chan struct{} // where not nil, a cancelled job waits for it before it ends
}

func (f *fake) Run(ctx context.Context, job worker.Job, t experiments.Tracker, log io.Writer) error {
	record := context.WithoutCancel(ctx)
	run, err := t.Run(record, job.RunID)
	if err != nil {
		return err
	}
	run.Name, run.Tags, run.Job = "as the worker names it", map[string]string{"kind": "pipeline"}, nil
	run.Status, run.Steps = experiments.Running, []experiments.Step{{Kind: "convert", Status: experiments.Finished}, {Kind: "finetune", Status: experiments.Running}}
	if err := t.SaveRun(record, run); err != nil {
		return err
	}
	fmt.Fprintln(log, "convert started")
	f.started <- job
	select {
	case err = <-f.end:
	case <-ctx.Done():
		err = ctx.Err()
		if f.linger != nil {
			<-f.linger
		}
	}
	var death *worker.Death
	switch {
	case errors.As(err, &death):
		return err // and records nothing
	case err == nil:
		run.Status = experiments.Finished
	case ctx.Err() != nil:
		run.Status = experiments.Interrupted
	default:
		run.Status, run.Error = experiments.Failed, err.Error()
	}
	return errors.Join(err, t.SaveRun(record, run))
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

func newFake() *fake { return &fake{started: make(chan worker.Job, 8), end: make(chan error)} }

func begin(t *testing.T, st *store.Store, w Worker) *Queue {
	t.Helper()
	q, err := New(context.Background(), st, w, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func queue(t *testing.T) (*Queue, *fake) {
	t.Helper()
	f := newFake()
	return begin(t, open(t), f), f
}

func submit(t *testing.T, q *Queue, name string) experiments.Run {
	t.Helper()
	run, err := q.Submit(context.Background(), experiments.Submission{Config: yamlOf(name), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// becomes waits for a run's status.
func becomes(t *testing.T, q *Queue, id string, want experiments.Status) experiments.Run {
	t.Helper()
	var run experiments.Run
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		var err error
		if run, err = q.store.Run(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		if run.Status == want {
			return run
		}
	}
	t.Fatalf("run %s is %s (%s), want %s", run.Name, run.Status, run.Error, want)
	return run
}

// starts waits for a run to be at work.
func starts(t *testing.T, f *fake, id string) worker.Job {
	t.Helper()
	select {
	case job := <-f.started:
		if job.RunID != id {
			t.Fatalf("%s starts, want %s", job.RunID, id)
		}
		return job
	case <-time.After(20 * time.Second):
		t.Fatal("nothing starts")
		return worker.Job{}
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
	urgent, err := q.Submit(context.Background(), experiments.Submission{Config: yamlOf("urgent"), Name: "urgent", Priority: 5})
	if err != nil {
		t.Fatal(err)
	}
	want := []experiments.Run{runs[0], urgent, runs[1], runs[2]} // the first was under way
	for i, run := range want {
		starts(t, f, run.ID)
		if list, err := q.List(context.Background()); err != nil || len(list) != len(want)-i || list[0].ID != run.ID {
			t.Errorf("the queue has %d runs, %v", len(list), err)
		}
		for _, later := range want[i+1:] {
			becomes(t, q, later.ID, experiments.Queued)
		}
		f.end <- nil
		becomes(t, q, run.ID, experiments.Finished)
	}
	e, err := q.store.EnsureExperiment(context.Background(), "two")
	if err != nil || runs[1].ExperimentID != e.ID {
		t.Errorf("experiment %q, %v; run is filed under %q", e.ID, err, runs[1].ExperimentID)
	}
}

func TestSeveralSlotsRunSeveralJobs(t *testing.T) {
	f := newFake()
	q, err := New(context.Background(), open(t), f, Options{Slots: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	a, b, c := submit(t, q, "a"), submit(t, q, "b"), submit(t, q, "c")
	seen := map[string]bool{(<-f.started).RunID: true, (<-f.started).RunID: true}
	if !seen[a.ID] || !seen[b.ID] {
		t.Errorf("at work: %v", seen)
	}
	becomes(t, q, c.ID, experiments.Queued)
	f.end <- nil
	starts(t, f, c.ID)
}

func TestAConfigurationWithAFaultIsRefused(t *testing.T) {
	q, f := queue(t)
	for name, text := range map[string]string{"unknown key": yamlOf("x") + "sed: 1\n", "not YAML": "a: ["} {
		if _, err := q.Submit(context.Background(), experiments.Submission{Config: text}); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if runs, _, err := q.store.Runs(context.Background(), store.RunFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	run := submit(t, q, "")
	if _, err := time.Parse("2006-01-02 15:04:05", run.Name); err != nil {
		t.Errorf("a run without a name is called %q", run.Name)
	}
	starts(t, f, run.ID)
}

func TestWhatTheJobNeedsToKnowReachesItsWorker(t *testing.T) {
	q, f := queue(t)
	dir := t.TempDir()
	run, err := q.Submit(context.Background(), experiments.Submission{Config: yamlOf("x"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if job := starts(t, f, run.ID); job.Dir != dir || job.Config != yamlOf("x") || job.Resume || job.Lock == "" {
		t.Errorf("%+v", job)
	}
}

func TestCancel(t *testing.T) {
	q, f := queue(t)
	ctx := context.Background()
	running, waiting, last := submit(t, q, "running"), submit(t, q, "waiting"), submit(t, q, "last")
	starts(t, f, running.ID)
	t.Run("a waiting run never starts", func(t *testing.T) {
		if err := q.Cancel(ctx, waiting.ID); err != nil {
			t.Fatal(err)
		}
		if r := becomes(t, q, waiting.ID, experiments.Interrupted); !strings.Contains(r.Error, "while it waited") || r.EndedAt.IsZero() {
			t.Errorf("%+v", r)
		}
	})
	t.Run("the running run is interrupted and the next begins", func(t *testing.T) {
		if err := q.Cancel(ctx, running.ID); err != nil {
			t.Fatal(err)
		}
		starts(t, f, last.ID)
		if r := becomes(t, q, running.ID, experiments.Interrupted); !strings.Contains(r.Error, "cancelled") {
			t.Errorf("reason %q", r.Error)
		}
		f.end <- nil
		becomes(t, q, last.ID, experiments.Finished)
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
	t.Run("a run that a client logs is the client's to end", func(t *testing.T) {
		own, err := q.store.CreateRun(ctx, experiments.Run{ID: "own", Name: "own", ExperimentID: last.ExperimentID, Status: experiments.Running})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Cancel(ctx, own.ID); experiments.CodeOf(err) != experiments.CodeConflict || !strings.Contains(err.Error(), "is running, but not by this server: "+store.EndByPatch) {
			t.Errorf("%v", err)
		}
	})
}

func TestResumeGoesOnWithTheSameRun(t *testing.T) {
	q, f := queue(t)
	ctx := context.Background()
	run := submit(t, q, "work")
	starts(t, f, run.ID)
	if again, err := q.Resume(ctx, run.ID); err != nil || again.ID != run.ID || again.Status != experiments.Running {
		t.Errorf("a running run: %+v %v", again, err)
	}
	f.end <- errors.New("the disk is full")
	if r := becomes(t, q, run.ID, experiments.Failed); r.Error != "the disk is full" || r.Job.Attempt != 1 {
		t.Errorf("failed with %q after %d attempts", r.Error, r.Job.Attempt)
	}
	for range 2 { // pressed twice
		again, err := q.Resume(ctx, run.ID)
		if err != nil || again.ID != run.ID || again.Error != "" {
			t.Fatalf("%+v %v", again, err)
		}
	}
	if job := starts(t, f, run.ID); !job.Resume {
		t.Error("the worker is not told that the run has begun before")
	}
	f.end <- nil
	if r := becomes(t, q, run.ID, experiments.Finished); r.Job.Attempt != 2 {
		t.Errorf("%d attempts", r.Job.Attempt)
	}
	if runs, _, err := q.store.Runs(ctx, store.RunFilter{}); err != nil || len(runs) != 1 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if _, err := q.Resume(ctx, run.ID); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("a finished run: %v", err)
	}
	if _, err := q.Resume(ctx, "nothing"); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("no run: %v", err)
	}
	logged := experiments.Run{ID: "logged", ExperimentID: run.ExperimentID, Name: "logged", Status: experiments.Failed}
	if err := q.store.SaveRun(ctx, logged); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Resume(ctx, "logged"); experiments.CodeOf(err) != experiments.CodeConflict || !strings.Contains(err.Error(), "no configuration") {
		t.Errorf("a client's run: %v", err)
	}
}

// A run's end is recorded before its worker has left; who resumes it then must not wait for ever, nor have
// it run twice at once.
func TestARunResumedWhileItsAttemptEndsGoesOnAfterwards(t *testing.T) {
	q, f := queue(t)
	f.linger = make(chan struct{})
	run := submit(t, q, "work")
	starts(t, f, run.ID)
	if err := q.Cancel(context.Background(), run.ID); err != nil {
		t.Fatal(err)
	}
	// As the worker records it, a moment before it leaves.
	if _, err := q.store.UpdateRun(context.Background(), run.ID, func(r *experiments.Run) error {
		r.Status = experiments.Interrupted
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Resume(context.Background(), run.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-f.started:
		t.Fatal("two workers are at one run")
	case <-time.After(50 * time.Millisecond):
	}
	close(f.linger)
	starts(t, f, run.ID)
	f.end <- nil
	becomes(t, q, run.ID, experiments.Finished)
}

// leaving is a worker that has recorded its end, once it is cancelled, and takes its time to leave.
type leaving struct{ started, leave chan struct{} }

func (l leaving) Run(ctx context.Context, job worker.Job, t experiments.Tracker, _ io.Writer) error {
	l.started <- struct{}{}
	<-ctx.Done()
	record := context.WithoutCancel(ctx)
	run, err := t.Run(record, job.RunID)
	if err != nil {
		return err
	}
	run.Status = experiments.Interrupted
	if err := t.SaveRun(record, run); err != nil {
		return err
	}
	<-l.leave
	return ctx.Err()
}

func TestARunCancelledWhileItsAttemptEndsDoesNotGoOn(t *testing.T) {
	ctx := context.Background()
	t.Run("it had been resumed", func(t *testing.T) {
		w := leaving{make(chan struct{}, 1), make(chan struct{})}
		q := begin(t, open(t), w)
		leave := sync.OnceFunc(func() { close(w.leave) })
		defer leave()
		run := submit(t, q, "work")
		<-w.started
		if err := q.Cancel(ctx, run.ID); err != nil {
			t.Fatal(err)
		}
		becomes(t, q, run.ID, experiments.Interrupted)
		if _, err := q.Resume(ctx, run.ID); err != nil {
			t.Fatal(err)
		}
		if err := q.Cancel(ctx, run.ID); err != nil {
			t.Fatal(err)
		}
		becomes(t, q, run.ID, experiments.Interrupted)
		leave()
		isLetGo(t, q, run.ID)
		becomes(t, q, run.ID, experiments.Interrupted)
	})
	t.Run("its worker dies at that moment", func(t *testing.T) {
		q, f := queue(t)
		for range 50 {
			run := submit(t, q, "work")
			starts(t, f, run.ID)
			cancelled := make(chan error)
			go func() { cancelled <- q.Cancel(ctx, run.ID) }()
			select { // which of the two comes first is open
			case f.end <- &worker.Death{Cause: "killed"}:
			case <-time.After(time.Millisecond):
			}
			if err := <-cancelled; err != nil {
				t.Fatal(err)
			}
			isLetGo(t, q, run.ID)
			if r := becomes(t, q, run.ID, experiments.Interrupted); !strings.Contains(r.Error, "cancelled") {
				t.Fatalf("reason %q", r.Error)
			}
			for len(f.started) > 0 { // an attempt that had begun before it was cancelled
				<-f.started
			}
		}
	})
}

// isLetGo waits until the queue neither runs nor holds a run.
func isLetGo(t *testing.T, q *Queue, id string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		list, err := q.List(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(list, func(r experiments.Run) bool { return r.ID == id }) {
			return
		}
	}
	t.Fatal("the queue goes on with the run")
}

func TestARunWhoseWorkerDiesAfterItsEndHasEnded(t *testing.T) {
	q, f := queue(t)
	run := submit(t, q, "work")
	starts(t, f, run.ID)
	if _, err := q.store.UpdateRun(context.Background(), run.ID, func(r *experiments.Run) error {
		r.Status = experiments.Finished
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f.end <- &worker.Death{Cause: "killed"}
	next := submit(t, q, "next")
	starts(t, f, next.ID)
	f.end <- nil
	isLetGo(t, q, run.ID)
	if r := becomes(t, q, run.ID, experiments.Finished); r.Job.Attempt != 1 {
		t.Errorf("%d attempts", r.Job.Attempt)
	}
}
