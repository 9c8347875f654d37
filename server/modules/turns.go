package modules

import (
	"context"
	"slices"
	"sync"
	"time"

	"triality/experiments"
)

// mostWaiting is how many trials may wait for their turn.
const mostWaiting = 64

// turns are the places of trials. They are given in the order of asking, but no run has more than its
// share: metrics that take long, tried on one run, leave places to those on others.
type turns struct {
	mu      sync.Mutex
	free    int
	share   int // of one run
	running map[string]int
	waiting []*turn
}

// turn is a place asked for; got is closed when it is given.
type turn struct {
	run string
	got chan struct{}
}

func newTurns(places int) *turns {
	return &turns{free: places, share: max(1, places/2), running: map[string]int{}}
}

// enter takes a place for a trial on a run and returns how long that took. The caller leaves it.
func (t *turns) enter(ctx context.Context, run string) (time.Duration, error) {
	start := time.Now()
	t.mu.Lock()
	if len(t.waiting) >= mostWaiting {
		t.mu.Unlock()
		return 0, experiments.Errorf(experiments.CodeUnavailable, "%d trials of metrics wait before this one; try again later", mostWaiting)
	}
	asked := &turn{run, make(chan struct{})}
	t.waiting = append(t.waiting, asked)
	t.give()
	t.mu.Unlock()
	select {
	case <-asked.got:
		return time.Since(start), nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := slices.Index(t.waiting, asked); at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	} else { // given meanwhile
		t.returned(run)
	}
	return 0, ctx.Err()
}

func (t *turns) leave(run string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.returned(run)
}

// returned and give are called with mu held.
func (t *turns) returned(run string) {
	t.free++
	if t.running[run]--; t.running[run] == 0 {
		delete(t.running, run)
	}
	t.give()
}

// give gives free places to those who may have one.
func (t *turns) give() {
	t.waiting = slices.DeleteFunc(t.waiting, func(w *turn) bool {
		if t.free == 0 || t.running[w.run] >= t.share {
			return false
		}
		t.free--
		t.running[w.run]++
		close(w.got)
		return true
	})
}
