package search

import (
	"crypto/rand"
	"slices"
	"sync"

	"triality/experiments"
)

// Limits of the snapshots that are kept; those asked for longest ago go first.
const (
	maxSnapshots    = 64
	maxSnapshotRows = 4_000_000
)

// snapshot is the order of all runs that a search matched, so that a window of it can be asked for anywhere.
type snapshot struct {
	id, of string // of: digest of the query
	rows   []uint32
}

type snapshots struct {
	mu   sync.Mutex
	list []*snapshot // the one asked for last comes last
	rows int
}

func (s *snapshots) add(of string, rows []uint32) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, &snapshot{rand.Text(), of, rows})
	s.rows += len(rows)
	for len(s.list) > 1 && (len(s.list) > maxSnapshots || s.rows > maxSnapshotRows) {
		s.rows -= len(s.list[0].rows)
		s.list = slices.Delete(s.list, 0, 1)
	}
	return s.list[len(s.list)-1].id
}

// find gives a snapshot's rows.
func (s *snapshots) find(id, of string) ([]uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(o *snapshot) bool { return o.id == id })
	if i < 0 {
		e := experiments.Errorf(experiments.CodeConflict, "the snapshot is no longer kept: search anew, without it")
		e.Details = map[string]any{"reason": "snapshot"}
		return nil, e
	}
	found := s.list[i]
	if found.of != of {
		return nil, experiments.Errorf(experiments.CodeInvalid, "snapshot: it is of another search; filter, order, experiments and archived stay the same within one")
	}
	s.list = append(slices.Delete(s.list, i, i+1), found)
	return found.rows, nil
}

// clear forgets all, since rows were numbered anew.
func (s *snapshots) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list, s.rows = nil, 0
}

// window gives the rows from an offset on, of a snapshot that was given before or is made here.
func (x *Index) window(q *Query) (r *resolver, page []uint32, total int, err error) {
	var rows []uint32
	if q.Snapshot == "" {
		var matched rowset
		if r, matched, err = x.matched(*q); err != nil {
			return nil, nil, 0, err
		}
		rows = r.order(q.Order).all(matched.list())
		q.Snapshot = x.snapshots.add(q.digest(), rows)
	} else {
		scope, err := x.scope(q.Experiments, q.Archived)
		if err != nil {
			return nil, nil, 0, err
		}
		r = x.resolver(scope, q.Now)
		if rows, err = x.snapshots.find(q.Snapshot, q.digest()); err != nil {
			return nil, nil, 0, err
		}
	}
	from := min(*q.Offset, len(rows))
	return r, rows[from:min(from+q.Limit, len(rows))], len(rows), nil
}

// all gives the rows in order.
func (o *ordering) all(rows []uint32) []uint32 {
	places := o.places(rows)
	slices.SortFunc(places, func(a, b place) int { return o.compare(&a, &b) })
	out := make([]uint32, len(places))
	for i := range places {
		out[i] = places[i].at
	}
	return out
}
