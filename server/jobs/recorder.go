package jobs

import (
	"context"
	"maps"
	"sync"
	"time"

	"triality/experiments"
	"triality/server/store"
)

// recorder is the store as a worker's tracker: what a person changes of a run while it runs (its name, tags and notes,
// its experiment and parent, whether it is archived) stays, and a worker that another has taken over from changes nothing.
type recorder struct {
	*store.Store
	run     string
	attempt int
	reached *reached
	judged  bool // the queue says whether the run has failed: another machine may have what this one lacks
}

// reached follows how far an attempt gets.
type reached struct {
	mu    sync.Mutex
	place experiments.Reached
}

func (r *reached) at() experiments.Reached {
	r.mu.Lock()
	defer r.mu.Unlock()
	return experiments.Reached{Steps: r.place.Steps, Work: maps.Clone(r.place.Work)}
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

func (r *reached) moved(step string, p experiments.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.place.Work == nil {
		r.place.Work = map[string]int64{}
	}
	work := string(step) + " " + p.Unit
	r.place.Work[work] = max(r.place.Work[work], p.Done)
}

// beyond says whether a is further than b.
func beyond(a, b experiments.Reached) bool {
	if a.Steps != b.Steps {
		return a.Steps > b.Steps
	}
	for work, done := range a.Work {
		if done > b.Work[work] {
			return true
		}
	}
	return false
}

// furthest joins two places of which a is beyond b.
func furthest(a, b experiments.Reached) experiments.Reached {
	if a.Steps == b.Steps {
		for work, done := range b.Work {
			a.Work[work] = max(a.Work[work], done)
		}
	}
	return a
}

func (r recorder) Progress(run, step string, p experiments.Progress) {
	name := step
	if run != r.run { // each part's work is its own
		name = run + " " + step
	}
	r.reached.moved(name, p)
	r.Store.Progress(run, step, p)
}

// EnsureExperiment gives the experiment that the run is filed in, whatever its configuration is named.
func (r recorder) EnsureExperiment(ctx context.Context, _ string) (experiments.Experiment, error) {
	run, err := r.Run(ctx, r.run)
	if err != nil {
		return experiments.Experiment{}, err
	}
	e, err := r.Experiment(ctx, run.ExperimentID)
	return e.Experiment, err
}

func (r recorder) SaveRun(ctx context.Context, run experiments.Run) error {
	if run.ID != r.run {
		return r.savePart(ctx, run)
	}
	r.reached.set(run.Steps)
	if r.judged && run.Status == experiments.Failed {
		run.Status, run.Error, run.EndedAt = experiments.Running, "", time.Time{}
	}
	_, err := r.UpdateRun(ctx, run.ID, func(stored *experiments.Run) error {
		if stored.Job == nil || stored.Job.Attempt != r.attempt {
			return experiments.Errorf(experiments.CodeConflict, "run %s: attempt %d has ended; another has taken over", run.ID, r.attempt)
		}
		before := *stored
		*stored = run
		stored.Job, stored.Name, stored.Tags = before.Job, before.Name, before.Tags
		stored.Notes, stored.ArchivedAt = before.Notes, before.ArchivedAt
		stored.ExperimentID, stored.ParentID = before.ExperimentID, before.ParentID
		if !before.StartedAt.IsZero() {
			stored.StartedAt = before.StartedAt
		}
		return nil
	})
	return err
}

// savePart records a run that is a part of the job's.
func (r recorder) savePart(ctx context.Context, part experiments.Run) error {
	whole, err := r.Store.Run(ctx, r.run)
	if err != nil {
		return err
	}
	if whole.Job == nil || whole.Job.Attempt != r.attempt {
		return experiments.Errorf(experiments.CodeConflict, "run %s: attempt %d has ended; another has taken over", r.run, r.attempt)
	}
	if !experiments.IsPart(part.ID, r.run) {
		return experiments.Errorf(experiments.CodeInvalid, "run %s is no part of %s", part.ID, r.run)
	}
	part.ParentID, part.ExperimentID, part.Job = r.run, whole.ExperimentID, nil
	_, err = r.UpdateRun(ctx, part.ID, func(stored *experiments.Run) error {
		if stored.Tags[experiments.TagSweep] == "" { // a client made it
			return experiments.Errorf(experiments.CodeConflict, "run %s is there, and is no part of %s", part.ID, r.run)
		}
		before := *stored
		*stored = part
		stored.Name, stored.Tags, stored.Notes, stored.ArchivedAt = before.Name, before.Tags, before.Notes, before.ArchivedAt
		stored.ExperimentID, stored.ParentID, stored.StartedAt = before.ExperimentID, before.ParentID, before.StartedAt
		return nil
	})
	if experiments.CodeOf(err) != experiments.CodeNotFound {
		return err
	}
	_, err = r.CreateRun(ctx, part)
	return err
}
