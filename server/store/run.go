package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/events/wire"
	"triality/server/search"
)

var runID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

var statuses = map[experiments.Status]bool{
	experiments.Queued: true, experiments.Running: true, experiments.Finished: true,
	experiments.Failed: true, experiments.Interrupted: true, experiments.Reused: true,
}

// NewRunID makes an id that begins with the time.
func NewRunID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("run id: %w", err)
	}
	return id.String(), nil
}

func checkRun(r experiments.Run) error {
	if !runID.MatchString(r.ID) {
		return experiments.Errorf(experiments.CodeInvalid, "run id %q: want 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", r.ID)
	}
	if !statuses[r.Status] {
		return experiments.Errorf(experiments.CodeInvalid, "run %s: status %q: want queued, running, finished, failed, interrupted or reused", r.ID, r.Status)
	}
	return checkName("run "+r.ID, r.Name)
}

// SaveRun creates or replaces a run by its ID. Its experiment must exist. A zero CreatedAt keeps the
// stored time, or is now. The summary of metric series is derived when the run is read.
func (s *Store) SaveRun(ctx context.Context, r experiments.Run) error {
	if err := checkRun(r); err != nil {
		return err
	}
	return s.update(ctx, 1, func(t *txn) error { return putRun(t, r) })
}

// CreateRun stores a new run; an ID in use is CodeConflict. It gives the run as stored.
func (s *Store) CreateRun(ctx context.Context, r experiments.Run) (experiments.Run, error) {
	if err := checkRun(r); err != nil {
		return r, err
	}
	id, err := s.updateOnce(ctx, 1, r.ID, func(t *txn) error {
		if t.Bucket(bucketRuns).Get([]byte(r.ID)) != nil {
			return experiments.Errorf(experiments.CodeConflict, "run %s exists already", r.ID)
		}
		if err := checkParent(t, r); err != nil {
			return err
		}
		return putRun(t, r)
	})
	if err != nil {
		return r, err
	}
	return s.Run(context.WithoutCancel(ctx), id)
}

// UpdateRun changes a run; its ID and CreatedAt stay. Another ExperimentID moves it. change may run more than once and
// does not see the summary of metric series.
func (s *Store) UpdateRun(ctx context.Context, id string, change func(*experiments.Run) error) (experiments.Run, error) {
	err := s.update(ctx, 1, func(t *txn) error {
		var old experiments.Run
		if err := readJSON(t.Tx, bucketRuns, id, "run", &old); err != nil {
			return err
		}
		r := old
		if err := change(&r); err != nil {
			return err
		}
		r.ID, r.CreatedAt = old.ID, old.CreatedAt
		if err := checkRun(r); err != nil {
			return err
		}
		if r.ParentID != old.ParentID {
			if err := checkParent(t, r); err != nil {
				return err
			}
		}
		return putRun(t, r)
	})
	if err != nil {
		return experiments.Run{}, err
	}
	return s.Run(context.WithoutCancel(ctx), id)
}

// maxNesting is how deep runs may be nested.
const maxNesting = 50

// checkParent refuses a parent that is not there, is the run itself or one below it.
func checkParent(t *txn, r experiments.Run) error {
	for at, depth := r.ParentID, 0; at != ""; depth++ {
		if at == r.ID {
			return experiments.Errorf(experiments.CodeInvalid, "run %s: parent_id %.130q: a run cannot be a part of itself, nor of one that is a part of it", r.ID, r.ParentID)
		}
		if depth == maxNesting {
			return experiments.Errorf(experiments.CodeInvalid, "run %s: parent_id %.130q: runs are nested %d deep at most", r.ID, r.ParentID, maxNesting)
		}
		raw := t.Bucket(bucketRuns).Get([]byte(at))
		if raw == nil && depth > 0 {
			return nil // one that was deleted ends the chain
		}
		if raw == nil {
			return experiments.Errorf(experiments.CodeInvalid, "run %s: parent_id %.130q: there is no such run", r.ID, r.ParentID)
		}
		var parent experiments.Run
		if err := json.Unmarshal(raw, &parent); err != nil {
			return fmt.Errorf("record of run %q: %w", at, err)
		}
		at = parent.ParentID
	}
	return nil
}

func putRun(t *txn, r experiments.Run) error {
	var old *experiments.Run
	if b := t.Bucket(bucketRuns).Get([]byte(r.ID)); b != nil {
		old = new(experiments.Run)
		if err := json.Unmarshal(b, old); err != nil {
			return fmt.Errorf("record of run %q: %w", r.ID, err)
		}
		if r.CreatedAt.IsZero() {
			r.CreatedAt = old.CreatedAt
		}
	} else if inTrash(t.Tx, string(key(trashRun, r.ID))) {
		return experiments.Errorf(experiments.CodeConflict, "run %s was deleted and its points are still being removed: try again in a moment, or choose another id", r.ID)
	} else if token, _ := deletedRun(t.Tx, r.ID); token != "" {
		return experiments.Errorf(experiments.CodeConflict, "run %s was deleted and can still be brought back (undo token %s): do that, remove it for good, or choose another id", r.ID, token)
	}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = time.Now()
	}
	r.CreatedAt = r.CreatedAt.UTC()
	r = storable(r)
	if err := replaceRun(t, old, r); err != nil {
		return err
	}
	return emitRun(t, r)
}

// replaceRun stores a run over the one that was there, or nil.
func replaceRun(t *txn, old *experiments.Run, r experiments.Run) error {
	if t.Bucket(bucketExperiments).Get([]byte(r.ExperimentID)) == nil {
		return notFound("experiment", r.ExperimentID)
	}
	index := t.bucket(bucketRunIndex)
	if old != nil {
		for _, k := range indexKeys(*old) {
			if err := index.Delete(k); err != nil {
				return err
			}
		}
	}
	for _, k := range indexKeys(r) {
		if err := index.Put(k, nil); err != nil {
			return err
		}
	}
	if err := putJSON(t.bucket(bucketRuns), []byte(r.ID), r); err != nil {
		return err
	}
	t.changed(search.Change{Run: &r})
	return nil
}

// Limits of what an event says of a run. Parts over them are left out and "partial" says so: who wants
// them reads the run.
const (
	maxRunEvent   = 32 << 10 // bytes
	maxRunSummary = 100      // series; a run may have hundreds of thousands
)

// emitRun tells watchers of a run.
func emitRun(t *txn, r experiments.Run) error {
	event := struct {
		experiments.Run
		Partial bool `json:"partial,omitempty"`
	}{Run: r}
	if err := summarise(t.Tx, &event.Run, maxRunSummary); err != nil && !errors.Is(err, errManySeries) {
		return err
	}
	if len(event.Summary) > maxRunSummary {
		event.Summary, event.Partial = nil, true
	}
	for _, drop := range []func(){
		func() {},
		func() { event.Summary = nil },
		func() { event.Config = "" },
		func() { event.Params = nil },
		func() { event.Tags = nil },
		func() { event.Steps, event.Error = nil, "" },
	} {
		drop()
		data, err := wire.Marshal(event)
		if err != nil {
			return fmt.Errorf("event of run %s: %w", r.ID, err)
		}
		if len(data) <= maxRunEvent {
			t.emit(experiments.EventRun, r.ID, data)
			return nil
		}
		event.Partial = true
	}
	return fmt.Errorf("event of run %s: larger than %d bytes", r.ID, maxRunEvent)
}

// storable leaves out the numbers JSON has no word for. Values of metric series keep theirs in the
// series; a rate that is not finite is unknown, 0.
func storable(r experiments.Run) experiments.Run {
	if r.Summary != nil {
		sum := make(map[string]float64, len(r.Summary))
		for k, v := range r.Summary {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				sum[k] = v
			}
		}
		r.Summary = sum
	}
	for i, st := range r.Steps {
		if p := st.Progress; p != nil && (math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0)) {
			r.Steps = append([]experiments.Step(nil), r.Steps...)
			known := *p
			known.Rate = 0
			r.Steps[i].Progress = &known
		}
	}
	return r
}

func indexKeys(r experiments.Run) [][]byte {
	tail := newestFirst(r.CreatedAt) + r.ID
	return [][]byte{
		append(under("a"), tail...),
		append(under("e", r.ExperimentID), tail...),
		append(under("s", string(r.Status)), tail...),
	}
}

func runOfIndex(tail []byte) string { return string(tail[8:]) }

// readRun gives the stored run with its summary.
func readRun(tx *bbolt.Tx, id string) (experiments.Run, error) {
	var r experiments.Run
	if err := readJSON(tx, bucketRuns, id, "run", &r); err != nil {
		return r, err
	}
	return r, summarise(tx, &r, 0)
}

var errManySeries = errors.New("the run has more series")

// summarise sets the last value of each series. Where there are more than most (0: any number), it ends
// with errManySeries after one more.
func summarise(tx *bbolt.Tx, r *experiments.Run, most int) error {
	sum, n := maps.Clone(r.Summary), 0
	err := eachSeries(tx, r.ID, func(name string, h head) error {
		if sum == nil {
			sum = map[string]float64{}
		}
		sum[name] = h.last.Value
		if n++; most > 0 && n > most {
			return errManySeries
		}
		return nil
	})
	r.Summary = sum
	return err
}

// Run gives one run.
func (s *Store) Run(ctx context.Context, id string) (experiments.Run, error) {
	var r experiments.Run
	err := s.view(ctx, func(tx *bbolt.Tx) (err error) {
		r, err = readRun(tx, id)
		return err
	})
	return r, err
}

// hasRun is CodeNotFound when there is no such run.
func (s *Store) hasRun(ctx context.Context, id string) error {
	return s.view(ctx, func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketRuns).Get([]byte(id)) == nil {
			return notFound("run", id)
		}
		return nil
	})
}

// EndByPatch says how to end a run that no queue knows.
const EndByPatch = "a client logs it; PATCH its status to finished, failed or interrupted"

// underWayError is about a run that has to end first. One with a configuration is the queue's, another a client's.
func underWayError(r experiments.Run) error {
	how := "cancel it first"
	if r.Config == "" {
		how = EndByPatch
	}
	return experiments.Errorf(experiments.CodeConflict, "run %s is %s: %s", r.ID, r.Status, how)
}

// DeleteRun takes a run away, to be brought back by the token given until that expires. One that is queued or running is
// CodeConflict.
func (s *Store) DeleteRun(ctx context.Context, id string) (token string, err error) {
	c, err := s.newChange(ActionDelete)
	if err != nil {
		return "", err
	}
	return s.updateOnce(ctx, 1, c.Token, func(t *txn) error {
		r, err := endedRun(t, id)
		if err != nil {
			return err
		}
		if err := setAside(t, c.Token, r, t.Bucket(bucketRuns).Get([]byte(id))); err != nil {
			return err
		}
		c.State, c.Runs, c.Changed = ChangeDone, 1, 1
		if err := putJSON(t.bucket(bucketChanges), partKey(c.Token, partDone, 0), []changedRun{{ID: id, Deleted: true}}); err != nil {
			return err
		}
		return errors.Join(t.tell("deleted", []string{id}), t.putChange(&c))
	})
}

func endedRun(t *txn, id string) (r experiments.Run, err error) {
	if err = readJSON(t.Tx, bucketRuns, id, "run", &r); err == nil && !r.Status.Done() {
		err = underWayError(r)
	}
	return r, err
}

// PurgeRun removes a run for good, with its points and artifacts. One that is queued or running is CodeConflict.
// It returns when all is gone; a context that ends meanwhile does not keep it.
func (s *Store) PurgeRun(ctx context.Context, id string) error {
	_, err := s.updateOnce(ctx, 1, id, func(t *txn) error {
		r, err := endedRun(t, id)
		if err != nil {
			return err
		}
		return errors.Join(t.tell("deleted", []string{id}), unlistRun(t, r))
	})
	if err == nil {
		s.sweeper.await(ctx, trashRun, id)
	}
	return err
}

// unlistRun takes a run off every list and puts what belongs to it into the trash.
func unlistRun(t *txn, r experiments.Run) error {
	for _, k := range indexKeys(r) {
		if err := t.Bucket(bucketRunIndex).Delete(k); err != nil {
			return err
		}
	}
	if err := putTrash(t, trashRun, r.ID); err != nil {
		return err
	}
	t.changed(search.Change{RemovedRun: r.ID})
	return t.Bucket(bucketRuns).Delete([]byte(r.ID))
}

// keysUnder lists a bucket's keys with a prefix, all of them for none.
func keysUnder(tx *bbolt.Tx, bucket, prefix []byte) (keys [][]byte) {
	c := tx.Bucket(bucket).Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}
