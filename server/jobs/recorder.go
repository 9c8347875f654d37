package jobs

import (
	"context"
	"sync"

	"triality/experiments"
	"triality/server/store"
)

// recorder is the store as a worker's tracker: what a person changes of a run while it runs (its name, its
// tags) stays, and a worker that another has taken over from changes nothing.
type recorder struct {
	*store.Store
	attempt int
	reached *reached
}

// reached follows how far an attempt gets.
type reached struct {
	mu    sync.Mutex
	place experiments.Reached
}

func (r *reached) at() experiments.Reached {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.place
}

// set takes steps as they were recorded, moved what one of them told of its progress.
func (r *reached) set(steps []experiments.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := 0
	for _, s := range steps {
		if s.Status == experiments.Finished || s.Status == experiments.Reused {
			ended++
		}
	}
	if ended > r.place.Steps {
		r.place = experiments.Reached{Steps: ended}
	}
}

func (r *reached) moved(done int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.place.Done = max(r.place.Done, done)
}

// beyond says whether a is further than b.
func beyond(a, b experiments.Reached) bool {
	return a.Steps > b.Steps || a.Steps == b.Steps && a.Done > b.Done
}

func (r recorder) Progress(run string, step experiments.StepKind, p experiments.Progress) {
	r.reached.moved(p.Done)
	r.Store.Progress(run, step, p)
}

func (r recorder) SaveRun(ctx context.Context, run experiments.Run) error {
	r.reached.set(run.Steps)
	_, err := r.UpdateRun(ctx, run.ID, func(stored *experiments.Run) error {
		if stored.Job == nil || stored.Job.Attempt != r.attempt {
			return experiments.Errorf(experiments.CodeConflict, "run %s: attempt %d has ended; another has taken over", run.ID, r.attempt)
		}
		job, name, tags, started := stored.Job, stored.Name, stored.Tags, stored.StartedAt
		*stored = run
		stored.Job, stored.Name, stored.Tags = job, name, tags
		if !started.IsZero() {
			stored.StartedAt = started
		}
		return nil
	})
	return err
}
