package model

import (
	"context"
	"sync"
	"time"
)

// WithContext is a source whose reading ends with ctx's error when ctx does.
func WithContext(ctx context.Context, s Source) Source { return interruptible{s, ctx} }

type interruptible struct {
	Source
	ctx context.Context
}

func (s interruptible) ReadAt(name string, dst []float32, at int) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.Source.ReadAt(name, dst, at)
}

// Watch is a source that tells, now and then and one call at a time, how many of its elements have been
// read, until all have.
func Watch(s Source, tell func(done, total int)) Source {
	return &watched{Source: s, tell: tell, total: Elements(s), told: time.Now()}
}

type watched struct {
	Source
	tell  func(done, total int)
	total int

	mu   sync.Mutex
	done int
	told time.Time
}

// tellEvery is how often progress is told: reading a large model takes minutes.
const tellEvery = 250 * time.Millisecond

func (w *watched) ReadAt(name string, dst []float32, at int) error {
	if err := w.Source.ReadAt(name, dst, at); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done += len(dst)
	if now := time.Now(); now.Sub(w.told) >= tellEvery && w.done <= w.total {
		w.told = now
		w.tell(w.done, w.total)
	}
	return nil
}
