package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
)

// MaxName is the longest name of an experiment or run, in bytes.
const MaxName = 500

// ExperimentInfo is an experiment with what a list shows of its runs.
type ExperimentInfo struct {
	experiments.Experiment
	Runs      int       `json:"runs"`
	LastRunAt time.Time `json:"last_run_at,omitzero"`
}

func checkName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return experiments.Errorf(experiments.CodeInvalid, "%s: name is missing", what)
	case len(name) > MaxName:
		return experiments.Errorf(experiments.CodeInvalid, "%s: name of %d bytes, at most %d", what, len(name), MaxName)
	}
	return checkText(what+": name", name)
}

func checkExperiment(e experiments.Experiment) error {
	if err := checkName("experiment", e.Name); err != nil {
		return err
	}
	if err := checkFolder("experiment", e.Folder); err != nil {
		return err
	}
	if e.Primary != "" {
		return CheckMetricName(e.Primary)
	}
	return nil
}

// checkText refuses what a key cannot hold or a terminal should not print.
func checkText(what, s string) error {
	if !utf8.ValidString(s) {
		return experiments.Errorf(experiments.CodeInvalid, "%s: not UTF-8", what)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }); i >= 0 {
		return experiments.Errorf(experiments.CodeInvalid, "%s: control character at byte %d", what, i)
	}
	return nil
}

func notFound(what, id string) error {
	return experiments.Errorf(experiments.CodeNotFound, "no %s %q", what, id)
}

// EnsureExperiment gives the experiment of that name, made if there is none.
func (s *Store) EnsureExperiment(ctx context.Context, name string) (experiments.Experiment, error) {
	return s.makeExperiment(ctx, experiments.Experiment{Name: name}, true)
}

// CreateExperiment stores a new experiment; its ID and times are set here. A taken name is CodeConflict.
func (s *Store) CreateExperiment(ctx context.Context, e experiments.Experiment) (experiments.Experiment, error) {
	return s.makeExperiment(ctx, e, false)
}

func (s *Store) makeExperiment(ctx context.Context, e experiments.Experiment, reuse bool) (experiments.Experiment, error) {
	if err := checkExperiment(e); err != nil {
		return e, err
	}
	id, err := uuid.NewV7() // begins with the time, so ids sort by age
	if err != nil {
		return e, fmt.Errorf("experiment id: %w", err)
	}
	var out experiments.Experiment
	apply := func(t *txn) error {
		out = e
		if taken := t.Bucket(bucketNames).Get([]byte(e.Name)); taken != nil {
			if !reuse {
				return experiments.Errorf(experiments.CodeConflict, "an experiment named %q exists already (%s)", e.Name, taken)
			}
			return readJSON(t.Tx, bucketExperiments, string(taken), "experiment", &out)
		}
		out.ID = id.String()
		out.CreatedAt = time.Now().UTC()
		out.UpdatedAt = out.CreatedAt
		return putExperiment(t, out)
	}
	if reuse {
		err := s.update(ctx, 1, apply)
		return out, err
	}
	made, err := s.updateOnce(ctx, 1, id.String(), apply)
	if err != nil || made == id.String() {
		return out, err
	}
	earlier, err := s.Experiment(ctx, made)
	return earlier.Experiment, err
}

func putExperiment(t *txn, e experiments.Experiment) error {
	if err := t.bucket(bucketNames).Put([]byte(e.Name), []byte(e.ID)); err != nil {
		return err
	}
	t.changed(search.Change{Experiment: &e})
	return putJSON(t.bucket(bucketExperiments), []byte(e.ID), e)
}

func putJSON(b bucket, k []byte, v any) error {
	enc, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store a record: %w", err)
	}
	return b.Put(k, enc)
}

// readJSON reads a record; what names it in the CodeNotFound error.
func readJSON(tx *bbolt.Tx, bucket []byte, k, what string, v any) error {
	b := tx.Bucket(bucket).Get([]byte(k))
	if b == nil {
		return notFound(what, strings.ReplaceAll(k, "\x00", "/"))
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("record of %s %q: %w", what, k, err)
	}
	return nil
}

// Experiment gives one experiment with its number of runs.
func (s *Store) Experiment(ctx context.Context, id string) (ExperimentInfo, error) {
	var out ExperimentInfo
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if err := readJSON(tx, bucketExperiments, id, "experiment", &out.Experiment); err != nil {
			return err
		}
		out.count(tx)
		return nil
	})
	return out, err
}

// ExperimentNamed gives the experiment of a name.
func (s *Store) ExperimentNamed(ctx context.Context, name string) (experiments.Experiment, error) {
	var out experiments.Experiment
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		id := tx.Bucket(bucketNames).Get([]byte(name))
		if id == nil {
			return notFound("experiment named", name)
		}
		return readJSON(tx, bucketExperiments, string(id), "experiment", &out)
	})
	return out, err
}

func (e *ExperimentInfo) count(tx *bbolt.Tx) {
	prefix := under("e", e.ID)
	c := tx.Bucket(bucketRunIndex).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		if e.Runs == 0 {
			e.LastRunAt = timeOfIndex(k[len(prefix):])
		}
		e.Runs++
	}
}

// Experiments lists up to limit experiments, the newest first; the cursor returned goes on, "" at the
// end.
func (s *Store) Experiments(ctx context.Context, limit int, cursor string) (items []ExperimentInfo, next string, err error) {
	return s.ExperimentsIn(ctx, "", limit, cursor)
}

// ExperimentsIn is Experiments of those in a folder and the folders below it.
func (s *Store) ExperimentsIn(ctx context.Context, folder string, limit int, cursor string) (items []ExperimentInfo, next string, err error) {
	limit = pageSize(limit)
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		items, next = []ExperimentInfo{}, ""
		c := tx.Bucket(bucketExperiments).Cursor()
		k, v := c.Last()
		if cursor != "" {
			if k, _ = c.Seek([]byte(cursor)); k == nil {
				k, v = c.Last()
			} else {
				k, v = c.Prev()
			}
		}
		for ; k != nil; k, v = c.Prev() {
			if len(items) == limit {
				next = items[limit-1].ID
				return nil
			}
			var e ExperimentInfo
			if err := json.Unmarshal(v, &e.Experiment); err != nil {
				return fmt.Errorf("record of experiment %q: %w", k, err)
			}
			if !inFolder(e.Folder, folder) {
				continue
			}
			e.count(tx)
			items = append(items, e)
		}
		return nil
	})
	return items, next, err
}

func pageSize(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, 1000)
}

// UpdateExperiment changes an experiment; its ID and CreatedAt stay. change may run more than once.
func (s *Store) UpdateExperiment(ctx context.Context, id string, change func(*experiments.Experiment) error) (experiments.Experiment, error) {
	var out experiments.Experiment
	err := s.update(ctx, 1, func(t *txn) error {
		var e experiments.Experiment
		if err := readJSON(t.Tx, bucketExperiments, id, "experiment", &e); err != nil {
			return err
		}
		out = e
		if err := change(&out); err != nil {
			return err
		}
		if err := checkExperiment(out); err != nil {
			return err
		}
		out.ID, out.CreatedAt, out.UpdatedAt = e.ID, e.CreatedAt, time.Now().UTC()
		if out.Name != e.Name {
			if taken := t.Bucket(bucketNames).Get([]byte(out.Name)); taken != nil {
				return experiments.Errorf(experiments.CodeConflict, "an experiment named %q exists already (%s)", out.Name, taken)
			}
			if err := t.Bucket(bucketNames).Delete([]byte(e.Name)); err != nil {
				return err
			}
		}
		return putExperiment(t, out)
	})
	return out, err
}

// DeleteExperiment takes an experiment away with its runs, to be brought back by the token given until that expires. A
// run that is queued or running is CodeConflict. It returns when no run of it is listed; a context that ends meanwhile
// does not keep it.
func (s *Store) DeleteExperiment(ctx context.Context, id string) (token string, err error) {
	c, err := s.newChange(ActionDeleteExperiment)
	if err != nil {
		return "", err
	}
	c.Experiment = id
	token, err = s.updateOnce(ctx, 1, c.Token, func(t *txn) error {
		raw, err := unlistExperiment(t, id)
		if err != nil {
			return err
		}
		if err := t.Bucket(bucketDeleted).Put(key(trashExperiment, id), append([]byte(c.Token+"\n"), raw...)); err != nil {
			return err
		}
		prefix := under("e", id)
		var runs []string
		for _, k := range keysUnder(t.Tx, bucketRunIndex, prefix) {
			runs = append(runs, runOfIndex(k[len(prefix):]))
		}
		return t.begin(&c, runs)
	})
	if err == nil {
		s.sweeper.await(ctx, trashChange, token)
	}
	return token, err
}

// PurgeExperiment removes an experiment for good, with its runs. A run that is queued or running is CodeConflict.
// It returns when all is gone; a context that ends meanwhile does not keep it.
func (s *Store) PurgeExperiment(ctx context.Context, id string) error {
	_, err := s.updateOnce(ctx, 1, id, func(t *txn) error {
		if _, err := unlistExperiment(t, id); err != nil {
			return err
		}
		return putTrash(t, trashExperiment, id)
	})
	if err == nil {
		s.sweeper.await(ctx, trashExperiment, id)
	}
	return err
}

// unlistExperiment takes an experiment none of whose runs is under way off the lists, and gives its record.
func unlistExperiment(t *txn, id string) (raw []byte, err error) {
	var e experiments.Experiment
	if err := readJSON(t.Tx, bucketExperiments, id, "experiment", &e); err != nil {
		return nil, err
	}
	if run := underWay(t, id); run != "" {
		var r experiments.Run
		if err := readJSON(t.Tx, bucketRuns, run, "run", &r); err != nil {
			return nil, err
		}
		return nil, underWayError(r)
	}
	if err := t.Bucket(bucketNames).Delete([]byte(e.Name)); err != nil {
		return nil, err
	}
	t.changed(search.Change{RemovedExp: id})
	raw = bytes.Clone(t.Bucket(bucketExperiments).Get([]byte(id)))
	return raw, t.Bucket(bucketExperiments).Delete([]byte(id))
}

// underWay finds a run of the experiment that has not ended. Few have not, so those are gone through.
func underWay(t *txn, experiment string) (run string) {
	all := t.Bucket(bucketRunIndex)
	for _, status := range []experiments.Status{experiments.Running, experiments.Queued} {
		prefix := under("s", string(status))
		c := all.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			tail := k[len(prefix):]
			here := append(under("e", experiment), tail...)
			if at, _ := all.Cursor().Seek(here); bytes.Equal(at, here) {
				return runOfIndex(tail)
			}
		}
	}
	return ""
}
