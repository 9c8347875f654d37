package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/server/transfer"
	"triality/server/worker"
)

// sendEvery is how often a running job's folder is looked through for what has appeared.
const sendEvery = 2 * time.Second

// Transferred is the courier that package transfer makes.
type Transferred struct{ *transfer.Worker }

// Stage implements Courier.
func (t Transferred) Stage(ctx context.Context, job worker.Job, server Caller, log io.Writer) (worker.Job, Delivery, error) {
	told := time.Time{}
	p, err := t.Worker.Stage(ctx, server, job.RunID, func(p transfer.Progress) {
		if now := time.Now(); now.Sub(told) > 5*time.Second && p.Done < p.Total {
			fmt.Fprintf(log, "files: %.1f of %.1f MB\n", float64(p.Done)/1e6, float64(p.Total)/1e6)
			told = now
		}
	})
	if err != nil {
		return job, nil, err
	}
	job.Dir, job.Config, job.Copies = p.Dir, p.Config, true
	return job, &delivery{Workplace: p, sent: map[string]bool{}}, nil
}

// delivery sends a job's files before the records that speak of them.
type delivery struct {
	*transfer.Workplace
	sent map[string]bool // keys of the finished steps whose results are there
}

// Watch implements Delivery.
func (d *delivery) Watch(ctx context.Context) error { return d.Workplace.Watch(ctx, sendEvery) }

// Before implements Delivery. The records of a run come one after the other.
func (d *delivery) Before(ctx context.Context, run experiments.Run) error {
	if run.Status.Done() && run.ParentID == "" { // a part's end is not that of the job
		return d.Finish(ctx)
	}
	news := false
	for _, s := range run.Steps {
		if s.Status == experiments.Finished && !d.sent[s.Key] {
			d.sent[s.Key], news = true, true
		}
	}
	if !news {
		return nil
	}
	return d.Send(ctx)
}

// After implements Delivery.
func (d *delivery) After(ctx context.Context, over bool) error {
	if over {
		return d.Remove()
	}
	return d.Send(ctx)
}

// filed is a tracker whose records wait for the files that they speak of, and speak of them as the server does.
type filed struct {
	experiments.Tracker
	files   *transfer.Server
	attempt ref
	params  map[string]string // of the configuration as the server has it
	config  string
}

// commitSuffix ends a parameter that is the commit of a model of the Hub, after the key or the name that it has in the
// configuration.
const commitSuffix = ".commit"

// newFiled begins an attempt's transfer.
func newFiled(ctx context.Context, files *transfer.Server, job worker.Job, tracker experiments.Tracker) (*filed, error) {
	before, err := tracker.Run(ctx, job.RunID)
	if err != nil {
		return nil, err
	}
	commits := map[string]string{}
	for key, value := range before.Params {
		if name, ok := strings.CutSuffix(key, commitSuffix); ok {
			commits[name] = value
		}
	}
	var outputs []string
	for _, s := range before.Steps {
		outputs = append(outputs, s.Output)
	}
	spec, err := pipeline.ParseSpec("config", []byte(job.Config))
	if err != nil {
		return nil, err
	}
	if err := files.Begin(ctx, transfer.Job{Run: job.RunID, Attempt: job.Attempt, Config: job.Config, Dir: job.Dir, Outputs: outputs, Commits: commits}); err != nil {
		return nil, err
	}
	return &filed{Tracker: tracker, files: files, attempt: ref{job.RunID, job.Attempt}, params: spec.Params(), config: job.Config}, nil
}

// SaveRun records a run once its files are there.
func (f *filed) SaveRun(ctx context.Context, run experiments.Run) error {
	part := run.ID != f.attempt.Run
	if run.Status == experiments.Finished && !part && !f.files.Complete(f.attempt.Run, f.attempt.Attempt) {
		return experiments.Errorf(experiments.CodeConflict, "run %s: its worker says that it is finished, and has not sent all results", run.ID)
	}
	for i := range run.Steps {
		run.Steps[i].Output = f.files.Called(f.attempt.Run, run.Steps[i].Output)
	}
	if run.Config = f.config; part {
		run.Config = "" // that names what the worker's machine has
		return f.Tracker.SaveRun(ctx, run)
	}
	params := map[string]string{}
	for key, value := range run.Params {
		if name, ok := strings.CutSuffix(key, commitSuffix); ok {
			key = f.files.Called(run.ID, name) + commitSuffix
		}
		if ours, ok := f.params[key]; ok {
			value = ours
		}
		params[key] = value
	}
	run.Params = params
	return f.Tracker.SaveRun(ctx, run)
}

// CountLook implements experiments.LookCounter: the rows that the worker has looked at are copies of the server's, beside
// which all machines' looks are counted.
func (f *filed) CountLook(ctx context.Context, run, path string, l experiments.Look) (experiments.Looks, error) {
	at, err := f.files.TestSet(run, f.attempt.Attempt, path)
	if err != nil {
		return experiments.Looks{}, err
	}
	if !strings.HasPrefix(l.ID, run+"/") {
		return experiments.Looks{}, experiments.Errorf(experiments.CodeInvalid, "a look %.80q of run %s", l.ID, run)
	}
	return pipeline.CountLook(ctx, at, l)
}

// final turns the end of an attempt into an answer, which package transfer does not ask for again.
func final(err error) error {
	if errors.Is(err, worker.ErrFenced) {
		return experiments.Errorf(experiments.CodeConflict, "%w", err)
	}
	return err
}
