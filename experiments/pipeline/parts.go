package pipeline

import (
	"context"
	"errors"
	"sync"

	"triality/experiments"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/runtime/wallclock"
)

// guard is what keeps the steps of a run and of its parts from recording at once.
func (e *execution) guard() *sync.Mutex {
	if e.whole != nil {
		return &e.whole.mu
	}
	return &e.mu
}

// of is the execution that records a step: the run's, or that of a part of it, which begins with its first step.
func (e *execution) of(ctx context.Context, s *graph.Planned) (*execution, error) {
	v := s.Variant
	if v == nil || e.whole != nil {
		return e, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if part := e.parts[v]; part != nil {
		return part, nil
	}
	g := e.plan.Solo(v)
	text, err := g.YAML()
	if err != nil {
		return nil, err
	}
	now := wallclock.Now().UTC()
	part := &execution{Runner: e.Runner, cfg: e.cfg, experiment: e.experiment, whole: e, run: &experiments.Run{
		ID: experiments.PartID(e.run.ID, v.Asks.Name+"\x00"+v.Name), ExperimentID: e.run.ExperimentID, ParentID: e.run.ID, Name: v.Name, Status: experiments.Running,
		CreatedAt: now, StartedAt: now, Params: g.Params(stepkinds.All(nil)), Config: text, Tags: map[string]string{"kind": "pipeline", experiments.TagSweep: v.Asks.Name},
	}}
	part.follow(v.Steps)
	before, err := e.Tracker.Run(ctx, part.run.ID)
	switch {
	case err == nil:
		part.run.CreatedAt, part.run.StartedAt, part.run.Name = before.CreatedAt, before.StartedAt, before.Name
		part.restarted = map[string]bool{}
	case experiments.CodeOf(err) != experiments.CodeNotFound:
		return nil, err
	}
	if err := e.Tracker.SaveRun(ctx, *part.run); err != nil {
		return nil, err
	}
	if e.parts == nil {
		e.parts = map[*graph.Variant]*execution{}
	}
	e.parts[v] = part
	return part, nil
}

// conclude gives a part the status that its steps make up.
func (e *execution) conclude() {
	r := e.run
	r.Status, r.Error = experiments.Finished, ""
	for _, s := range r.Steps {
		switch {
		case s.Status == experiments.Failed:
			r.Status, r.Error = experiments.Failed, s.Error
		case r.Status == experiments.Failed:
		case s.Status == experiments.Interrupted:
			r.Status = experiments.Interrupted
		case !s.Status.Done() && r.Status == experiments.Finished:
			r.Status = experiments.Running
		}
	}
	if r.Status.Done() {
		r.EndedAt = wallclock.Now().UTC()
	}
}

// closeParts interrupts the parts that the run's end left between two steps.
func (e *execution) closeParts(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, part := range e.parts {
		if r := part.run; !r.Status.Done() {
			r.Status, r.Error, r.EndedAt = experiments.Interrupted, "the run that it is a part of ended", wallclock.Now().UTC()
			errs = append(errs, e.Tracker.SaveRun(ctx, *r))
		}
	}
	return errors.Join(errs...)
}

// title is what the terminal calls a step.
func title(s *graph.Planned) string {
	if v := s.Variant; v != nil {
		return v.Asks.Name + ": " + v.Name + ": " + s.Name
	}
	return s.Name
}
