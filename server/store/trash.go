package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// What is removed is first noted in the trash, in the commit that takes it off the lists; what belongs to
// it goes afterwards, a piece at a time, while others write. After a kill the rest goes when the store is
// opened again.

// Kinds of things in the trash. An experiment's runs are moved there one by one.
const (
	trashExperiment = "experiment"
	trashRun        = "run"
	trashFile       = "file"
	trashChange     = "change" // not removed but done, undone or purged, a piece at a time as well
)

// idleKey is what is waited for by those who wait for all: the key of nothing.
var idleKey = string(key("", ""))

// A piece removes about so many keys: the more where no one waits for the writer.
const (
	sweepAtLeast = 400
	sweepAtMost  = 5000
)

// piece is how much of a removal one write does.
type piece struct {
	keys int
	busy func() bool // others wait for the writer
}

// done says that the piece is large enough.
func (p *piece) done() bool {
	return p.keys >= sweepAtMost || p.keys >= sweepAtLeast && p.busy()
}

func putTrash(t *txn, kind, id string) error { return t.Bucket(bucketTrash).Put(key(kind, id), nil) }

// inTrash says whether a key (its kind and id, joined) is in the trash.
func inTrash(tx *bbolt.Tx, k string) bool {
	at, _ := tx.Bucket(bucketTrash).Cursor().Seek([]byte(k))
	return string(at) == k
}

// sweeper removes what is in the trash.
type sweeper struct {
	s       *Store
	kick    chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}

	mu    sync.Mutex
	waits map[string][]chan struct{} // key in the trash → who waits for it to be gone
}

// startSweeper makes the store's sweeper, which is there before it goes: what it does asks the store for it.
func startSweeper(s *Store) {
	ctx, stop := context.WithCancel(context.Background())
	s.sweeper = &sweeper{s: s, kick: make(chan struct{}, 1), stop: stop, stopped: make(chan struct{}), waits: map[string][]chan struct{}{}}
	s.sweeper.wake()
	go s.sweeper.run(ctx)
}

// await returns when the thing is gone from the trash. Where it cannot be (ctx ends, the store closes,
// the disk fails) that is no error: it is noted durably and goes later.
func (w *sweeper) await(ctx context.Context, kind, id string) {
	gone := make(chan struct{})
	k := string(key(kind, id))
	w.mu.Lock()
	w.waits[k] = append(w.waits[k], gone)
	w.mu.Unlock()
	w.wake()
	select {
	case <-gone:
	case <-ctx.Done():
	case <-w.stopped:
	}
}

// wake tells the sweeper that something is in the trash.
func (w *sweeper) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// idle waits until the trash is empty, or cannot be emptied now.
func (w *sweeper) idle(ctx context.Context) { w.await(ctx, "", "") }

func (w *sweeper) run(ctx context.Context) {
	defer close(w.stopped)
	expiry := time.NewTicker(time.Hour)
	defer expiry.Stop()
	if err := w.s.expire(ctx); err != nil && ctx.Err() == nil {
		w.s.log.Error("removing what was deleted long ago is put off", "error", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			if err := w.s.expire(ctx); err != nil && ctx.Err() == nil {
				w.s.log.Error("removing what was deleted long ago is put off", "error", err)
			}
		case <-w.kick:
		}
		for more := true; more; {
			var err error
			if more, err = w.round(ctx); err != nil {
				if !errors.Is(err, context.Canceled) {
					w.s.log.Error("removing what was deleted is put off", "error", err)
				}
				w.mu.Lock()
				all := slices.Collect(maps.Keys(w.waits))
				w.mu.Unlock()
				w.release(all)
				break
			}
		}
	}
}

// round takes a piece of everything in the trash in turn, so that a run does not wait for an experiment
// of thousands, and then removes the files.
func (w *sweeper) round(ctx context.Context) (more bool, err error) {
	w.mu.Lock()
	waited := slices.Collect(maps.Keys(w.waits)) // before reading: who comes later is told later
	w.mu.Unlock()
	keys, err := w.keys(ctx, "", waited)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		kind, id, _ := strings.Cut(k, "\x00")
		switch kind {
		case trashRun:
			err = w.piece(ctx, func(t *txn, p *piece) error { return sweepRun(t, id, p) })
		case trashExperiment:
			err = w.piece(ctx, func(t *txn, p *piece) error { return sweepExperiment(t, id, p) })
		case trashChange:
			err = w.piece(ctx, func(t *txn, p *piece) error { return workOn(t, id, p) })
		}
		if err != nil {
			return false, err
		}
	}
	files, err := w.keys(ctx, string(under(trashFile)), nil)
	if err != nil {
		return false, err
	}
	return len(keys) > 0, w.files(ctx, files)
}

// keys lists what is in the trash under a prefix, up to 1,000, and lets those go who wait for something
// that is not in it.
func (w *sweeper) keys(ctx context.Context, prefix string, waited []string) (keys []string, err error) {
	var gone []string
	err = w.s.view(ctx, func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketTrash).Cursor()
		for k, _ := c.Seek([]byte(prefix)); bytes.HasPrefix(k, []byte(prefix)) && k != nil && len(keys) < 1000; k, _ = c.Next() {
			keys = append(keys, string(k))
		}
		for _, k := range waited {
			if !inTrash(tx, k) && (k != idleKey || prefix == "" && len(keys) == 0) {
				gone = append(gone, k)
			}
		}
		return nil
	})
	w.release(gone)
	return keys, err
}

// release tells those who wait for the keys.
func (w *sweeper) release(keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		for _, gone := range w.waits[k] {
			close(gone)
		}
		delete(w.waits, k)
	}
}

func (w *sweeper) piece(ctx context.Context, f func(t *txn, p *piece) error) error {
	return w.s.update(ctx, 1, func(t *txn) error {
		return f(t, &piece{busy: func() bool { return len(w.s.writer.queue) > 0 }})
	})
}

// files removes files that no record points to, then forgets them.
func (w *sweeper) files(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	sums := make([]string, len(keys))
	for i, k := range keys {
		sums[i] = strings.TrimPrefix(k, string(under(trashFile)))
	}
	if err := w.s.dropBlobs(ctx, sums); err != nil {
		return err
	}
	return w.s.update(ctx, len(keys), func(t *txn) error {
		for _, k := range keys {
			if err := t.Bucket(bucketTrash).Delete([]byte(k)); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweepExperiment removes runs of a removed experiment a piece at a time.
func sweepExperiment(t *txn, id string, p *piece) error {
	prefix := under("e", id)
	for !p.done() {
		k, _ := t.Bucket(bucketRunIndex).Cursor().Seek(prefix)
		if !bytes.HasPrefix(k, prefix) {
			return t.Bucket(bucketTrash).Delete(key(trashExperiment, id))
		}
		run := runOfIndex(k[len(prefix):])
		var r experiments.Run
		if err := readJSON(t.Tx, bucketRuns, run, "run", &r); err != nil {
			return err
		}
		if err := unlistRun(t, r); err != nil {
			return err
		}
		p.keys += 5
		if err := sweepRun(t, run, p); err != nil {
			return err
		}
	}
	return nil
}

// sweepRun removes what belongs to a removed run a piece at a time.
func sweepRun(t *txn, id string, p *piece) error {
	for _, part := range []func(*txn, string, *piece) error{sweepSeries, sweepArtifacts, sweepUses} {
		if err := part(t, id, p); err != nil || p.done() {
			return err
		}
	}
	return t.Bucket(bucketTrash).Delete(key(trashRun, id))
}

func sweepSeries(t *txn, run string, p *piece) error {
	series, points := t.Bucket(bucketSeries), t.Bucket(bucketPoints)
	prefix := under(run)
	for !p.done() {
		k, v := series.Cursor().Seek(prefix)
		if !bytes.HasPrefix(k, prefix) {
			return nil
		}
		h, err := decodeHead(v)
		if err != nil {
			return err
		}
		k = bytes.Clone(k)
		for ; h.chunks > 0 && !p.done(); h.chunks-- {
			if err := points.Delete(chunkKey(h.id, h.chunks-1)); err != nil {
				return err
			}
			p.keys++
		}
		if h.chunks > 0 {
			return series.Put(k, h.encode())
		}
		if err := series.Delete(k); err != nil {
			return err
		}
		p.keys++
	}
	return nil
}

func sweepArtifacts(t *txn, run string, p *piece) error {
	prefix := under(run)
	for !p.done() {
		k, _ := t.Bucket(bucketArtifacts).Cursor().Seek(prefix)
		if !bytes.HasPrefix(k, prefix) {
			return nil
		}
		k = bytes.Clone(k)
		var a experiments.Artifact
		if err := readJSON(t.Tx, bucketArtifacts, string(k), "artifact", &a); err != nil {
			return err
		}
		if err := t.Bucket(bucketArtifacts).Delete(k); err != nil {
			return err
		}
		if err := unhold(t, a.SHA256, run, a.Path); err != nil {
			return err
		}
		p.keys += 3
	}
	return nil
}

// sweepUses looks a run up under each module in turn.
func sweepUses(t *txn, run string, p *piece) error {
	b := t.Bucket(bucketModuleUses)
	for k, _ := b.Cursor().First(); k != nil; {
		sum, _, _ := bytes.Cut(k, []byte{0})
		sum = bytes.Clone(sum)
		use := key(string(sum), run)
		if at, _ := b.Cursor().Seek(use); bytes.Equal(at, use) {
			if err := b.Delete(use); err != nil {
				return err
			}
			if err := dropUnused(t, string(sum)); err != nil {
				return err
			}
			p.keys += 3
		}
		k, _ = b.Cursor().Seek(append(sum, 1)) // past all uses of this one
	}
	return nil
}

// unhold takes a holder off a file, which goes to the trash with its last one.
func unhold(t *txn, sum string, holder ...string) error {
	if err := t.Bucket(bucketBlobRefs).Delete(key(append([]string{sum}, holder...)...)); err != nil {
		return err
	}
	if referred(t.Tx, sum) {
		return nil
	}
	return putTrash(t, trashFile, sum)
}
