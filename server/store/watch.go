package store

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/events"
)

// ErrReset ends a watch that missed events: what it knew is stale and is to be read anew.
var ErrReset = errors.New("events were missed: the id is no longer in the log, or the watcher read too slowly")

// WatchOptions say where a watch begins and what it sees.
type WatchOptions struct {
	After *uint64 // replay the log after this id; nil: only what comes from now on
	RunID string  // "" for every run
}

// Watch is a subscription to events: the stored ones after an id, then live ones. Events that are not
// stored (progress) have id 0. One goroutine may use it.
type Watch struct {
	s     *Store
	sub   *events.Subscription
	runID string
	last  uint64 // newest id handed out or passed over
	page  []experiments.Event
	live  bool
}

// Watch begins a watch; Close it. An id that the log does not reach back to is ErrReset.
func (s *Store) Watch(ctx context.Context, o WatchOptions) (*Watch, error) {
	// Subscribed before the log is read, so nothing falls between the two.
	w := &Watch{s: s, sub: s.broker.Subscribe(o.RunID, s.opts.WatchBuffer), runID: o.RunID}
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

// Next waits for an event. It ends with ctx's error, with ErrReset when events were missed, with
// events.ErrClosed when the store closes.
func (w *Watch) Next(ctx context.Context) (experiments.Event, error) {
	for {
		for len(w.page) > 0 {
			ev := w.page[0]
			w.page = w.page[1:]
			w.last = ev.ID
			if events.Matches(ev, w.runID) {
				return ev, nil
			}
		}
		if !w.live {
			if err := w.replay(ctx); err != nil {
				return experiments.Event{}, err
			}
			continue
		}
		select {
		case ev, ok := <-w.sub.C():
			switch {
			case !ok && errors.Is(w.sub.Err(), events.ErrSlow):
				return experiments.Event{}, ErrReset
			case !ok:
				return experiments.Event{}, w.sub.Err()
			case ev.ID != 0 && ev.ID <= w.last:
				continue // the replay had it
			case ev.ID != 0:
				w.last = ev.ID
			}
			return ev, nil
		case <-ctx.Done():
			return experiments.Event{}, ctx.Err()
		}
	}
}

func (w *Watch) replay(ctx context.Context) error {
	return w.s.view(ctx, func(tx *bbolt.Tx) error {
		var err error
		w.page, _, err = eventsAfter(tx, w.last, 256)
		w.live = err == nil && len(w.page) == 0
		return err
	})
}

// Close ends the watch.
func (w *Watch) Close() { w.sub.Close() }
