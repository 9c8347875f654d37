package sandbox

import (
	"context"
	"sync/atomic"
	"time"
)

// trials are the places of validations, which are apart from those of
// evaluations: an upload never waits for a metric that is being evaluated, nor
// the other way round. There are two lanes. Every module first has a short
// time and little fuel; what is not done by then, and so is either large or a
// fuel burner, waits its turn in the other lane. So an ordinary upload waits
// for the first part of others only.
type trials struct {
	quick, slow chan struct{}
	waiting     *atomic.Int64
	most        int64
}

// The quick lane's bounds.
const (
	quickFuel = 200_000_000
	quickTime = 10 * time.Second
)

func newTrials(workers, most int) trials {
	n := max(1, workers/2)
	return trials{make(chan struct{}, n), make(chan struct{}, n), new(atomic.Int64), int64(most)}
}

// enter takes a place of a lane and returns how long that took. Too many that
// wait are refused.
func (t *trials) enter(ctx context.Context, life context.Context, lane chan struct{}) (time.Duration, error) {
	start := time.Now()
	select {
	case lane <- struct{}{}:
		return 0, nil
	default:
	}
	before := t.waiting.Add(1) - 1
	defer t.waiting.Add(-1)
	if before >= t.most {
		return 0, failf(ErrBusy, "", "%d modules are waiting to be validated before this one; try again in a minute", before)
	}
	select {
	case lane <- struct{}{}:
		return time.Since(start), nil
	case <-life.Done():
		return 0, &Error{Code: ErrCanceled, Err: errClosed}
	case <-ctx.Done():
		return 0, canceled(ctx, "")
	}
}
