package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
)

// A change of many runs is noted whole in one commit, with the runs it is about, and then done a piece at a time, while
// others write. After a kill the rest is done when the store is opened again. What each piece changed is kept, so that
// the change can be undone, in pieces as well. A deleted run's record moves to a bucket of its own; its points, files
// and uses of modules stay where they are, out of sight, until the change is purged.

// Action is what is done to runs.
type Action string

// The actions.
const (
	ActionTag              Action = "tag"
	ActionMove             Action = "move"
	ActionArchive          Action = "archive"
	ActionUnarchive        Action = "restore" // out of the archive
	ActionDelete           Action = "delete"
	ActionDeleteExperiment Action = "delete_experiment"
)

// States of a change.
const (
	ChangeDoing   = "doing"
	ChangeDone    = "done"
	ChangeUndoing = "undoing"
	ChangeUndone  = "undone"
	changePurging = "purging" // is no more, for those who ask
)

// Limits of changes.
const (
	MaxBulkRuns = 100_000
	MaxRunTags  = 1000

	chunkRuns      = 200 // that one part of a change is about
	maxProblems    = 100
	eventsOneByOne = 20 // runs of a part, up to which each has its own event
)

// Bulk asks for a change of runs.
type Bulk struct {
	IDs        []string
	Action     Action
	Tags       map[string]*string // of ActionTag; nil removes one
	Experiment string             // of ActionMove
}

// Change is a change that can be undone.
type Change struct {
	Token      string             `json:"token"`
	Action     Action             `json:"action"`
	Tags       map[string]*string `json:"tags,omitempty"`
	Experiment string             `json:"experiment_id,omitempty"` // moved to, or deleted
	At         time.Time          `json:"at"`
	Expires    time.Time          `json:"expires"` // it can be undone until then
	State      string             `json:"state"`
	Runs       int                `json:"runs"` // that it is about
	Changed    int                `json:"changed"`
	Unchanged  int                `json:"unchanged"` // they were so already
	Skipped    int                `json:"skipped"`
	Problems   []ChangeProblem    `json:"problems"` // why some were skipped or left; the first hundred
	UndoneAt   time.Time          `json:"undone_at,omitzero"`
	Restored   int                `json:"restored"`
	Left       int                `json:"left"` // runs of which an undo left something as it had become
}

// ChangeProblem says why a run was skipped or left.
type ChangeProblem struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

func (c *Change) problem(id, format string, args ...any) {
	if len(c.Problems) < maxProblems {
		c.Problems = append(c.Problems, ChangeProblem{id, fmt.Sprintf(format, args...)})
	}
}

// Parts of a change, numbered: what is to be done, what was done.
const (
	partTodo = "todo"
	partDone = "done"
	partLeft = "left" // what an undo could not restore
)

func partKey(token, part string, n int) []byte { return key(token, part, fmt.Sprintf("%08x", n)) }

// begin notes a change and the runs it is about.
func (t *txn) begin(c *Change, ids []string) error {
	c.State, c.Runs = ChangeDoing, len(ids)
	b := t.bucket(bucketChanges)
	n := 0
	for chunk := range slices.Chunk(ids, chunkRuns) {
		if err := putJSON(b, partKey(c.Token, partTodo, n), chunk); err != nil {
			return err
		}
		n++
	}
	return t.resume(c)
}

// resume notes that a change is at work.
func (t *txn) resume(c *Change) error {
	if err := putTrash(t, trashChange, c.Token); err != nil {
		return err
	}
	return t.putChange(c)
}

// settle notes that a change is at rest.
func (t *txn) settle(c *Change, state string) error {
	c.State = state
	if err := t.Bucket(bucketTrash).Delete(key(trashChange, c.Token)); err != nil {
		return err
	}
	return t.putChange(c)
}

func (t *txn) putChange(c *Change) error {
	return putJSON(t.bucket(bucketChanges), []byte(c.Token), c)
}

// nextPart finds the first part of a kind that is left; k is nil when none is.
func (t *txn) nextPart(token, part string) (k, v []byte) {
	prefix := under(token, part)
	k, v = t.Bucket(bucketChanges).Cursor().Seek(prefix)
	if !bytes.HasPrefix(k, prefix) {
		return nil, nil
	}
	return bytes.Clone(k), bytes.Clone(v)
}

func changeOf(tx *bbolt.Tx, token string) (c Change, err error) {
	if strings.ContainsRune(token, 0) {
		return c, notFound("undo token", token)
	}
	if err = readJSON(tx, bucketChanges, token, "undo token", &c); err == nil && c.State == changePurging {
		err = notFound("undo token", token)
	}
	return c, err
}

// newChange makes a change that can be undone as long as the store keeps what is deleted.
func (s *Store) newChange(action Action) (Change, error) {
	id, err := uuid.NewV7() // begins with the time, so tokens sort by age
	if err != nil {
		return Change{}, fmt.Errorf("undo token: %w", err)
	}
	now := time.Now().UTC()
	return Change{Token: id.String(), Action: action, At: now, Expires: now.Add(s.opts.KeepDeleted), Problems: []ChangeProblem{}}, nil
}

// Matching gives the ids of the runs that match.
func (s *Store) Matching(ctx context.Context, q search.Query) ([]string, error) {
	if err := s.Index(ctx); err != nil {
		return nil, err
	}
	return s.index.Matching(ctx, q)
}

// ChangeRuns changes many runs and returns when all is done; the state is ChangeDoing where the disk or the store's
// closing put the rest off. A run that is not there is CodeNotFound, and then nothing is changed.
func (s *Store) ChangeRuns(ctx context.Context, b Bulk) (Change, error) {
	c, err := s.newChange(b.Action)
	if err != nil {
		return c, err
	}
	c.Tags, c.Experiment = b.Tags, b.Experiment
	switch b.Action {
	case ActionTag, ActionMove, ActionArchive, ActionUnarchive, ActionDelete:
	default:
		return c, experiments.Errorf(experiments.CodeInvalid, "action %.40q: want tag, move, archive, restore or delete", string(b.Action))
	}
	seen := make(map[string]bool, len(b.IDs))
	ids := make([]string, 0, len(b.IDs))
	for _, id := range b.IDs {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	switch {
	case len(ids) == 0:
		return c, experiments.Errorf(experiments.CodeInvalid, "no runs: name some by their ids, or by a filter that some match")
	case len(ids) > MaxBulkRuns:
		return c, experiments.Errorf(experiments.CodeTooLarge, "%d runs, at most %d at once", len(ids), MaxBulkRuns)
	}
	made, err := s.updateOnce(ctx, 1, c.Token, func(t *txn) error {
		if b.Action == ActionMove && t.Bucket(bucketExperiments).Get([]byte(b.Experiment)) == nil {
			return notFound("experiment", b.Experiment)
		}
		if err := allThere(t, ids); err != nil {
			return err
		}
		return t.begin(&c, ids)
	})
	if err != nil {
		return c, err
	}
	s.sweeper.await(ctx, trashChange, made)
	return s.Change(context.WithoutCancel(ctx), made)
}

func allThere(t *txn, ids []string) error {
	const most = 20
	var missing []string
	for _, id := range ids {
		if t.Bucket(bucketRuns).Get([]byte(id)) == nil {
			if missing = append(missing, id); len(missing) == most {
				break
			}
		}
	}
	if missing == nil {
		return nil
	}
	e := experiments.Errorf(experiments.CodeNotFound, "no run %q (%d or more of %d are not there): nothing was changed", missing[0], len(missing), len(ids))
	e.Details = map[string]any{"missing": missing}
	return e
}

// Change gives a change by its token.
func (s *Store) Change(ctx context.Context, token string) (c Change, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) (err error) {
		c, err = changeOf(tx, token)
		return err
	})
	return c, err
}

// ChangeAgain gives the change that an earlier request under the same idempotency key made, if there was one.
func (s *Store) ChangeAgain(ctx context.Context) (c Change, repeated bool, err error) {
	r, _ := ctx.Value(requestKey{}).(*Request)
	if r == nil {
		return c, false, nil
	}
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		found, err := r.earlier(tx)
		if err == nil && found != nil {
			repeated = true
			c, err = changeOf(tx, found.Result)
		}
		return err
	})
	if repeated && err == nil {
		r.Replayed = true
		s.sweeper.await(ctx, trashChange, c.Token)
		c, err = s.Change(context.WithoutCancel(ctx), c.Token)
	}
	return c, repeated, err
}

// Changes lists the changes that are kept, the newest first.
func (s *Store) Changes(ctx context.Context) ([]Change, error) {
	items := []Change{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		items = items[:0]
		return eachChange(tx, func(c *Change) error {
			if c.State != changePurging {
				items = append(items, *c)
			}
			return nil
		})
	})
	slices.Reverse(items)
	return items, err
}

func eachChange(tx *bbolt.Tx, f func(c *Change) error) error {
	cur := tx.Bucket(bucketChanges).Cursor()
	for k, v := cur.First(); k != nil; {
		var c Change
		if err := json.Unmarshal(v, &c); err != nil {
			return fmt.Errorf("record of change %q: %w", k, err)
		}
		if err := f(&c); err != nil {
			return err
		}
		k, v = cur.Seek(append(key(c.Token), 1)) // past its parts
	}
	return nil
}

// tell tells watchers of runs that a part of a change changed.
func (t *txn) tell(what string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	data, err := json.Marshal(experiments.RunsEvent{IDs: ids, Change: what})
	if err != nil {
		return fmt.Errorf("event of runs: %w", err)
	}
	t.emit(experiments.EventRuns, "", data)
	return nil
}

// merged is a map of tags after a change of some; nil removes one.
func merged(tags map[string]string, change map[string]*string) map[string]string {
	out := maps.Clone(tags)
	for k, v := range change {
		switch {
		case v == nil:
			delete(out, k)
		case out == nil:
			out = map[string]string{k: *v}
		default:
			out[k] = *v
		}
	}
	return out
}
