package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
)

// Conflict is something that was changed again after a change, so that undoing that would lose it.
type Conflict struct {
	ID    string `json:"id"`
	Field string `json:"field"`
	Was   any    `json:"was"` // before the change, as an undo would make it
	Now   any    `json:"now"`
}

func (c Conflict) String() string {
	return fmt.Sprintf("%s was changed since: it is %v", c.Field, c.Now)
}

const maxConflicts = 100

// Undo takes a change back, exactly, and returns when all is done. A change that was undone already is CodeConflict; so
// is one of which something was changed again since, and then nothing is undone, unless skip leaves that as it is.
func (s *Store) Undo(ctx context.Context, token string, skip bool) (Change, error) {
	c, err := s.Change(ctx, token)
	if err != nil {
		return c, err
	}
	if err := undoable(&c); err == nil && !skip {
		if err := s.conflicts(ctx, &c); err != nil {
			return c, err
		}
	}
	_, err = s.updateOnce(ctx, 1, token, func(t *txn) error {
		c, err := changeOf(t.Tx, token)
		if err == nil {
			err = undoable(&c)
		}
		if err != nil {
			return err
		}
		if c.Action == ActionDeleteExperiment && c.UndoneAt.IsZero() {
			if err := restoreExperiment(t, &c); err != nil {
				return err
			}
		}
		c.State, c.UndoneAt, c.Left, c.Problems = ChangeUndoing, time.Now().UTC(), 0, []ChangeProblem{}
		return t.resume(&c)
	})
	if err != nil {
		return c, err
	}
	s.sweeper.await(ctx, trashChange, token)
	return s.Change(context.WithoutCancel(ctx), token)
}

func undoable(c *Change) error {
	switch c.State {
	case ChangeDone:
		return nil
	case ChangeDoing:
		return experiments.Errorf(experiments.CodeConflict, "the change is still under way: undo it when it is done")
	case ChangeUndoing:
		return experiments.Errorf(experiments.CodeConflict, "the change is being undone already")
	}
	return experiments.Errorf(experiments.CodeConflict, "the change was undone already, %s", c.UndoneAt.Format(time.RFC3339))
}

// conflicts is an error where something was changed after the change. It reads a part at a time.
func (s *Store) conflicts(ctx context.Context, c *Change) error {
	var found []Conflict
	count := 0
	for n := 0; n <= c.Runs/chunkRuns; n++ {
		err := s.view(ctx, func(tx *bbolt.Tx) error {
			v := tx.Bucket(bucketChanges).Get(partKey(c.Token, partDone, n))
			if v == nil {
				return nil
			}
			var items []changedRun
			if err := json.Unmarshal(v, &items); err != nil {
				return fmt.Errorf("part of change %s: %w", c.Token, err)
			}
			for _, item := range items {
				_, against, err := restored(tx, c, item)
				if err != nil {
					return err
				}
				count += len(against)
				found = append(found, against[:min(len(against), maxConflicts-len(found))]...)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if count == 0 {
		return nil
	}
	e := experiments.Errorf(experiments.CodeConflict, "run %s: %s (%d such things in all): nothing was undone; undo the later change first, or undo the rest and leave those", found[0].ID, found[0], count)
	e.Details = map[string]any{"conflicts": found, "count": count}
	return e
}

// restored is a run as it was before a change, and what stands against that. A nil run cannot be brought back.
func restored(tx *bbolt.Tx, c *Change, item changedRun) (r *experiments.Run, against []Conflict, err error) {
	r = new(experiments.Run)
	if item.Deleted {
		token, raw := deletedRun(tx, item.ID)
		if token != c.Token {
			return nil, []Conflict{{item.ID, "deleted", false, "it was brought back or removed for good"}}, nil
		}
		if err := json.Unmarshal(raw, r); err != nil {
			return nil, nil, fmt.Errorf("record of deleted run %q: %w", item.ID, err)
		}
		if tx.Bucket(bucketExperiments).Get([]byte(r.ExperimentID)) == nil && (c.Action != ActionDeleteExperiment || r.ExperimentID != c.Experiment) {
			return nil, []Conflict{{item.ID, "experiment", r.ExperimentID, missingExperiment(tx, r.ExperimentID)}}, nil
		}
		return r, nil, nil
	}
	if err := readJSON(tx, bucketRuns, item.ID, "run", r); err != nil {
		if experiments.CodeOf(err) != experiments.CodeNotFound {
			return nil, nil, err
		}
		now := "removed for good"
		if token, _ := deletedRun(tx, item.ID); token != "" {
			now = "deleted; undo token " + token
		}
		return nil, []Conflict{{item.ID, "deleted", false, now}}, nil
	}
	back := map[string]*string{}
	for k, change := range item.Tags {
		if now, there := r.Tags[k]; there != (change.Now != nil) || there && now != *change.Now {
			against = append(against, Conflict{item.ID, "tags." + k, change.Was, valueOf(now, there)})
			continue
		}
		back[k] = change.Was
	}
	r.Tags = merged(r.Tags, back)
	if e := item.Experiment; e != nil {
		switch {
		case r.ExperimentID != e[1]:
			against = append(against, Conflict{item.ID, "experiment", e[0], r.ExperimentID})
		case tx.Bucket(bucketExperiments).Get([]byte(e[0])) == nil:
			against = append(against, Conflict{item.ID, "experiment", e[0], missingExperiment(tx, e[0])})
		default:
			r.ExperimentID = e[0]
		}
	}
	if a := item.Archived; a != nil {
		if !r.ArchivedAt.Equal(a[1]) {
			against = append(against, Conflict{item.ID, "archived", a[0], r.ArchivedAt})
		} else {
			r.ArchivedAt = a[0]
		}
	}
	return r, against, nil
}

func missingExperiment(tx *bbolt.Tx, id string) string {
	if token, _ := deletedExperiment(tx, id); token != "" {
		return "its experiment was deleted; undo token " + token
	}
	return "its experiment is gone"
}

func valueOf(text string, there bool) any {
	if !there {
		return nil
	}
	return text
}

// undoPart restores the runs of a part.
func (t *txn) undoPart(c *Change, k, v []byte, p *piece) error {
	var items []changedRun
	if err := json.Unmarshal(v, &items); err != nil {
		return err
	}
	var runs []experiments.Run
	var left []changedRun
	for _, item := range items {
		p.keys += 7
		r, against, err := restored(t.Tx, c, item)
		if err != nil {
			return err
		}
		if len(against) > 0 {
			c.Left++
			c.problem(item.ID, "%s", against[0])
		}
		switch {
		case r == nil:
			if token, _ := deletedRun(t.Tx, item.ID); item.Deleted && token == c.Token {
				left = append(left, item) // for a later undo, or to be purged
			}
			continue
		case item.Deleted:
			err = bringBack(t, *r, p)
		case len(against) > 0 && len(against) == item.fields():
			continue
		default:
			var now experiments.Run
			if err = readJSON(t.Tx, bucketRuns, r.ID, "run", &now); err == nil {
				err = replaceRun(t, &now, *r)
			}
		}
		if err != nil {
			return err
		}
		c.Restored++
		runs = append(runs, *r)
	}
	if left != nil {
		number := k[len(under(c.Token, partDone)):]
		if err := putJSON(t.bucket(bucketChanges), append(under(c.Token, partLeft), number...), left); err != nil {
			return err
		}
	}
	return t.tellOf(runs, len(items) > 0 && items[0].Deleted, "changed", "restored")
}

// undone ends an undo. Where deleted runs could not come back, the change stays one that can be undone, of those.
func (t *txn) undone(c *Change) error {
	state := ChangeUndone
	for {
		k, v := t.nextPart(c.Token, partLeft)
		if k == nil {
			return t.settle(c, state)
		}
		state = ChangeDone
		number := k[len(under(c.Token, partLeft)):]
		if err := t.bucket(bucketChanges).Put(append(under(c.Token, partDone), number...), v); err != nil {
			return err
		}
		if err := t.Bucket(bucketChanges).Delete(k); err != nil {
			return err
		}
	}
}

func (item changedRun) fields() int {
	n := len(item.Tags)
	if item.Experiment != nil {
		n++
	}
	if item.Archived != nil {
		n++
	}
	return n
}

// bringBack puts a deleted run back on the lists, its record as it was.
func bringBack(t *txn, r experiments.Run, p *piece) error {
	_, raw := deletedRun(t.Tx, r.ID)
	for _, k := range indexKeys(r) {
		if err := t.bucket(bucketRunIndex).Put(k, nil); err != nil {
			return err
		}
	}
	if err := t.bucket(bucketRuns).Put([]byte(r.ID), []byte(strings.Clone(string(raw)))); err != nil {
		return err
	}
	t.changed(search.Change{Run: &r})
	err := eachSeries(t.Tx, r.ID, func(name string, h head) error {
		p.keys++
		t.changed(search.Change{Series: &search.Series{Run: r.ID, Name: name, Stats: h.stats()}})
		return nil
	})
	if err != nil {
		return err
	}
	return t.Bucket(bucketDeleted).Delete(key(trashRun, r.ID))
}

// restoreExperiment brings a deleted experiment back, before its runs.
func restoreExperiment(t *txn, c *Change) error {
	token, raw := deletedExperiment(t.Tx, c.Experiment)
	if token != c.Token {
		return experiments.Errorf(experiments.CodeConflict, "experiment %s was brought back or removed for good", c.Experiment)
	}
	var e experiments.Experiment
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("record of deleted experiment %q: %w", c.Experiment, err)
	}
	if taken := t.Bucket(bucketNames).Get([]byte(e.Name)); taken != nil {
		err := experiments.Errorf(experiments.CodeConflict, "the deleted experiment's name %q was given to another since (%s): rename that one, and undo again", e.Name, taken)
		err.Details = map[string]any{"conflicts": []Conflict{{c.Experiment, "name", e.Name, string(taken)}}, "count": 1}
		return err
	}
	if err := putExperiment(t, e); err != nil {
		return err
	}
	return t.Bucket(bucketDeleted).Delete(key(trashExperiment, c.Experiment))
}
