package jobs

import (
	"context"
	"fmt"
	"time"

	"triality/experiments"
	"triality/server/store"
)

// Recover marks the pipeline runs that a dead process left queued or running as interrupted, so that
// they can be resumed. Call it after opening the store, before anything runs. Runs that a client logs
// are the client's to end.
func Recover(ctx context.Context, st *store.Store) error {
	for _, status := range []experiments.Status{experiments.Running, experiments.Queued} {
		var ids []string
		for cursor := ""; ; {
			runs, next, err := st.Runs(ctx, store.RunFilter{Status: status, Cursor: cursor})
			if err != nil {
				return fmt.Errorf("recover runs: %w", err)
			}
			for _, r := range runs {
				if r.Config != "" {
					ids = append(ids, r.ID)
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		for _, id := range ids {
			if _, err := st.UpdateRun(ctx, id, interrupt); err != nil {
				return fmt.Errorf("recover run %s: %w", id, err)
			}
		}
	}
	return nil
}

func interrupt(r *experiments.Run) error {
	r.Status, r.Error, r.EndedAt = experiments.Interrupted, "the process that ran it ended; the same configuration resumes", time.Now().UTC()
	for i := range r.Steps {
		if !r.Steps[i].Status.Done() {
			r.Steps[i].Status = experiments.Interrupted
		}
	}
	return nil
}
