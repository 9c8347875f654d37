package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/store"
	"triality/server/worker"
)

func TestADeadWorkersRunGoesOnByItself(t *testing.T) {
	q, f := queue(t)
	run := submit(t, q, "work")
	die := func(cause string) { f.end <- &worker.Death{Cause: cause, Detail: "its last words"} }
	starts(t, f, run.ID)
	die("killed")
	starts(t, f, run.ID)
	die("killed")
	starts(t, f, run.ID)
	die("panic: x") // another way of dying
	starts(t, f, run.ID)
	if r := becomes(t, q, run.ID, experiments.Running); r.Job.Attempt != 4 || r.Job.Deaths != 1 || r.Job.Death != "panic: x" {
		t.Errorf("%+v", r.Job)
	}
	f.end <- nil
	becomes(t, q, run.ID, experiments.Finished)
	log, err := q.Log(run.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	text, err := io.ReadAll(log)
	if err != nil || !strings.Contains(string(text), "attempt 2 ended: the worker died: killed; its last words: its last words") || strings.Count(string(text), "convert started") != 4 {
		t.Errorf("%v, log:\n%s", err, text)
	}
}

func TestARunWhoseWorkersDieInOneWayThreeTimesFails(t *testing.T) {
	q, f := queue(t)
	run, next := submit(t, q, "work"), submit(t, q, "next")
	for range deaths {
		if got := <-f.started; got.RunID == next.ID { // it may have come between
			f.end <- nil
			<-f.started
		}
		f.end <- &worker.Death{Cause: "out of memory", Detail: "fatal error"}
	}
	r := becomes(t, q, run.ID, experiments.Failed)
	for _, part := range []string{"3 times in a row", "out of memory", "fatal error"} {
		if !strings.Contains(r.Error, part) {
			t.Errorf("%q lacks %q", r.Error, part)
		}
	}
	if r.Steps[1].Status != experiments.Failed || r.EndedAt.IsZero() {
		t.Errorf("%+v", r)
	}
}

// dying is a worker that reads weights, trains as far as it is told and dies as it is told.
type dying struct {
	steps  func(attempt int) int64
	cause  func(attempt int) string
	counts *int
}

func (d dying) Run(_ context.Context, job worker.Job, t experiments.Tracker, _ io.Writer) error {
	*d.counts++
	t.Progress(job.RunID, "finetune", experiments.Progress{Done: 7600, Unit: "million weights"})
	t.Progress(job.RunID, "finetune", experiments.Progress{Done: d.steps(*d.counts), Unit: "steps"})
	return &worker.Death{Cause: d.cause(*d.counts)}
}

func TestWhetherARunGetsFurtherDecidesHowOftenItsWorkersMayDie(t *testing.T) {
	same := func(int) string { return "killed" }
	for name, tt := range map[string]struct {
		worker   dying
		attempts int
	}{
		"it trains further each time, after more weights than steps": {dying{steps: func(n int) int64 { return int64(min(n, 10)) }, cause: same}, 12},
		"it dies at one step":                        {dying{steps: func(int) int64 { return 5 }, cause: same}, 3},
		"it dies at one step, each time another way": {dying{steps: func(int) int64 { return 5 }, cause: func(n int) string { return fmt.Sprintf("panic: at %#x", n) }}, 9},
		"it dies before where it has been":           {dying{steps: func(n int) int64 { return int64(9 - n%2) }, cause: same}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			tt.worker.counts = new(int)
			q := begin(t, open(t), tt.worker)
			r := becomes(t, q, submit(t, q, "work").ID, experiments.Failed)
			if r.Job.Attempt != tt.attempts || !strings.Contains(r.Error, "without getting further") {
				t.Errorf("%d attempts, want %d: %s", r.Job.Attempt, tt.attempts, r.Error)
			}
		})
	}
}

// mute is a worker that ends without recording anything.
type mute struct{ err error }

func (m mute) Run(context.Context, worker.Job, experiments.Tracker, io.Writer) error { return m.err }

func TestARunThatCannotBeginIsNotLeftQueued(t *testing.T) {
	for reason, w := range map[string]mute{"no such device": {errors.New("no such device")}, "without recording an end": {nil}} {
		q := begin(t, open(t), w)
		if r := becomes(t, q, submit(t, q, "x").ID, experiments.Failed); !strings.Contains(r.Error, reason) {
			t.Errorf("reason %q, want %q", r.Error, reason)
		}
	}
}

func TestAServerThatStartsAgainGoesOn(t *testing.T) {
	st := open(t)
	f := newFake()
	q := begin(t, st, f)
	running, waiting := submit(t, q, "running"), submit(t, q, "waiting")
	starts(t, f, running.ID)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	for id, reason := range map[string]string{running.ID: "the server stopped", waiting.ID: ""} {
		r, err := st.Run(context.Background(), id)
		if err != nil || r.Status != experiments.Queued || !strings.Contains(r.Job.Reason, reason) {
			t.Errorf("%s is %s (%q), %v", r.Name, r.Status, r.Job.Reason, err)
		}
	}
	if _, err := q.Submit(context.Background(), experiments.Submission{Config: yamlOf("late")}); experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Errorf("submitted to a closed queue: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}

	f = newFake()
	q = begin(t, st, f)
	if job := starts(t, f, running.ID); !job.Resume {
		t.Error("the worker is not told that the run has begun before")
	}
	f.end <- nil
	if job := starts(t, f, waiting.ID); job.Resume {
		t.Error("the worker is told that a fresh run has begun before")
	}
	f.end <- nil
	becomes(t, q, waiting.ID, experiments.Finished)
	if runs, _, err := st.Runs(context.Background(), store.RunFilter{}); err != nil || len(runs) != 2 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

func TestWhatAKilledServerLeftGoesOn(t *testing.T) {
	st := open(t)
	ctx := context.Background()
	e, err := st.EnsureExperiment(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	steps := []experiments.Step{{Kind: "convert", Status: experiments.Finished}, {Kind: "finetune", Status: experiments.Running}}
	for _, r := range []experiments.Run{
		{ID: "was-running", Status: experiments.Running, Config: yamlOf("x"), Job: &experiments.Job{QueuedAt: now, Attempt: 1}, Steps: steps},
		{ID: "was-queued", Status: experiments.Queued, Config: yamlOf("x"), Job: &experiments.Job{QueuedAt: now.Add(time.Second)}},
		{ID: "was-finished", Status: experiments.Finished, Config: yamlOf("x"), Job: &experiments.Job{QueuedAt: now}},
		{ID: "of-a-command", Status: experiments.Running, Config: yamlOf("x"), Steps: steps},
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
	for id, want := range map[string]experiments.Status{
		"was-running": experiments.Queued, "was-queued": experiments.Queued, "was-finished": experiments.Finished,
		"of-a-command": experiments.Interrupted, "of-a-client": experiments.Running,
	} {
		if r, err := st.Run(ctx, id); err != nil || r.Status != want {
			t.Errorf("%s is %s, %v; want %s", id, r.Status, err, want)
		}
	}
	r, err := st.Run(ctx, "was-running")
	if err != nil || r.Steps[0].Status != experiments.Finished || r.Steps[1].Status != experiments.Interrupted || !strings.Contains(r.Job.Reason, "the server ended") {
		t.Errorf("%+v %v", r, err)
	}
	f := newFake()
	q := begin(t, st, f)
	for _, id := range []string{"was-running", "was-queued"} {
		starts(t, f, id)
		f.end <- nil
		becomes(t, q, id, experiments.Finished)
	}
}

func TestWhatAPersonChangesOfARunningRunStays(t *testing.T) {
	q, f := queue(t)
	ctx := context.Background()
	run := submit(t, q, "work")
	starts(t, f, run.ID)
	if _, err := q.store.UpdateRun(ctx, run.ID, func(r *experiments.Run) error {
		r.Name, r.Tags = "renamed", map[string]string{"note": "the good one"} // and "kind" is removed
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f.end <- nil
	if r := becomes(t, q, run.ID, experiments.Finished); r.Name != "renamed" || len(r.Tags) != 1 || r.Tags["note"] != "the good one" || r.Job.Attempt != 1 {
		t.Errorf("%+v", r)
	}
}

func TestAWorkerThatAnotherTookOverFromChangesNothing(t *testing.T) {
	q, f := queue(t)
	run := submit(t, q, "work")
	starts(t, f, run.ID)
	stored := becomes(t, q, run.ID, experiments.Running)
	stored.Status = experiments.Failed
	if err := (recorder{q.store, stored.ID, 0, &reached{}, false}).SaveRun(context.Background(), stored); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("a late result: %v", err)
	}
	becomes(t, q, run.ID, experiments.Running)
}

func TestALogIsKeptInBounds(t *testing.T) {
	q, f := queue(t)
	run := submit(t, q, "work")
	starts(t, f, run.ID)
	if _, err := q.Log("../x", 0); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("a path: %v", err)
	}
	if _, err := q.Log("nothing", 0); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("no log: %v", err)
	}
	l, err := openLog(folder(q.store) + "/long.log")
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 1<<20-1) + "\n"
	for i := range 30 {
		if _, err := fmt.Fprintf(l, "%d %s", i, line); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := q.Log("long", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil || len(text) > 2*logBytes+4<<20 || len(text) < logBytes || !strings.Contains(string(text[len(text)-len(line)-3:]), "29 x") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestALogIsReadFromAnyPlace(t *testing.T) {
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, jobsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"r.log.1": "older ", "r.log": "newer"} {
		if err := os.WriteFile(filepath.Join(data, jobsDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const whole = "older newer"
	for from := range len(whole) + 3 {
		r, err := OpenLog(data, "r", int64(from))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(text) != whole[min(from, len(whole)):] {
			t.Errorf("from %d: %q, %v", from, text, err)
		}
	}
}

func TestALogThatCannotStepAsideGoesOn(t *testing.T) {
	dir := t.TempDir()
	l, err := openLog(filepath.Join(dir, "r.log"))
	if err != nil {
		t.Fatal(err)
	}
	stop := disk.Watch(dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpRename {
			return errors.New("no")
		}
		return do()
	})
	defer stop()
	fmt.Fprint(l, strings.Repeat("x", logBytes+1))
	fmt.Fprint(l, "the last words")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "r.log")); err != nil || !strings.HasSuffix(string(text), "the last words") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestTheFilesOfARunThatIsGoneGo(t *testing.T) {
	q, f := queue(t)
	run := submit(t, q, "kept")
	starts(t, f, run.ID)
	f.end <- nil
	becomes(t, q, run.ID, experiments.Finished)
	for _, name := range []string{"gone.log", "gone.log.1", "gone.lock"} {
		if err := os.WriteFile(filepath.Join(folder(q.store), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	begin(t, q.store, f)
	left, err := filepath.Glob(filepath.Join(folder(q.store), "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != run.ID+logSuffix {
		t.Errorf("left %v, %v", left, err)
	}
}
