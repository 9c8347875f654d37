package events

import (
	"context"
	"sync"
	"time"
)

// Turnstile lets readers through one after the other, in the order in which they come, so that all of
// them together take a bounded share of the machine however many there are. The zero value is ready.
type Turnstile struct {
	mu   sync.Mutex
	next time.Time // when one who comes now would be let through, had no one a moment in store
}

// turnEvery is the time between two turns, and turnsInStore how many a quiet time saves up.
const (
	turnEvery    = time.Millisecond
	turnsInStore = 100
)

// Wait returns at the caller's turn, or with ctx's error.
func (t *Turnstile) Wait(ctx context.Context) error {
	t.mu.Lock()
	now := time.Now()
	if earliest := now.Add(-turnsInStore * turnEvery); t.next.Before(earliest) {
		t.next = earliest
	}
	wait := t.next.Sub(now)
	t.next = t.next.Add(turnEvery)
	t.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
