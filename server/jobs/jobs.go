// Package jobs runs pipelines for the server, one at a time: a machine has one device.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/server/store"
)

// Runner runs one pipeline to its end.
type Runner interface {
	Run(ctx context.Context, cfg config.Pipeline, o pipeline.RunOptions) (experiments.Run, bool, error)
}

// Queue runs submitted pipelines in order.
type Queue struct {
	runner func(cfg config.Pipeline) (Runner, func() error, error)
	store  *store.Store
	log    *slog.Logger

	wake    chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}

	mu      sync.Mutex
	waiting []job
	current *job
	cancel  context.CancelFunc // of current
	closed  bool
}

type job struct {
	id   string
	cfg  config.Pipeline
	opts pipeline.RunOptions
}

// New starts a queue. open gives a runner on the device that a configuration names, and what closes it.
func New(st *store.Store, open func(cfg config.Pipeline) (Runner, func() error, error), log *slog.Logger) *Queue {
	ctx, stop := context.WithCancel(context.Background())
	q := &Queue{runner: open, store: st, log: log, wake: make(chan struct{}, 1), stop: stop, stopped: make(chan struct{})}
	go q.loop(ctx)
	return q
}

// Submit checks a configuration and queues a run of it.
func (q *Queue) Submit(ctx context.Context, yaml, name string) (experiments.Run, error) {
	cfg, err := config.Parse("config", []byte(yaml))
	if err != nil {
		return experiments.Run{}, err
	}
	experiment, err := q.store.EnsureExperiment(ctx, cfg.Name)
	if err != nil {
		return experiments.Run{}, err
	}
	id, err := pipeline.NewRunID()
	if err != nil {
		return experiments.Run{}, err
	}
	now := time.Now()
	if name == "" {
		name = now.Format("2006-01-02 15:04:05")
	}
	run := experiments.Run{
		ID: id, ExperimentID: experiment.ID, Name: name, Status: experiments.Queued, CreatedAt: now.UTC(), Config: yaml,
		Tags: map[string]string{"kind": "pipeline"},
	}
	if run, err = q.store.CreateRun(ctx, run); err != nil || run.ID != id {
		return run, err // the run of an earlier request with the same idempotency key
	}
	if !q.add(job{id: id, cfg: cfg, opts: pipeline.RunOptions{RunID: id, Name: name, YAML: yaml}}) {
		const reason = "the server is stopping"
		return run, errors.Join(experiments.Errorf(experiments.CodeUnavailable, reason), q.mark(context.WithoutCancel(ctx), id, experiments.Interrupted, reason))
	}
	return run, nil
}

// add queues a job; a closed queue takes none.
func (q *Queue) add(j job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addLocked(j)
}

// addLocked needs mu.
func (q *Queue) addLocked(j job) bool {
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, j)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// waits says whether a run stands in the queue. It needs mu.
func (q *Queue) waits(id string) bool {
	return slices.ContainsFunc(q.waiting, func(j job) bool { return j.id == id })
}

// Cancel takes a waiting run out of the queue, or interrupts the one under way.
func (q *Queue) Cancel(ctx context.Context, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	// Waiting first: a resumed run may wait for its own former execution to let go.
	for i, j := range q.waiting {
		if j.id == id {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			return q.mark(ctx, id, experiments.Interrupted, "cancelled before it started")
		}
	}
	if q.current != nil && q.current.id == id {
		q.cancel()
		return nil
	}
	if _, err := q.store.Run(ctx, id); err != nil {
		return err
	}
	return experiments.Errorf(experiments.CodeConflict, "run %s is neither queued nor running", id)
}

// Resume queues an interrupted or failed run again: the same run goes on. What its steps finished is
// taken over, and a step that was cut short goes on from its newest checkpoint. A run that waits or runs
// is given as it is, so that asking twice is asking once.
func (q *Queue) Resume(ctx context.Context, id string) (experiments.Run, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	run, err := q.store.Run(ctx, id)
	if err != nil {
		return experiments.Run{}, err
	}
	if run.Config == "" {
		return experiments.Run{}, experiments.Errorf(experiments.CodeConflict, "run %s has no configuration: a client logged it, so only the client goes on with it", id)
	}
	switch {
	case run.Status == experiments.Queued, run.Status == experiments.Running, q.waits(id):
		return run, nil
	case run.Status != experiments.Interrupted && run.Status != experiments.Failed:
		return experiments.Run{}, experiments.Errorf(experiments.CodeConflict, "run %s is %s; only an interrupted or failed run resumes", id, run.Status)
	}
	cfg, err := config.Parse("config", []byte(run.Config))
	if err != nil {
		return experiments.Run{}, err
	}
	if q.closed {
		return experiments.Run{}, experiments.Errorf(experiments.CodeUnavailable, "the server is stopping")
	}
	run, err = q.store.UpdateRun(ctx, id, func(r *experiments.Run) error {
		r.Status, r.Error, r.EndedAt = experiments.Queued, "", time.Time{}
		return nil
	})
	if err != nil {
		return experiments.Run{}, err
	}
	q.addLocked(job{id: id, cfg: cfg, opts: pipeline.RunOptions{RunID: id, Name: run.Name, YAML: run.Config, Resume: true}})
	return run, nil
}

// mark ends a run that has not ended.
func (q *Queue) mark(ctx context.Context, id string, status experiments.Status, reason string) error {
	_, err := q.store.UpdateRun(ctx, id, func(r *experiments.Run) error {
		if r.Status.Done() {
			return nil
		}
		r.Status, r.Error, r.EndedAt = status, reason, time.Now().UTC()
		for i := range r.Steps {
			if r.Steps[i].Status == experiments.Running {
				r.Steps[i].Status = status
			}
		}
		return nil
	})
	return err
}

func (q *Queue) loop(ctx context.Context) {
	defer close(q.stopped)
	for {
		j, jobCtx, ok := q.next(ctx)
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-q.wake:
				continue
			}
		}
		if err := q.run(jobCtx, j); err != nil {
			q.log.Warn("run ended with an error", "run", j.id, "error", err)
		}
		q.mu.Lock()
		q.cancel()
		q.current = nil
		q.mu.Unlock()
	}
}

func (q *Queue) next(ctx context.Context) (job, context.Context, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil || len(q.waiting) == 0 {
		return job{}, nil, false
	}
	j := q.waiting[0]
	q.waiting = q.waiting[1:]
	jobCtx, cancel := context.WithCancel(ctx)
	q.current, q.cancel = &j, cancel
	return j, jobCtx, true
}

func (q *Queue) run(ctx context.Context, j job) (err error) {
	defer func() {
		if err == nil {
			return
		}
		// The runner records how a run ended, but not one that it could not begin.
		status, reason := experiments.Failed, err.Error()
		if ctx.Err() != nil {
			status, reason = experiments.Interrupted, "interrupted; the same configuration resumes"
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		if !q.waits(j.id) { // else someone has resumed it since its end was recorded
			err = errors.Join(err, q.mark(context.WithoutCancel(ctx), j.id, status, reason))
		}
	}()
	r, closeRunner, err := q.runner(j.cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRunner()) }()
	_, _, err = r.Run(ctx, j.cfg, j.opts)
	return err
}

// Close interrupts the run under way and waits for it; the waiting ones are marked interrupted.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.stop()
	<-q.stopped
	q.mu.Lock()
	defer q.mu.Unlock()
	var err error
	for _, j := range q.waiting {
		err = errors.Join(err, q.mark(context.Background(), j.id, experiments.Interrupted, "the server stopped before it started"))
	}
	q.waiting = nil
	return err
}
