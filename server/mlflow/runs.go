package mlflow

import (
	"context"
	"time"

	"triality/experiments"
	"triality/server/store"
)

// Tags that are properties of a run here.
const (
	tagName   = "mlflow.runName"
	tagNote   = "mlflow.note.content"
	tagParent = "mlflow.parentRunId"
	tagUser   = "mlflow.user"
)

// states are the statuses in MLflow's words; a step's "reused" is of no run.
var states = map[experiments.Status]string{
	experiments.Queued: "SCHEDULED", experiments.Running: "RUNNING", experiments.Finished: "FINISHED",
	experiments.Failed: "FAILED", experiments.Interrupted: "KILLED",
}

func statusOf(name text) (experiments.Status, error) {
	for s, state := range states {
		if state == string(name) {
			return s, nil
		}
	}
	return "", invalid("Invalid value %q for parameter 'status' supplied: want RUNNING, SCHEDULED, FINISHED, FAILED or KILLED", string(name))
}

// runRef names a run by either of the names that its id has had.
type runRef struct {
	ID   text `json:"run_id"`
	UUID text `json:"run_uuid"`
}

func (r runRef) id() (string, error) {
	switch {
	case r.ID != "":
		return string(r.ID), nil
	case r.UUID != "":
		return string(r.UUID), nil
	}
	return "", invalid("Missing value for required parameter 'run_id'.")
}

func noRun(err error, id string) error {
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return missing("Run with id=%s not found", id)
	}
	return err
}

func (a *API) runOf(ctx context.Context, ref runRef) (experiments.Run, error) {
	id, err := ref.id()
	if err != nil {
		return experiments.Run{}, err
	}
	r, err := a.Store.Run(ctx, id)
	return r, noRun(err, id)
}

func tagsOf(r experiments.Run) map[string]string {
	tags := with(r.Tags, tagName, r.Name)
	if r.Notes != "" {
		tags[tagNote] = r.Notes
	}
	if r.ParentID != "" {
		tags[tagParent] = r.ParentID
	}
	return tags
}

func headOf(r experiments.Run) runInfo {
	start := r.StartedAt
	if start.IsZero() {
		start = r.CreatedAt
	}
	return runInfo{UUID: r.ID, ID: r.ID, Name: r.Name, Experiment: r.ExperimentID, User: r.Tags[tagUser], Status: states[r.Status],
		Start: millis(start), End: millis(r.EndedAt), Location: location(r), Stage: stage(r.ArchivedAt)}
}

// whole is a run with the last point of each of its series.
func (a *API) whole(ctx context.Context, r experiments.Run) (run, error) {
	out := run{Info: headOf(r), Data: runData{Metrics: []metric{}, Params: pairs(r.Params), Tags: pairs(tagsOf(r))}}
	series, err := a.Store.Series(ctx, r.ID)
	if err != nil {
		return out, noRun(err, r.ID)
	}
	for _, s := range series {
		out.Data.Metrics = append(out.Data.Metrics, pointOf(s.Name, s.Last))
	}
	return out, nil
}

func pointOf(name string, p experiments.Point) metric {
	v := number(p.Value)
	return metric{Key: text(name), Value: &v, Timestamp: integer(p.Time), Step: integer(p.Step)}
}

type newRun struct {
	Experiment text    `json:"experiment_id"`
	User       text    `json:"user_id"`
	Name       text    `json:"run_name"`
	Start      integer `json:"start_time"`
	Tags       []pair  `json:"tags"`
}

func (a *API) createRun(ctx context.Context, in newRun) (any, error) {
	if in.Experiment == "" {
		in.Experiment = "0"
	}
	e, err := a.experimentOf(ctx, in.Experiment)
	if err != nil {
		return nil, err
	}
	if !e.ArchivedAt.IsZero() {
		return nil, invalid("The experiment %s must be in the 'active' state. Current state is deleted.", e.ID)
	}
	id, err := store.NewRunID()
	if err != nil {
		return nil, err
	}
	r := experiments.Run{ID: id, ExperimentID: e.ID, Name: string(in.Name), Status: experiments.Running, StartedAt: instant(in.Start)}
	if r.StartedAt.IsZero() {
		r.StartedAt = time.Now().UTC()
	}
	r.CreatedAt = r.StartedAt // a run of the past stands in the lists where it was
	if in.User != "" {
		r.Tags = map[string]string{tagUser: string(in.User)}
	}
	parent, err := a.parent(ctx, in.Tags)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		if t.Key == tagName && in.Name != "" {
			continue // the run's name was given besides
		}
		if err := setTag(&r, t, parent); err != nil {
			return nil, err
		}
	}
	if r.Name == "" {
		r.Name = r.StartedAt.Format("2006-01-02 15:04:05")
	}
	if r, err = a.Store.CreateRun(ctx, r); err != nil {
		return nil, err
	}
	out, err := a.whole(ctx, r)
	return oneRun{out}, err
}

func (a *API) getRun(ctx context.Context, in runRef) (any, error) {
	r, err := a.runOf(ctx, in)
	if err != nil {
		return nil, err
	}
	out, err := a.whole(ctx, r)
	return oneRun{out}, err
}

// changeRun changes a run that is not deleted, unless deleted allows it.
func (a *API) changeRun(ctx context.Context, ref runRef, deleted bool, change func(*experiments.Run) error) (experiments.Run, error) {
	id, err := ref.id()
	if err != nil {
		return experiments.Run{}, err
	}
	r, err := a.Store.UpdateRun(ctx, id, func(r *experiments.Run) error {
		if !deleted {
			if err := active(*r); err != nil {
				return err
			}
		}
		return change(r)
	})
	return r, noRun(err, id)
}

// active refuses what is written to a deleted run.
func active(r experiments.Run) error {
	if !r.ArchivedAt.IsZero() {
		return invalid("The run %s must be in the 'active' state. Current state is deleted.", r.ID)
	}
	return nil
}

func (a *API) updateRun(ctx context.Context, in struct {
	runRef
	Status text    `json:"status"`
	End    integer `json:"end_time"`
	Name   text    `json:"run_name"`
}) (any, error) {
	r, err := a.changeRun(ctx, in.runRef, false, func(r *experiments.Run) error {
		if in.Name != "" {
			r.Name = string(in.Name)
		}
		if in.Status == "" && in.End == 0 {
			return nil
		}
		if r.Config != "" {
			return experiments.Errorf(experiments.CodeConflict, "run %s: its status and times are the pipeline's; cancel or resume it", r.ID)
		}
		if in.Status != "" {
			s, err := statusOf(in.Status)
			if err != nil {
				return err
			}
			if r.Status = s; !s.Done() {
				r.EndedAt = time.Time{}
				return nil
			}
			r.EndedAt = time.Now().UTC()
		}
		if in.End != 0 {
			r.EndedAt = instant(in.End)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]runInfo{"run_info": headOf(r)}, nil
}

func (a *API) deleteRun(ctx context.Context, in runRef) (any, error) {
	_, err := a.changeRun(ctx, in, true, func(r *experiments.Run) error {
		if r.ArchivedAt.IsZero() {
			r.ArchivedAt = time.Now().UTC()
		}
		return nil
	})
	return empty{}, err
}

func (a *API) restoreRun(ctx context.Context, in runRef) (any, error) {
	_, err := a.changeRun(ctx, in, true, func(r *experiments.Run) error {
		r.ArchivedAt = time.Time{}
		return nil
	})
	return empty{}, err
}

// parent is the run that a tag names as the parent; empty: none does, or it is elsewhere.
func (a *API) parent(ctx context.Context, tags []pair) (id string, err error) {
	for _, t := range tags {
		if t.Key != tagParent {
			continue
		}
		r, err := a.Store.Run(ctx, string(t.Value))
		if err != nil && experiments.CodeOf(err) != experiments.CodeNotFound {
			return "", err
		}
		id = r.ID
	}
	return id, nil
}

// setTag sets a tag, or the property that it is here. The name of a parent that is elsewhere stays a tag.
func setTag(r *experiments.Run, t pair, parent string) error {
	if err := checkPair("tag", t, maxTag); err != nil {
		return err
	}
	switch {
	case t.Key == tagName:
		r.Name = string(t.Value)
	case t.Key == tagNote:
		r.Notes = string(t.Value)
	case t.Key == tagParent && string(t.Value) == parent:
		r.ParentID = parent
	default:
		return put(&r.Tags, "tags", t)
	}
	return nil
}

func (a *API) tagRun(ctx context.Context, in struct {
	runRef
	pair
}) (any, error) {
	return a.logBatch(ctx, batch{runRef: in.runRef, Tags: []pair{in.pair}})
}

func (a *API) untagRun(ctx context.Context, in struct {
	runRef
	Key text `json:"key"`
}) (any, error) {
	_, err := a.changeRun(ctx, in.runRef, false, func(r *experiments.Run) error {
		if _, ok := tagsOf(*r)[string(in.Key)]; !ok {
			return missing("No tag with name: %s in run with id %s", in.Key, r.ID)
		}
		switch in.Key {
		case tagName:
			return invalid("the tag %s is the run's name, which it cannot be without", tagName)
		case tagNote:
			r.Notes = ""
		case tagParent:
			r.ParentID = ""
		}
		r.Tags = without(r.Tags, string(in.Key))
		return nil
	})
	return empty{}, err
}
