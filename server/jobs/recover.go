package jobs

import (
	"context"
	"fmt"
	"time"

	"triality/experiments"
	"triality/server/store"
)

// Recover puts right what a dead process left: runs of the queue wait again, those of a command are
// interrupted, so that the same command resumes. Runs that a client logs are the client's to end. Call it
// after opening the store, before anything runs.
func Recover(ctx context.Context, st *store.Store) error {
	for _, status := range []experiments.Status{experiments.Running, experiments.Queued} {
		runs, err := allRuns(ctx, st, status)
		if err != nil {
			return err
		}
		for _, r := range runs {
			if r.Config == "" && !experiments.IsPart(r.ID, r.ParentID) || r.Job != nil && (status == experiments.Queued || r.Job.Worker != "") {
				continue // a worker elsewhere may run it all the same: see Queue.away
			}
			if _, err := st.UpdateRun(ctx, r.ID, abandon); err != nil {
				return fmt.Errorf("recover run %s: %w", r.ID, err)
			}
		}
	}
	return nil
}

// away gives the jobs that workers elsewhere ran when the process before this one ended. Without a fleet they wait
// for their next attempt: what a worker still does of this one is refused.
func (q *Queue) away(ctx context.Context) ([]*job, error) {
	runs, err := allRuns(ctx, q.store, experiments.Running)
	if err != nil {
		return nil, err
	}
	var out []*job
	for _, r := range runs {
		if r.Config == "" || r.Job == nil {
			continue
		}
		if q.fleet == nil {
			if _, err := q.store.UpdateRun(ctx, r.ID, abandon); err != nil {
				return nil, fmt.Errorf("recover run %s: %w", r.ID, err)
			}
			continue
		}
		written, err := writtenBy(q.store.Dir(), r.ID, r.Job.Attempt)
		if err != nil {
			return nil, err
		}
		out = append(out, &job{
			id: r.ID, priority: r.Job.Priority, queued: r.Job.QueuedAt, needs: q.places.needsOf(r.Config, r.Job),
			place: q.fleet.Adopt(r.ID, r.Job.Attempt, r.Job.Worker, written), adopted: true,
		})
	}
	return out, nil
}

func abandon(r *experiments.Run) error {
	if r.Job != nil {
		end(r, experiments.Queued, "")
		r.Job.Reason, r.Job.Worker = "the server ended while it ran", ""
		return nil
	}
	r.Status, r.Error, r.EndedAt = experiments.Interrupted, "the process that ran it ended; the same configuration resumes", time.Now().UTC()
	for i := range r.Steps {
		if !r.Steps[i].Status.Done() {
			r.Steps[i].Status = experiments.Interrupted
		}
	}
	return nil
}

// closeParts interrupts the parts of a run that an attempt left under way.
func closeParts(ctx context.Context, st *store.Store, id string) error {
	runs, err := allRuns(ctx, st, experiments.Running)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if !experiments.IsPart(r.ID, id) {
			continue
		}
		if _, err := st.UpdateRun(ctx, r.ID, func(r *experiments.Run) error {
			if !r.Status.Done() {
				end(r, experiments.Interrupted, "the run that it is a part of ended")
			}
			return nil
		}); err != nil {
			return fmt.Errorf("part %s: %w", r.ID, err)
		}
	}
	return nil
}

// allRuns gives every run of a status, the oldest first.
func allRuns(ctx context.Context, st *store.Store, status experiments.Status) ([]experiments.Run, error) {
	var all []experiments.Run
	for cursor := ""; ; {
		runs, next, err := st.Runs(ctx, store.RunFilter{Status: status, Cursor: cursor})
		if err != nil {
			return nil, fmt.Errorf("runs that are %s: %w", status, err)
		}
		all = append(all, runs...)
		if cursor = next; cursor == "" {
			break
		}
	}
	return all, nil
}
