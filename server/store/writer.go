package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"triality/experiments"
)

// txn is what a write sees of the group's transaction.
type txn struct {
	*bbolt.Tx
	events []experiments.Event
	log    eventLog
}

// bucket gives a bucket whose keys mostly grow: pages are filled to 0.9, not half.
func (t *txn) bucket(name []byte) *bbolt.Bucket {
	b := t.Tx.Bucket(name)
	b.FillPercent = 0.9
	return b
}

// write is one request. apply may run more than once, since a group whose member fails starts again
// without it; so it must not change anything but the transaction and results it sets anew.
type write struct {
	records int
	apply   func(*txn) error
	done    chan error
}

// writer is the one goroutine that writes. While it commits, the next group gathers in the queue.
type writer struct {
	s       *Store
	queue   chan *write
	stopped chan struct{}
	log     eventLog // as committed

	mu     sync.RWMutex // held for reading while queueing
	closed bool
	failed error // set by the goroutine when the file can no longer be trusted
}

func startWriter(s *Store) (*writer, error) {
	w := &writer{s: s, queue: make(chan *write, 256), stopped: make(chan struct{})}
	err := s.db.View(func(tx *bbolt.Tx) error {
		w.log = loadEventLog(tx)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	go w.run()
	return w, nil
}

func (w *writer) stop() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.stopped
}

// update queues a write of so many records and returns when its commit is durable, or with the reason
// why nothing of it was stored. A context that ends while the commit runs does not end the wait: the
// caller would not know what happened.
func (s *Store) update(ctx context.Context, records int, apply func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	req := &write{records: records, apply: apply, done: make(chan error, 1)}
	s.writer.mu.RLock()
	if s.writer.closed {
		s.writer.mu.RUnlock()
		return errClosed
	}
	select {
	case s.writer.queue <- req:
		s.writer.mu.RUnlock()
	case <-ctx.Done():
		s.writer.mu.RUnlock()
		return ctx.Err()
	}
	return <-req.done
}

func (w *writer) run() {
	defer close(w.stopped)
	busy := false // the last group had company: another is worth a short wait
	for first := range w.queue {
		group := w.gather(first, busy)
		busy = len(group) > 1
		w.commit(group)
	}
}

func (w *writer) gather(first *write, wait bool) []*write {
	group, records := []*write{first}, first.records
	var timer <-chan time.Time
	if wait {
		timer = time.After(w.s.opts.GroupDelay)
	}
	for records < w.s.opts.GroupRecords {
		var req *write
		var ok bool
		select {
		case req, ok = <-w.queue:
		default:
			if timer == nil {
				return group
			}
			select {
			case req, ok = <-w.queue:
			case <-timer:
				return group
			}
		}
		if !ok {
			return group
		}
		group, records = append(group, req), records+req.records
	}
	return group
}

// commit applies the group in one transaction. A member that fails gets its error and the others start
// again without it.
func (w *writer) commit(group []*write) {
	for len(group) > 0 && w.failed == nil {
		bad := -1
		var badErr error
		var t *txn
		err := w.s.db.Update(func(tx *bbolt.Tx) error {
			t = &txn{Tx: tx, log: w.log}
			for i, req := range group {
				if err := run(req, t); err != nil {
					bad, badErr = i, err
					return err
				}
			}
			return t.storeEvents(w.s.opts.EventLog, w.s.opts.EventLogBytes)
		})
		if bad >= 0 {
			group[bad].done <- badErr
			group = append(group[:bad:bad], group[bad+1:]...)
			continue
		}
		if err != nil {
			err = w.refuse(err)
		} else {
			w.log = t.log
			w.s.broker.Publish(t.events...)
		}
		for _, req := range group {
			req.done <- err
		}
		return
	}
	for _, req := range group {
		req.done <- w.failed
	}
}

func run(req *write, t *txn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: panic in a write: %v", p)
		}
	}()
	return req.apply(t)
}

// refuse says why a commit failed. bbolt rolled it back. A full disk may have room again later; after
// any other input/output error what the system holds of the file is unknown, so nothing more is written
// until the store is opened anew.
func (w *writer) refuse(err error) error {
	if noSpace(err) {
		w.s.log.Error("a commit was refused: no space", "file", w.s.path, "error", err)
		return experiments.Errorf(experiments.CodeUnavailable, "store: no space left to write %s; nothing of this write was stored: %w", w.s.path, err)
	}
	w.s.log.Error("a commit failed; writes are refused until the store is opened again", "file", w.s.path, "error", err)
	w.failed = experiments.Errorf(experiments.CodeUnavailable, "store: writing %s failed; check the disk and restart: %w", w.s.path, err)
	return w.failed
}

func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) ||
		errors.Is(err, berrors.ErrMaxSizeReached)
}

// emit adds an event to the group's.
func (t *txn) emit(typ, runID string, data json.RawMessage) {
	t.events = append(t.events, experiments.Event{Type: typ, RunID: runID, Data: data})
}
