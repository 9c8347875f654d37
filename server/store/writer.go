package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"triality/experiments"
)

// write is one request. apply may run more than once, since a group starts again where a member's
// failure could not be undone; so it must not change anything but the transaction and results it sets
// anew.
type write struct {
	records int
	apply   func(*txn) error
	once    *once // nil: not of a request with an idempotency key
	done    chan error
}

// writer is the one goroutine that writes. While it commits, the next group gathers in the queue.
type writer struct {
	s       *Store
	queue   chan *write
	stopped chan struct{}
	log     eventLog // as committed
	// requests is how many idempotency keys are kept, as committed.
	requests int

	mu     sync.RWMutex // held for reading while queueing
	closed bool
	failed error // set by the goroutine when the file can no longer be trusted
}

// startWriter first commits the time. What a killed process, or one whose flush failed, left in the
// system's memory can be read although a power cut would undo it; the commit makes it durable before
// anyone relies on it.
func startWriter(s *Store) (*writer, error) {
	w := &writer{s: s, queue: make(chan *write, 256), stopped: make(chan struct{})}
	err := guarded(func() error {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketMeta).Put(keyOpened, []byte(time.Now().UTC().Format(time.RFC3339)))
		})
		if noSpace(err) { // reading goes on, and writing when there is room
			s.health.fail(partDatabase, w.full(err))
			err = s.db.Sync()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", s.path, err)
	}
	err = s.view(context.Background(), func(tx *bbolt.Tx) error {
		w.log, w.requests = loadEventLog(tx), countRequests(tx)
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
// why nothing of it was stored; CodeUnknown says that it may have been. A context that ends while the
// commit runs does not end the wait: the caller would not know what happened.
func (s *Store) update(ctx context.Context, records int, apply func(*txn) error) error {
	return s.queue(ctx, &write{records: records, apply: apply, done: make(chan error, 1)})
}

func (s *Store) queue(ctx context.Context, req *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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
	if w.s.opts.pinWriter {
		runtime.LockOSThread()
	}
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

// commit applies the group in one transaction. A member that fails gets its error and is undone. Only
// where that could not be done do the others start again without it.
func (w *writer) commit(group []*write) {
	for len(group) > 0 && w.failed == nil {
		stuck := -1
		var t *txn
		results := make([]error, len(group))
		start := time.Now()
		err := guarded(func() error {
			return w.s.db.Update(func(tx *bbolt.Tx) error {
				t = &txn{Tx: tx, id: tx.ID(), log: w.log, requests: w.requests}
				for i, req := range group {
					err, clean := t.try(req)
					if results[i] = err; !clean {
						stuck = i
						return err
					}
				}
				if !slices.Contains(results, nil) {
					return errAllRefused // nothing to commit
				}
				if err := t.trimRequests(); err != nil {
					return err
				}
				return t.storeEvents(w.s.opts.EventLog, w.s.opts.EventLogBytes)
			})
		})
		if stuck >= 0 {
			group[stuck].done <- results[stuck]
			group = append(group[:stuck:stuck], group[stuck+1:]...)
			continue
		}
		switch {
		case errors.Is(err, errAllRefused):
		case err != nil:
			err = w.refuse(err, t)
		default:
			w.log, w.requests = t.log, t.requests
			w.s.index.committed(t.changes)
			w.s.health.commit(len(group), time.Since(start))
			w.s.broker.Publish(t.events...)
		}
		for i, req := range group {
			if results[i] == nil {
				results[i] = err
			}
			req.done <- results[i]
		}
		return
	}
	for _, req := range group {
		req.done <- w.failed
	}
}

// refuse says why a commit failed. bbolt rolled it back, but writes the page that makes a commit valid
// before it flushes it: where that page can be read, a power cut decides whether the commit is stored.
// A full disk may have room again later; after any other failure what the system holds of the file is
// unknown, so nothing more is written until the store is opened anew.
func (w *writer) refuse(err error, t *txn) error {
	unknown := t != nil && w.reached(t.id)
	if noSpace(err) && !unknown {
		w.s.log.Error("a commit was refused: no space", "file", w.s.path, "error", err)
		err = w.full(err)
		w.s.health.fail(partDatabase, err)
		return err
	}
	w.s.log.Error("a commit failed; writes are refused until the store is opened again", "file", w.s.path, "outcome_unknown", unknown, "error", err)
	w.failed = experiments.Errorf(experiments.CodeUnavailable, "store: writing %s failed; nothing more is written: check the disk and restart the server: %w", w.s.path, err)
	w.s.health.poison(w.failed)
	if unknown {
		return experiments.Errorf(experiments.CodeUnknown,
			"store: flushing %s failed: whether this write is stored is unknown until the server was restarted; send it again then, with the same Idempotency-Key, and it is stored once: %w", w.s.path, err)
	}
	return experiments.Errorf(experiments.CodeUnavailable, "store: writing %s failed; nothing of this write was stored; check the disk and restart the server: %w", w.s.path, err)
}

// errAllRefused ends a transaction none of whose members succeeded.
var errAllRefused = errors.New("no member of the group succeeded")

func (w *writer) full(err error) error {
	return experiments.Errorf(experiments.CodeUnavailable, "store: no space left to write %s; nothing of this write was stored: %w", w.s.path, err)
}

// reached says whether readers see transaction id, or one after it. When that cannot be read it may be so.
func (w *writer) reached(id int) (reached bool) {
	err := guarded(func() error {
		return w.s.db.View(func(tx *bbolt.Tx) error {
			reached = tx.ID() >= id
			return nil
		})
	})
	return reached || err != nil
}

func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) ||
		errors.Is(err, berrors.ErrMaxSizeReached)
}
