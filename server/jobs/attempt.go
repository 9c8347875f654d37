package jobs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"triality/experiments"
	"triality/server/worker"
)

// How often in a row a job's worker may die without getting further: the next time would be no different. Ways of
// dying that differ may be one, such as a panic that says an address.
const (
	deaths    = 3 // in the same way
	anyDeaths = 9
)

// lostCause is the cause of a death that nobody saw: a worker on another machine was not heard of any more. Networks
// and machines fail by themselves, so only the bound on deaths of any kind counts it.
const lostCause = "lost"

// beginning is the line with which an attempt's log begins.
const beginning = "attempt %d, %s\n"

// leftRunning says that an attempt goes on at a worker elsewhere, though this process ends.
func (j *job) leftRunning(attempt context.Context, err error) bool {
	return j.place != nil && errors.Is(context.Cause(attempt), errStopping) && errors.Is(err, errStopping)
}

// attempt runs a job in a worker and records how it ended.
func (q *Queue) attempt(ctx context.Context, j *job) (err error) {
	record := context.WithoutCancel(ctx)
	w := q.worker
	if j.place != nil {
		w = j.place
	}
	run, err := q.store.UpdateRun(record, j.id, func(r *experiments.Run) error {
		if r.Job == nil {
			return experiments.Errorf(experiments.CodeConflict, "run %s is not the queue's", r.ID)
		}
		if j.adopted {
			return nil
		}
		if ctx.Err() != nil { // since its turn came
			return context.Cause(ctx)
		}
		r.Job.Attempt++
		r.Job.Reason, r.Job.Worker = "", ""
		if j.place != nil {
			r.Job.Worker = j.place.Worker()
		}
		r.Status, r.Error, r.EndedAt = experiments.Running, "", time.Time{}
		if r.StartedAt.IsZero() {
			r.StartedAt = time.Now().UTC()
		}
		return nil
	})
	if err != nil {
		return err
	}
	log, err := openLog(filepath.Join(folder(q.store), j.id+logSuffix))
	if err != nil {
		return errors.Join(err, q.mark(record, j.id, experiments.Failed, err.Error()))
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if !j.adopted {
		fmt.Fprintf(log, beginning, run.Job.Attempt, time.Now().Format(time.RFC3339))
	}
	lock, err := filepath.Abs(filepath.Join(folder(q.store), j.id+".lock")) // the worker may start elsewhere
	if err != nil {
		return errors.Join(err, q.mark(record, j.id, experiments.Failed, err.Error()))
	}
	spec := worker.Job{
		RunID: j.id, Config: run.Config, Dir: run.Job.Dir, Attempt: run.Job.Attempt, Resume: run.Job.Attempt > 1 || j.adopted,
		Lock: lock, Devices: q.places.devices(j.slots), Card: j.needs.need.DeviceMemory,
	}
	place := &reached{}
	err = w.Run(ctx, spec, recorder{q.store, j.id, run.Job.Attempt, place, q.fleet != nil}, log)
	if err != nil && !j.leftRunning(ctx, err) {
		fmt.Fprintf(log, "attempt %d ended: %v\n", run.Job.Attempt, err)
	}
	var partsErr error
	if !j.leftRunning(ctx, err) {
		partsErr = closeParts(record, q.store, j.id)
	}
	return errors.Join(err, partsErr, q.settle(ctx, j, err, place.at()))
}

// settle records how an attempt ended: err is what the worker gave, the cause of attempt's end why it was stopped,
// if it was, and place how far it got. Who cancels comes before it or finds the run as it leaves it.
func (q *Queue) settle(attempt context.Context, j *job, err error, place experiments.Reached) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	ctx, id, stopped := context.WithoutCancel(attempt), j.id, context.Cause(attempt)
	var death *worker.Death
	died := errors.As(err, &death)
	var lost *worker.Lost
	var short *experiments.Shortage
	switch {
	case j.leftRunning(attempt, err):
		return nil
	case err == nil:
		return q.mark(ctx, id, experiments.Failed, "the worker ended without recording an end") // where that is so
	case errors.Is(stopped, errCancelled):
		return q.mark(ctx, id, experiments.Interrupted, "cancelled; it goes on from its newest checkpoint when resumed")
	case errors.Is(stopped, errStopping):
		return q.requeue(ctx, j, "the server stopped; it goes on when the server starts", nil, place)
	case died:
		return q.requeue(ctx, j, "", death, place)
	case errors.As(err, &lost):
		if !lost.Left { // its machine may be gone by the job's doing
			return q.requeue(ctx, j, "", &worker.Death{Cause: lostCause, Detail: lost.Cause}, place)
		}
		j.again = true
		return q.requeue(ctx, j, lost.Cause, nil, place)
	}
	if errors.As(err, &short) && q.wants(j, short) {
		return q.move(ctx, j, err)
	}
	return q.mark(ctx, id, experiments.Failed, err.Error())
}

// requeue lets a run wait for its next attempt, unless its workers have died in one way too often, none of them
// further than the one before. The caller holds mu.
func (q *Queue) requeue(ctx context.Context, j *job, reason string, death *worker.Death, place experiments.Reached) error {
	run, err := q.store.UpdateRun(ctx, j.id, func(r *experiments.Run) error {
		if r.Status != experiments.Running && r.Status != experiments.Interrupted {
			return nil // it was stopped after its end, or has been resumed since
		}
		if death != nil {
			lost := death.Cause == lostCause
			if beyond(place, r.Job.Reached) {
				r.Job.Reached, r.Job.Deaths, r.Job.Stuck = furthest(place, r.Job.Reached), 0, 0
			} else if r.Job.Death != death.Cause {
				r.Job.Deaths = 0
			}
			r.Job.Stuck++
			if lost {
				reason = fmt.Sprintf("attempt %d: %s", r.Job.Attempt, death.Detail)
			} else {
				r.Job.Death = death.Cause
				r.Job.Deaths++
				reason = fmt.Sprintf("attempt %d: the worker died: %s", r.Job.Attempt, death.Cause)
			}
			switch {
			case r.Job.Deaths >= deaths && !lost:
				end(r, experiments.Failed, fmt.Sprintf("the worker died %d times in a row in the same way, without getting further: %v", r.Job.Deaths, death))
				return nil
			case r.Job.Stuck >= anyDeaths:
				end(r, experiments.Failed, fmt.Sprintf("the worker died %d times in a row without getting further, the last time so: %v", r.Job.Stuck, death))
				return nil
			}
		}
		end(r, experiments.Queued, "")
		r.Job.Reason = reason
		return nil
	})
	if err == nil && death != nil && run.Status == experiments.Queued {
		j.again = true
	}
	return err
}

// mark ends a run whose end the worker did not record; of an interrupted one the queue knows more.
func (q *Queue) mark(ctx context.Context, id string, status experiments.Status, reason string) error {
	_, err := q.store.UpdateRun(ctx, id, func(r *experiments.Run) error {
		if r.Status == experiments.Running || r.Status == experiments.Interrupted { // else someone has resumed it since
			end(r, status, reason)
		}
		return nil
	})
	return err
}

// end gives a run a status other than running, and its steps under way too.
func end(r *experiments.Run, status experiments.Status, reason string) {
	r.Status, r.Error, r.EndedAt = status, reason, time.Now().UTC()
	step := status
	if status == experiments.Queued {
		r.EndedAt, step = time.Time{}, experiments.Interrupted
		if r.Job != nil {
			r.Job.Worker = ""
		}
	}
	for i := range r.Steps {
		if r.Steps[i].Status == experiments.Running {
			r.Steps[i].Status = step
		}
	}
}
