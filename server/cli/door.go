package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/server/client"
	"triality/server/store"
)

// owner is who answers for a data folder: a running server, or this process, which has the store open.
type owner struct {
	server *client.Client
	store  *store.Store
}

// open finds the owner of a data folder. Close it.
func (e *env) open(ctx context.Context, dir string) (owner, error) {
	st, err := e.openStore(dir, store.Options{Logger: e.logger(slog.LevelWarn)})
	if err == nil {
		return owner{store: st}, nil
	}
	if experiments.CodeOf(err) == experiments.CodeUnavailable {
		if c, ok := client.Of(ctx, dir); ok {
			return owner{server: c}, nil
		}
	}
	return owner{}, err
}

func (o owner) Close() error {
	if o.store == nil {
		return nil
	}
	return o.store.Close()
}

// run gives a run.
func (o owner) run(ctx context.Context, id string) (experiments.Run, error) {
	if o.server != nil {
		return o.server.Run(ctx, id)
	}
	return o.store.Run(ctx, id)
}

// runs gives runs, the newest first; status and experiment narrow them where not empty.
func (o owner) runs(ctx context.Context, experiment string, status experiments.Status, limit int) ([]experiments.Run, error) {
	if o.server != nil {
		q := url.Values{}
		if experiment != "" {
			q.Set("experiment_id", experiment)
		}
		if status != "" {
			q.Set("status", string(status))
		}
		return o.server.Runs(ctx, q, limit)
	}
	runs, _, err := o.store.Runs(ctx, store.RunFilter{ExperimentID: experiment, Status: status, Limit: limit})
	return runs, err
}

// experiments gives a page of experiments.
func (o owner) experiments(ctx context.Context, cursor string) ([]store.ExperimentInfo, string, error) {
	if o.server != nil {
		return o.server.Experiments(ctx, cursor)
	}
	return o.store.Experiments(ctx, 1000, cursor)
}

// runThrough has a server run a configuration, shows the run as if it ran here, and prints the outcome. When
// ctx ends the run is cancelled, as it would be here.
func (e *env) runThrough(ctx context.Context, c *client.Client, path, name string, set []string) error {
	spec, err := pipeline.LoadSpec(path, set...)
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	run, err := c.Submit(ctx, spec.Text, name, dir)
	if err != nil {
		return err
	}
	screen := &following{terminal: newTerminal(e.stderr), steps: map[string]experiments.Status{}}
	screen.Note("server", "runs it: "+c.URL()+"/runs/"+run.ID)
	run, err = c.Follow(ctx, run.ID, screen)
	if ctx.Err() != nil {
		later := context.WithoutCancel(ctx)
		if _, err := c.Cancel(later, run.ID); err != nil {
			return errors.Join(ctx.Err(), err)
		}
		run, err = c.Follow(later, run.ID, screen)
	}
	screen.clear()
	switch {
	case err != nil:
		return err
	case run.Status == experiments.Finished:
		return e.printOutcome(run, allReused(run))
	case run.Status == experiments.Interrupted:
		return experiments.Errorf(experiments.CodeUnavailable, "%s; `triality jobs retry %s` goes on", run.Error, run.ID)
	}
	return experiments.Errorf(experiments.CodeInvalid, "%s", run.Error)
}

func allReused(r experiments.Run) bool {
	for _, s := range r.Steps {
		if s.Status != experiments.Reused {
			return false
		}
	}
	return true
}

// following shows on a terminal what changes in a run that a server runs.
type following struct {
	*terminal
	steps  map[string]experiments.Status
	status experiments.Status
	reason string
}

func (f *following) Run(r experiments.Run) {
	for _, s := range r.Steps {
		if s.Status != f.steps[s.Title()] && s.Status != experiments.Queued {
			f.Step(s)
		}
		f.steps[s.Title()] = s.Status
	}
	if r.Job != nil && r.Job.Reason != "" && r.Job.Reason != f.reason {
		f.Note("server", r.Job.Reason)
		f.reason = r.Job.Reason
	}
	if r.Status == experiments.Queued && f.status != r.Status {
		f.Note("server", "queued")
	}
	f.status = r.Status
}
