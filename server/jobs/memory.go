package jobs

import (
	"context"
	"fmt"

	"triality/experiments"
	"triality/server/worker"
)

// wants notes the memory that a step was planned to take, and says whether the job waits for another machine than the one
// that had less. One which says that it has enough had it in use: there the job has failed. The caller holds mu.
func (q *Queue) wants(j *job, s *experiments.Shortage) bool {
	if q.fleet == nil {
		return false
	}
	j.needs.need.Memory, j.needs.need.DeviceMemory = max(j.needs.need.Memory, s.Memory), max(j.needs.need.DeviceMemory, s.Card)
	if j.place != nil {
		return !j.place.Holds(j.needs.need)
	}
	j.needs.elsewhere = true
	return true
}

// move lets a job wait for a machine with the memory that it needs. The caller holds mu.
func (q *Queue) move(ctx context.Context, j *job, why error) error {
	run, err := q.store.UpdateRun(ctx, j.id, func(r *experiments.Run) error {
		if r.Status != experiments.Running {
			return nil // someone has stopped it since
		}
		at := r.Job.Worker
		if at == "" {
			at = "this machine"
		}
		end(r, experiments.Queued, "")
		r.Job.Reason = fmt.Sprintf("attempt %d: too little memory at %s: %v", r.Job.Attempt, at, why)
		r.Job.Memory, r.Job.Card, r.Job.Elsewhere = j.needs.need.Memory, j.needs.need.DeviceMemory, j.needs.elsewhere
		return nil
	})
	j.again = err == nil && run.Status == experiments.Queued
	return err
}

// holds says whether this machine has the memory that a job is known to need.
func (p places) holds(n needs) bool {
	if n.elsewhere {
		return false
	}
	if p.memory == nil || n.need.Memory == 0 {
		return true
	}
	_, total := p.memory()
	return total == 0 || worker.RoomOf(total) >= n.need.Memory
}
