package books

import (
	"context"
	"errors"
	"sync"
	"time"

	"triality/experiments"
	"triality/server/events"
	"triality/server/store"
)

// result is a step's finished result, in the run that computed it.
type result struct {
	run     string
	ended   time.Time
	seconds float64
}

// results remembers which run computed which step's result, and which runs are of which notebook. It follows the store's
// events. It is safe for concurrent use.
type results struct {
	store *store.Store

	mu     sync.Mutex
	byKey  map[string]result
	ofBook map[string][]string // run ids, as they were seen
	seen   map[string]bool
}

// follow reads every run, and then those that change, until ctx ends. filled is closed when every run was read.
func (r *results) follow(ctx context.Context, filled chan<- struct{}) {
	full := sync.OnceFunc(func() { close(filled) })
	for ctx.Err() == nil {
		w, err := r.store.Watch(ctx, store.WatchOptions{Inner: true})
		if err == nil {
			err = r.fill(ctx)
		}
		if err == nil {
			full()
		}
		for err == nil {
			var ev experiments.Event
			if ev, err = w.Next(ctx); err == nil && ev.Type == experiments.EventRun {
				err = r.read(ctx, ev.RunID)
			}
		}
		if w != nil {
			w.Close()
		}
		if errors.Is(err, events.ErrClosed) {
			return
		}
		select { // what was missed is read again, but not without a pause
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (r *results) fill(ctx context.Context) error {
	var all []experiments.Run
	for cursor, more := "", true; more; more = cursor != "" {
		var items []experiments.Run
		var err error
		if items, cursor, err = r.store.Runs(ctx, store.RunFilter{Limit: 500, Cursor: cursor}); err != nil {
			return err
		}
		for _, run := range items {
			if len(run.Steps) > 0 || run.Tags[experiments.TagBook] != "" {
				run.Summary, run.Params = nil, nil
				all = append(all, run)
			}
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		r.take(all[i])
	}
	return nil
}

func (r *results) read(ctx context.Context, id string) error {
	run, err := r.store.Run(ctx, id)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return nil
	}
	if err == nil {
		r.take(run)
	}
	return err
}

func (r *results) take(run experiments.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if book := run.Tags[experiments.TagBook]; book != "" && !r.seen[run.ID] {
		r.seen[run.ID] = true
		r.ofBook[book] = append(r.ofBook[book], run.ID)
	}
	for _, s := range run.Steps {
		if s.Status == experiments.Finished && s.Key != "" {
			r.byKey[s.Key] = result{run.ID, s.EndedAt, s.EndedAt.Sub(s.StartedAt).Seconds()}
		}
	}
}

// of gives a key's result, where its run is still there.
func (r *results) of(ctx context.Context, key string) (result, bool) {
	r.mu.Lock()
	found, ok := r.byKey[key]
	r.mu.Unlock()
	if !ok {
		return found, false
	}
	_, err := r.store.Run(ctx, found.run)
	return found, err == nil
}

// maxOfBook bounds how many runs of a notebook are looked at for what its cells showed before.
const maxOfBook = 50

// runsOf gives the newest runs of a notebook, the newest first.
func (r *results) runsOf(ctx context.Context, book string) ([]experiments.Run, error) {
	r.mu.Lock()
	ids := r.ofBook[book]
	ids = append([]string(nil), ids[max(0, len(ids)-maxOfBook):]...)
	r.mu.Unlock()
	var out []experiments.Run
	for i := len(ids) - 1; i >= 0; i-- {
		run, err := r.store.Run(ctx, ids[i])
		if experiments.CodeOf(err) == experiments.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, run)
	}
	return out, nil
}
