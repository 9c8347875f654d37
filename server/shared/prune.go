package shared

import (
	"context"
	"encoding/json"
	"time"

	"triality/experiments"
)

// Entry is a result of the store.
type Entry struct {
	Key     string    `json:"key"`
	Kind    string    `json:"kind"`
	By      string    `json:"by"`
	Shared  time.Time `json:"shared_at"`
	Seconds float64   `json:"seconds"` // that it took
	Bytes   int64     `json:"bytes"`   // of its files, some of which others may have too
	Problem string    `json:"problem,omitempty"`

	sums []string
}

// List gives every result, in the order of their keys.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	out := []Entry{}
	err := s.within(ctx, patience, func(ctx context.Context, alive func()) error {
		return s.place.manifests(ctx, func(key string, at time.Time) error {
			alive()
			text, err := s.place.manifest(ctx, key)
			switch experiments.CodeOf(err) {
			case experiments.CodeNotFound: // removed since
				return nil
			case experiments.CodeUnavailable:
				return err
			}
			e := Entry{Key: key, Shared: at}
			var m manifest
			if err == nil {
				err = json.Unmarshal(text, &m)
			}
			if err == nil && (m.Key != key || m.Format != formatNow) {
				err = experiments.Errorf(experiments.CodeInvalid, "it says that it is of %.70q, format %d", m.Key, m.Format)
			}
			if err != nil {
				e.Problem = err.Error()
			} else {
				e.Kind, e.By, e.Seconds, e.Bytes = m.Kind, m.By, m.Seconds, m.bytes()
				for _, f := range m.Files {
					e.sums = append(e.sums, f.SHA256)
				}
			}
			out = append(out, e)
			return nil
		})
	})
	return out, err
}

// spared is how long a file that no result has is kept: one that is being stored is there before its manifest.
const spared = 24 * time.Hour

// Prune removes the results that were shared before a time, then the files that no result has any more, but those of the last
// day. It gives what it removed.
func (s *Store) Prune(ctx context.Context, before time.Time) (removed []Entry, bytes int64, err error) {
	all, err := s.List(ctx)
	if err != nil {
		return nil, 0, err
	}
	kept := map[string]bool{}
	for _, e := range all {
		if !e.Shared.Before(before) {
			for _, sum := range e.sums {
				kept[sum] = true
			}
			continue
		}
		if err := s.place.removeManifest(ctx, e.Key); err != nil {
			return removed, 0, err
		}
		removed = append(removed, e)
	}
	bytes, err = s.place.prune(ctx, time.Now().Add(-spared), func(sum string) bool { return kept[sum] })
	return removed, bytes, err
}
