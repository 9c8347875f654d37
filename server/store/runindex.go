package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

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
	return loadRuns(ctx, tx, l)
}

// share is some of the runs, and their series.
type share struct {
	ids     [][]byte
	records [][]byte
	next    []byte // the first id after it; nil: there is none
	runs    []search.Record
	parsed  chan struct{}
	part    *search.Part
}

// loadRuns reads runs and their series on all processors.
func loadRuns(ctx context.Context, tx *bbolt.Tx, l *search.Loader) error {
	const atOnce = 512
	var ids []string
	var pieces []*share
	c := tx.Bucket(bucketRuns).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(ids)%atOnce == 0 {
			if n := len(pieces); n > 0 {
				pieces[n-1].next = k
			}
			pieces = append(pieces, &share{parsed: make(chan struct{})})
		}
		p := pieces[len(pieces)-1]
		p.ids, p.records, ids = append(p.ids, k), append(p.records, v), append(ids, string(k))
	}
	l.Announce(ids)
	var work []func() error // the runs first: this goroutine adds them meanwhile
	for _, p := range pieces {
		work = append(work, p.parse)
	}
	series := tx.Bucket(bucketSeries)
	for i, p := range pieces {
		p.part = l.Part()
		work = append(work, func() error { return p.readSeries(series.Cursor(), i == 0) })
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(work) {
					return
				}
				if err := guarded(work[i]); err != nil {
					stop(err)
				}
			}
		})
	}
	var parts []*search.Part
	for _, p := range pieces {
		select {
		case <-p.parsed:
			for i := range p.runs {
				l.Run(&p.runs[i])
			}
			p.runs = nil
		case <-ctx.Done():
		}
		parts = append(parts, p.part)
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	l.Join(parts)
	return nil
}

func (p *share) parse() error {
	p.runs = make([]search.Record, len(p.records))
	for i, v := range p.records {
		var err error
		if p.runs[i], err = readRecord(v); err != nil {
			return fmt.Errorf("record of run %q: %w", p.ids[i], err)
		}
	}
	close(p.parsed)
	return nil
}

// readSeries reads the heads of the series of the runs, and of what comes before them in the first piece.
func (p *share) readSeries(c *bbolt.Cursor, first bool) error {
	k, v := c.Seek(p.ids[0])
	if first {
		k, v = c.First()
	}
	for ; k != nil && (p.next == nil || bytes.Compare(k, p.next) < 0); k, v = c.Next() {
		run, name, _ := bytes.Cut(k, []byte{0})
		h, err := decodeHead(v)
		if err != nil {
			return fmt.Errorf("series %q of run %s: %w", name, run, err)
		}
		p.part.Series(run, name, h.stats())
	}
	return nil
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
