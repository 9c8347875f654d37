package store

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/events"
)

// ErrReset ends a watch that missed events: what it knew is stale and is to be read anew.
var ErrReset = errors.New("events were missed: the id is no longer in the log")

// watchBytes bounds what a watch holds at a time, in bytes of events; one larger event is held whole.
const watchBytes = 32 << 10

// WatchOptions say where a watch begins and what it sees.
type WatchOptions struct {
	After *uint64 // replay the log after this id; nil: only what comes from now on
	RunID string  // "" for every run
	Inner bool    // the server's own, which Stats does not count
}

// Watch is a subscription to events: the stored ones after an id, then live ones. Events that are not
// stored (progress) have id 0. One goroutine may use it.
type Watch struct {
	s     *Store
	sub   *events.Subscription
	runID string
	inner bool
	last  uint64 // newest id handed out or passed over
	page  []experiments.Event
	live  bool
}

// Watch begins a watch; Close it. An id that the log does not reach back to is ErrReset.
func (s *Store) Watch(ctx context.Context, o WatchOptions) (*Watch, error) {
	// Subscribed before the log is read, so nothing falls between the two.
	w := &Watch{s: s, sub: s.broker.Subscribe(o.RunID), runID: o.RunID, inner: o.Inner}
	if o.Inner {
		s.inner.Add(1)
	}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if o.After == nil {
			w.last, w.live = tx.Bucket(bucketEvents).Sequence(), true
			return nil
		}
		w.last = *o.After
		_, _, err := eventsAfter(tx, w.last, 1)
		return err
	})
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// LastID is the id after which Next goes on.
func (w *Watch) LastID() uint64 { return w.last }

// Next waits for an event. It ends with ctx's error, with events.ErrSlow when it was called too seldom to
// keep up (a watch after LastID goes on from the log), with ErrReset when the log does not reach back,
// with events.ErrClosed when the store closes.
func (w *Watch) Next(ctx context.Context) (experiments.Event, error) {
	for len(w.page) == 0 {
		if err := w.fill(ctx); err != nil {
			return experiments.Event{}, err
		}
	}
	ev := w.page[0]
	w.page = w.page[1:]
	if ev.ID != 0 {
		w.last = ev.ID
	}
	return ev, nil
}

// More says whether Next would not wait.
func (w *Watch) More() bool { return len(w.page) > 0 }

// fill gets the next events, waiting for them and for its turn.
func (w *Watch) fill(ctx context.Context) error {
	if !w.live {
		return w.replay(ctx)
	}
	for !w.sub.Pending() {
		select {
		case <-w.sub.Ready():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := w.s.turns.Wait(ctx); err != nil {
		return err
	}
	taken, err := w.sub.Take(watchBytes)
	if err != nil {
		return err
	}
	for _, ev := range taken {
		if ev.ID == 0 || ev.ID > w.last { // else the replay had it
			w.page = append(w.page, ev)
		}
	}
	return nil
}

// replay reads a page of the log.
func (w *Watch) replay(ctx context.Context) error {
	if err := w.s.turns.Wait(ctx); err != nil {
		return err
	}
	return w.s.view(ctx, func(tx *bbolt.Tx) error {
		page, _, err := eventsAfter(tx, w.last, watchBytes)
		if err != nil {
			return err
		}
		w.live = len(page) == 0
		for _, ev := range page {
			if events.Matches(ev, w.runID) {
				w.page = append(w.page, ev)
			}
		}
		if n := len(page); n > 0 && len(w.page) == 0 {
			w.last = page[n-1].ID // all passed over
		}
		return nil
	})
}

// Close ends the watch.
func (w *Watch) Close() {
	w.sub.Close()
	if w.inner {
		w.s.inner.Add(-1)
		w.inner = false
	}
}
