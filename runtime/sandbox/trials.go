package sandbox

import (
	"context"
	"sync"
	"time"
)

// trials are the places of validations, which are apart from those of
// evaluations: an upload never waits for a metric that is being evaluated, nor
// the other way round. There are two lanes. Every module first has a short
// time and little fuel; what is not done by then, and so is either large or a
// fuel burner, waits its turn in the other lane. So an ordinary upload waits
// for the first part of others only.
type trials struct{ quick, slow *lane }

// The quick lane's bounds.
const (
	quickFuel = 200_000_000
	quickTime = 3 * time.Second
)

// maxWaitingBytes bounds the modules that wait in a lane.
const maxWaitingBytes = 256 << 20

func newTrials(workers, waiting int) trials {
	n := max(1, workers/2)
	return trials{newLane(n, waiting), newLane(n, max(1, waiting/8))}
}

// lane is a number of places, and a bounded number of modules that wait for
// one.
type lane struct {
	places chan struct{}
	most   int

	mu      sync.Mutex
	waiting int
	bytes   int
}

func newLane(places, waiting int) *lane {
	return &lane{places: make(chan struct{}, places), most: waiting}
}

// enter takes a place for a module of size bytes and returns how long that
// took. Too many that wait are refused.
func (l *lane) enter(ctx, life context.Context, size int) (time.Duration, error) {
	start := time.Now()
	select {
	case l.places <- struct{}{}:
		return 0, nil
	default:
	}
	if err := l.queue(size); err != nil {
		return 0, err
	}
	defer l.unqueue(size)
	select {
	case l.places <- struct{}{}:
		return time.Since(start), nil
	case <-life.Done():
		return 0, &Error{Code: ErrCanceled, Err: errClosed}
	case <-ctx.Done():
		return 0, canceled(ctx, "")
	}
}

func (l *lane) leave() { <-l.places }

func (l *lane) queue(size int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting >= l.most || l.bytes+size > maxWaitingBytes {
		return failf(ErrBusy, "", "%d modules (%s) are waiting to be validated before this one; try again later", l.waiting, mebibytes(int64(l.bytes)))
	}
	l.waiting++
	l.bytes += size
	return nil
}

func (l *lane) unqueue(size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
	l.bytes -= size
}
