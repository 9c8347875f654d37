package api

import (
	"time"

	"triality/experiments"
)

// setTimes sets what a client says of a run's status, start and end. Imported history says all three: a
// run of the past did not end now.
func setTimes(r *experiments.Run, status *experiments.Status, started, ended *string, now time.Time) error {
	if started != nil {
		t, err := instant("started_at", *started, now)
		if err != nil {
			return err
		}
		r.StartedAt = t
	}
	if status != nil && *status != r.Status && (*status == experiments.Queued || *status == experiments.Reused) {
		return invalid("status %s: want running, finished, failed or interrupted; what waits is the queue's, which POST /api/v1/jobs puts a run in", *status)
	}
	if status != nil && *status != r.Status {
		r.Status, r.EndedAt = *status, time.Time{}
		if r.Status.Done() && ended == nil {
			if started != nil {
				return invalid("ended_at is missing: a run that began at %s and is %s ended at some time", *started, r.Status)
			}
			r.EndedAt = now
		}
	}
	if ended != nil {
		t, err := instant("ended_at", *ended, now)
		if err != nil {
			return err
		}
		if !r.Status.Done() {
			return invalid("ended_at: the run is %s: say how it ended with status finished, failed or interrupted", r.Status)
		}
		r.EndedAt = t
	}
	if (started != nil || ended != nil) && !r.EndedAt.IsZero() && r.EndedAt.Before(r.StartedAt) {
		return invalid("ended_at %s is before started_at %s: exchange or mend them", r.EndedAt.Format(time.RFC3339), r.StartedAt.Format(time.RFC3339))
	}
	return nil
}

// instant reads a time of a client's. Clocks differ, so a day of the future is let pass.
func instant(field, text string, now time.Time) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, invalid("%s %.40q: want a time as RFC 3339 has it, such as %s", field, text, now.Format(time.RFC3339))
	}
	if t.Year() < 1970 || t.After(now.Add(24*time.Hour)) {
		return t, invalid("%s %.40q: want a time from 1970 to now", field, text)
	}
	return t.UTC(), nil
}
