package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// How long and how many idempotency keys are kept; the oldest go first.
const (
	RequestsKept = 24 * time.Hour
	MaxRequests  = 100_000
	// MaxRequestKey is the longest idempotency key, in bytes.
	MaxRequestKey = 255
)

// Request is a client's request under an idempotency key: a retry of it is done once. The key is stored
// in the commit that holds what the request did.
type Request struct {
	Key    string // as the client chose it
	Of     string // method and path
	Digest [sha256.Size]byte
	// Replayed is set when an earlier request with the key had done it.
	Replayed bool
}

type requestKey struct{}

// WithRequest makes the first write under ctx that can be told from a repetition (points, a new run, a
// new experiment, a deletion) one that is done once.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// once is a request as the writer sees it.
type once struct {
	*Request
	result string // what a repetition is answered with: the id of what was made
	found  string // the result of the earlier request
}

// requestRecord is what is stored of a request.
type requestRecord struct {
	At     time.Time `json:"at"`
	Of     string    `json:"of"`
	Digest []byte    `json:"digest"`
	Result string    `json:"result,omitempty"`
}

// updateOnce is update for a write that must not be done twice. result names what it makes; the one
// given back is that of the earlier request where there was one, and then apply did not run.
func (s *Store) updateOnce(ctx context.Context, records int, result string, apply func(*txn) error) (string, error) {
	r, _ := ctx.Value(requestKey{}).(*Request)
	if r == nil {
		return result, s.update(ctx, records, apply)
	}
	if len(r.Key) == 0 || len(r.Key) > MaxRequestKey {
		return "", experiments.Errorf(experiments.CodeInvalid, "idempotency key of %d bytes: want 1 to %d", len(r.Key), MaxRequestKey)
	}
	if err := checkText("idempotency key", r.Key); err != nil {
		return "", err
	}
	o := &once{Request: r, result: result}
	err := s.queue(ctx, &write{records: records, apply: apply, once: o, done: make(chan error, 1)})
	if err != nil {
		return "", err
	}
	if r.Replayed {
		return o.found, nil
	}
	return result, nil
}

// applyOnce applies a write unless its request was done before.
func (w *write) applyOnce(t *txn) error {
	if w.once == nil {
		return w.apply(t)
	}
	w.once.Replayed, w.once.found = false, ""
	b := t.Bucket(bucketRequests)
	if r, err := w.once.earlier(t.Tx); err != nil {
		return err
	} else if r != nil {
		w.once.Replayed, w.once.found = true, r.Result
		return nil
	}
	if err := w.apply(t); err != nil {
		return err
	}
	r := requestRecord{At: time.Now().UTC(), Of: w.once.Of, Digest: w.once.Digest[:], Result: w.once.result}
	if err := putJSON(b, key("k", w.once.Key), r); err != nil {
		return err
	}
	t.requests++
	return b.Put(ageKey(r.At, w.once.Key), nil)
}

// earlier is what an earlier request with the key left, nil where there was none. One that asked for something else is
// CodeConflict.
func (r *Request) earlier(tx *bbolt.Tx) (*requestRecord, error) {
	v := tx.Bucket(bucketRequests).Get(key("k", r.Key))
	if v == nil {
		return nil, nil
	}
	var was requestRecord
	if err := json.Unmarshal(v, &was); err != nil {
		return nil, fmt.Errorf("record of idempotency key %q: %w", r.Key, err)
	}
	if was.Of != r.Of || !bytes.Equal(was.Digest, r.Digest[:]) {
		return nil, experiments.Errorf(experiments.CodeConflict,
			"idempotency key %q was used for another request (%s, %s): give each request a key of its own", r.Key, was.Of, was.At.Format(time.RFC3339))
	}
	return &was, nil
}

func ageKey(at time.Time, k string) []byte {
	return append(binary.BigEndian.AppendUint64(under("t"), uint64(at.UnixMicro())), k...)
}

// trimRequests forgets the keys that are too old or too many, some at a time.
func (t *txn) trimRequests() error {
	b := t.Tx.Bucket(bucketRequests)
	prefix := under("t")
	oldest := append(bytes.Clone(prefix), binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(-RequestsKept).UnixMicro()))...)
	for range 100 {
		k, _ := b.Cursor().Seek(prefix)
		if !bytes.HasPrefix(k, prefix) || t.requests <= MaxRequests && bytes.Compare(k, oldest) >= 0 {
			return nil
		}
		k = bytes.Clone(k)
		if err := b.Delete(key("k", string(k[len(prefix)+8:]))); err != nil {
			return err
		}
		if err := b.Delete(k); err != nil {
			return err
		}
		t.requests--
	}
	return nil
}

func countRequests(tx *bbolt.Tx) (n int) {
	prefix := under("t")
	c := tx.Bucket(bucketRequests).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		n++
	}
	return n
}
