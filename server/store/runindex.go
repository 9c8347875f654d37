package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
	"triality/server/search/query"
)

// runIndex is the search index of a store. It is filled at the first search, or by Index; until then commits are not
// told to it.
type runIndex struct {
	*search.Index
	mu     *sync.RWMutex // held while it is filled, so that the commits meanwhile are told to it afterwards
	filled *bool
}

func newRunIndex() runIndex { return runIndex{search.New(), new(sync.RWMutex), new(bool)} }

// committed takes in what a commit changed. It may be known already, where the index was filled after the commit.
func (x runIndex) committed(changes []search.Change) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if *x.filled {
		x.Apply(changes)
	}
}

// Index fills the search index, if it is not filled, so that the first search need not.
func (s *Store) Index(ctx context.Context) error {
	s.index.mu.RLock()
	filled := *s.index.filled
	s.index.mu.RUnlock()
	if filled {
		return nil
	}
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	if *s.index.filled {
		return nil
	}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		return s.index.Load(func(l *search.Loader) error { return loadIndex(ctx, tx, l) })
	})
	if err != nil {
		return fmt.Errorf("search index: %w", err)
	}
	*s.index.filled = true
	return nil
}

func loadIndex(ctx context.Context, tx *bbolt.Tx, l *search.Loader) error {
	c := tx.Bucket(bucketExperiments).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var e experiments.Experiment
		if err := json.Unmarshal(v, &e); err != nil {
			return fmt.Errorf("record of experiment %q: %w", k, err)
		}
		l.Experiment(&e)
	}
	c = tx.Bucket(bucketModules).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var m moduleRecord
		if err := json.Unmarshal(v, &m); err != nil {
			return fmt.Errorf("record of module %s: %w", k, err)
		}
		l.Module(&m.Module)
	}
	if err := loadRuns(ctx, tx, l); err != nil {
		return err
	}
	c = tx.Bucket(bucketSeries).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		run, name, _ := bytes.Cut(k, []byte{0})
		h, err := decodeHead(v)
		if err != nil {
			return fmt.Errorf("series %q of run %s: %w", name, run, err)
		}
		l.Series(run, name, h.stats())
	}
	return ctx.Err()
}

// indexed are the parts of a run's record that the index has.
type indexed struct {
	experiments.Run
	Steps  skipped `json:"steps"`
	Config skipped `json:"config"`
	Job    skipped `json:"job"`
}

// skipped is a part that is not read.
type skipped struct{}

func (skipped) UnmarshalJSON([]byte) error { return nil }

// loadRuns decodes runs on all processors and adds them in their order.
func loadRuns(ctx context.Context, tx *bbolt.Tx, l *search.Loader) error {
	const atOnce = 256
	type part struct {
		records [][]byte
		runs    []indexed
		err     error
		done    chan struct{}
	}
	work := make(chan *part)
	order := make(chan *part, 2*runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for p := range work {
				p.runs = make([]indexed, len(p.records))
				for i, v := range p.records {
					if err := json.Unmarshal(v, &p.runs[i]); err != nil {
						p.err = fmt.Errorf("record of a run: %.80q: %w", v, err)
					}
				}
				close(p.done)
			}
		})
	}
	go func() {
		defer close(order)
		defer close(work)
		c := tx.Bucket(bucketRuns).Cursor()
		for k, v := c.First(); k != nil && ctx.Err() == nil; {
			p := &part{done: make(chan struct{})}
			for ; k != nil && len(p.records) < atOnce; k, v = c.Next() {
				p.records = append(p.records, v)
			}
			order <- p
			work <- p
		}
	}()
	var err error
	for p := range order {
		<-p.done
		if err == nil {
			err = p.err
		}
		for i := range p.runs {
			if err == nil {
				l.Run(&p.runs[i].Run)
			}
		}
	}
	wg.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// Search gives a page of the runs that match.
func (s *Store) Search(ctx context.Context, q search.Query) (search.Result, error) {
	if err := s.Index(ctx); err != nil {
		return search.Result{}, err
	}
	return s.index.Search(ctx, q)
}

// Columns lists what the runs that match have: metrics, parameters and tags whose names contain part.
func (s *Store) Columns(ctx context.Context, q search.Query, part string) (search.Facets, error) {
	if err := s.Index(ctx); err != nil {
		return search.Facets{}, err
	}
	return s.index.Columns(ctx, q, part)
}

// Groups puts the runs that match into groups by columns.
func (s *Store) Groups(ctx context.Context, q search.Query, by []query.Key) (search.Groups, error) {
	if err := s.Index(ctx); err != nil {
		return search.Groups{}, err
	}
	return s.index.Groups(ctx, q, by)
}
