// Package shared keeps finished results of steps where a team reaches them: in a folder that its machines have in common, or in a
// bucket. A result lies there by its step's key: its files by their content, each once however many results have it, and, when
// those are there, a manifest that names them. Two that store one result at once do no harm.
//
// What comes from the store is held to what the step gives: names, sizes and hashes. What is not whole, or is not what it should
// be, counts as not there. Who may write to the store may still put in wrong results: it belongs to people who trust each other.
package shared

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"sync"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/runtime/printable"
)

// Options say which store, and who is using it.
type Options struct {
	Where  string // a folder, or https://HOST/BUCKET/FOLDER
	Region string // of the bucket; empty: asked for
	By     string // who makes results here; empty: USER@HOST
	Logger *slog.Logger
}

// Store is one. It is safe for concurrent use.
type Store struct {
	place place
	where string
	by    string
	log   *slog.Logger

	mu      sync.Mutex
	damaged map[string]bool // keys whose results were not whole; publishing stores them anew
	down    error           // why it did not answer
	since   time.Time       // when
}

var _ graph.Shared = (*Store)(nil)

// Waits for a store that does not answer: for what is known of a key, for the next byte of a file, and before it is asked again.
const (
	soon     = 4 * time.Second
	patience = 20 * time.Second
	rest     = 30 * time.Second
)

// Open opens a store. A folder is made where it is missing, its parent is not: a file system that is not mounted is no store.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{where: o.Where, by: printable.Line(o.By), log: o.Logger, damaged: map[string]bool{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.by == "" {
		s.by = self()
	}
	if len(s.by) > 100 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "the name of who shares results has %d bytes, may have 100", len(s.by))
	}
	err := s.within(ctx, soon, func(ctx context.Context, _ func()) (err error) {
		if strings.Contains(o.Where, "://") {
			s.place, err = openBucket(ctx, o.Where, o.Region)
		} else {
			s.place, err = openFolder(o.Where)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("shared results: %w", err)
	}
	return s, nil
}

// Where is what it was opened with.
func (s *Store) Where() string { return s.where }

// self is USER@HOST, as far as they are known.
func self() string {
	name := "someone"
	if u, err := user.Current(); err == nil {
		name = u.Username[strings.LastIndex(u.Username, `\`)+1:]
	}
	if host, err := os.Hostname(); err == nil {
		host, _, _ = strings.Cut(host, ".")
		name += "@" + host
	}
	return printable.Line(name)
}

// within runs what asks the store, and gives up when it shows no sign of life for a while: a file system of another machine may
// hang for good. What then still comes is of no use to anyone.
func (s *Store) within(ctx context.Context, patience time.Duration, ask func(ctx context.Context, alive func()) error) error {
	if err := s.resting(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	life, done := make(chan struct{}, 1), make(chan error, 1)
	alive := func() {
		select {
		case life <- struct{}{}:
		default:
		}
	}
	go func() { done <- ask(ctx, alive) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case err := <-done:
			if ctx.Err() == nil && experiments.CodeOf(err) == experiments.CodeUnavailable {
				s.silent(err)
			}
			return err
		case <-life:
			timer.Reset(patience)
		case <-timer.C:
			return s.silent(experiments.Errorf(experiments.CodeUnavailable, "%s does not answer for %v", s.where, patience))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// silent remembers that the store did not answer.
func (s *Store) silent(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.since = err, time.Now()
	s.log.Warn("shared results are out of reach; work goes on without them", "error", err)
	return err
}

// resting is why the store is not asked for now; nil: it is.
func (s *Store) resting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil && time.Since(s.since) < rest {
		return s.down
	}
	s.down = nil
	return nil
}

// spoilt remembers that a key's result is not whole, and says so; isSpoilt tells.
func (s *Store) spoilt(p *graph.Planned, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damaged[p.Key] = true
	s.log.Warn("a shared result is not whole and counts as not there", "step", p.Name, "key", p.Key, "error", err)
	return experiments.Errorf(experiments.CodeInvalid, "shared result %.12s of %s: %w", p.Key, p.Name, err)
}

func (s *Store) isSpoilt(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[key]
}

func (s *Store) mended(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.damaged, key)
}
