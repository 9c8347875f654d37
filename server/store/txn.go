package store

import (
	"bytes"
	"encoding/json"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
)

// txn is what a write sees of the group's transaction. It remembers what a member changed, so that a
// member that fails is undone and the others of its group go on.
type txn struct {
	*bbolt.Tx
	id       int // of the transaction; kept, since a closed one has none
	events   []experiments.Event
	log      eventLog
	requests int // idempotency keys that are kept
	changes  []search.Change
	undos    []undo
}

// undo is one change taken back: a key's former value, or a bucket's former sequence.
type undo struct {
	b        *bbolt.Bucket
	key      []byte
	value    []byte
	was      bool // the key was there
	sequence uint64
}

// bucket is a bucket whose changes are remembered.
type bucket struct {
	*bbolt.Bucket
	t *txn
}

// Bucket gives a bucket of the store's.
func (t *txn) Bucket(name []byte) bucket { return bucket{t.Tx.Bucket(name), t} }

// bucket gives a bucket whose keys mostly grow: pages are filled to 0.9, not half.
func (t *txn) bucket(name []byte) bucket {
	b := t.Bucket(name)
	b.FillPercent = 0.9
	return b
}

// Put stores a value.
func (b bucket) Put(k, v []byte) error {
	b.remember(k)
	return b.Bucket.Put(k, v)
}

// Delete removes a key, if it is there.
func (b bucket) Delete(k []byte) error {
	b.remember(k)
	return b.Bucket.Delete(k)
}

func (b bucket) remember(k []byte) {
	u := undo{b: b.Bucket, key: bytes.Clone(k)}
	// Not Get: it gives nil for an empty value that this transaction put.
	if at, v := b.Cursor().Seek(k); at != nil && bytes.Equal(at, k) {
		u.value, u.was = bytes.Clone(v), true
	}
	b.t.undos = append(b.t.undos, u)
}

// NextSequence gives the next number of the bucket's.
func (b bucket) NextSequence() (uint64, error) {
	b.t.undos = append(b.t.undos, undo{b: b.Bucket, sequence: b.Sequence()})
	return b.Bucket.NextSequence()
}

// try applies one member. When it fails, nothing of it is left; clean says that this could be done.
func (t *txn) try(req *write) (err error, clean bool) {
	t.undos = t.undos[:0]
	events, requests, changes := len(t.events), t.requests, len(t.changes)
	if err = guarded(func() error { return req.applyOnce(t) }); err == nil {
		return nil, true
	}
	t.events, t.requests, t.changes = t.events[:events], requests, t.changes[:changes]
	undone := guarded(func() error {
		for i := len(t.undos) - 1; i >= 0; i-- {
			if err := t.undos[i].do(); err != nil {
				return err
			}
		}
		return nil
	})
	return err, undone == nil
}

func (u undo) do() error {
	switch {
	case u.key == nil:
		return u.b.SetSequence(u.sequence)
	case u.was:
		return u.b.Put(u.key, u.value)
	}
	return u.b.Delete(u.key)
}

// emit adds an event to the group's.
func (t *txn) emit(typ, runID string, data json.RawMessage) {
	t.events = append(t.events, experiments.Event{Type: typ, RunID: runID, Data: data})
}

// changed tells the index of a change, once it is committed.
func (t *txn) changed(c search.Change) { t.changes = append(t.changes, c) }
