package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
)

// changedRun is what a change did to a run.
type changedRun struct {
	ID         string                `json:"id"`
	Deleted    bool                  `json:"deleted,omitempty"`
	Tags       map[string]changedTag `json:"tags,omitempty"`
	Experiment *[2]string            `json:"experiment,omitempty"` // was, now
	Archived   *[2]time.Time         `json:"archived,omitempty"`   // was, now
}

// changedTag is nil where there was none, or is none.
type changedTag struct {
	Was *string `json:"was"`
	Now *string `json:"now"`
}

// workOn does a piece of a change that is at work.
func workOn(t *txn, token string, p *piece) error {
	var c Change
	if err := readJSON(t.Tx, bucketChanges, token, "change", &c); err != nil {
		return err
	}
	part, does, end := partTodo, t.doPart, func(c *Change) error { return t.settle(c, ChangeDone) }
	switch c.State {
	case ChangeUndoing:
		part, does, end = partDone, t.undoPart, t.undone
	case changePurging:
		part, does, end = partDone, t.purgePart, t.forget
	}
	for !p.done() {
		k, v := t.nextPart(token, part)
		if k == nil {
			return end(&c)
		}
		if err := t.Bucket(bucketChanges).Delete(k); err != nil {
			return err
		}
		if err := does(&c, k, v, p); err != nil {
			return fmt.Errorf("change %s: %w", token, err)
		}
	}
	return t.putChange(&c)
}

// doPart changes the runs of a part and notes what each was.
func (t *txn) doPart(c *Change, k, v []byte, p *piece) error {
	var ids []string
	if err := json.Unmarshal(v, &ids); err != nil {
		return err
	}
	var done []changedRun
	var runs []experiments.Run
	for _, id := range ids {
		p.keys += 7
		raw := t.Bucket(bucketRuns).Get([]byte(id))
		if raw == nil {
			c.Skipped++
			c.problem(id, "it was removed meanwhile")
			continue
		}
		var r experiments.Run
		if err := json.Unmarshal(raw, &r); err != nil {
			c.Skipped++
			c.problem(id, "its record cannot be read: %v", err)
			continue
		}
		item, err := t.change(c, r, raw)
		switch {
		case err != nil && experiments.CodeOf(err) == experiments.CodeConflict, err != nil && experiments.CodeOf(err) == experiments.CodeNotFound:
			c.Skipped++
			c.problem(id, "%v", err)
		case err != nil:
			return err
		case item == nil:
			c.Unchanged++
		default:
			c.Changed++
			done = append(done, *item)
			runs = append(runs, r)
		}
	}
	if len(done) == 0 {
		return nil
	}
	prefix := under(c.Token, partTodo)
	if err := putJSON(t.bucket(bucketChanges), append(under(c.Token, partDone), k[len(prefix):]...), done); err != nil {
		return err
	}
	return t.tellOf(runs, done[0].Deleted, "changed", "deleted")
}

// tellOf tells of each run of few, and of many at once.
func (t *txn) tellOf(runs []experiments.Run, listed bool, changed, other string) error {
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	if listed {
		return t.tell(other, ids)
	}
	if len(runs) > eventsOneByOne {
		return t.tell(changed, ids)
	}
	for _, r := range runs {
		var now experiments.Run
		if err := readJSON(t.Tx, bucketRuns, r.ID, "run", &now); err != nil {
			return err
		}
		if err := emitRun(t, now); err != nil {
			return err
		}
	}
	return nil
}

// change changes a run; nil says that it was so already.
func (t *txn) change(c *Change, r experiments.Run, raw []byte) (*changedRun, error) {
	item := &changedRun{ID: r.ID}
	now := r
	switch c.Action {
	case ActionDelete, ActionDeleteExperiment:
		if !r.Status.Done() {
			return nil, underWayError(r)
		}
		item.Deleted = true
		return item, setAside(t, c.Token, r, raw)
	case ActionTag:
		if now.Tags = merged(r.Tags, c.Tags); maps.Equal(now.Tags, r.Tags) {
			return nil, nil
		}
		if len(now.Tags) > MaxRunTags {
			return nil, experiments.Errorf(experiments.CodeConflict, "it would have %d tags, at most %d", len(now.Tags), MaxRunTags)
		}
		item.Tags = map[string]changedTag{}
		for k, v := range c.Tags {
			was, there := r.Tags[k]
			change := changedTag{Now: v}
			if there {
				change.Was = &was
			}
			if there && v != nil && was == *v || !there && v == nil {
				continue
			}
			item.Tags[k] = change
		}
	case ActionMove:
		if r.ExperimentID == c.Experiment {
			return nil, nil
		}
		item.Experiment, now.ExperimentID = &[2]string{r.ExperimentID, c.Experiment}, c.Experiment
	case ActionArchive:
		if !r.ArchivedAt.IsZero() {
			return nil, nil
		}
		item.Archived, now.ArchivedAt = &[2]time.Time{{}, c.At}, c.At
	case ActionUnarchive:
		if r.ArchivedAt.IsZero() {
			return nil, nil
		}
		item.Archived, now.ArchivedAt = &[2]time.Time{r.ArchivedAt, {}}, time.Time{}
	default:
		return nil, fmt.Errorf("action %q", c.Action)
	}
	return item, replaceRun(t, &r, now)
}

// A deleted run is kept as the token of what deleted it, a line feed, and its record as it was.

// setAside takes a run off every list and keeps its record.
func setAside(t *txn, token string, r experiments.Run, raw []byte) error {
	for _, k := range indexKeys(r) {
		if err := t.Bucket(bucketRunIndex).Delete(k); err != nil {
			return err
		}
	}
	t.changed(search.Change{RemovedRun: r.ID})
	if err := t.Bucket(bucketDeleted).Put(key(trashRun, r.ID), append(append([]byte(token), '\n'), raw...)); err != nil {
		return err
	}
	return t.Bucket(bucketRuns).Delete([]byte(r.ID))
}

// deletedRun gives the token and the record of a deleted run; "" where there is none.
func deletedRun(tx *bbolt.Tx, id string) (token string, raw []byte) {
	b, raw, _ := bytes.Cut(tx.Bucket(bucketDeleted).Get(key(trashRun, id)), []byte{'\n'})
	return string(b), raw
}

// deletedExperiment gives the token and the record of a deleted experiment; "" where there is none.
func deletedExperiment(tx *bbolt.Tx, id string) (token string, raw []byte) {
	b, raw, _ := bytes.Cut(tx.Bucket(bucketDeleted).Get(key(trashExperiment, id)), []byte{'\n'})
	return string(b), raw
}

// purgePart gives the runs of a part to the trash, where it deleted them.
func (t *txn) purgePart(c *Change, _, v []byte, p *piece) error {
	var items []changedRun
	if err := json.Unmarshal(v, &items); err != nil {
		return err
	}
	for _, item := range items {
		p.keys++
		if token, _ := deletedRun(t.Tx, item.ID); !item.Deleted || token != c.Token {
			continue
		}
		p.keys += 2
		if err := t.Bucket(bucketDeleted).Delete(key(trashRun, item.ID)); err != nil {
			return err
		}
		if err := putTrash(t, trashRun, item.ID); err != nil {
			return err
		}
	}
	return nil
}

// forget removes what is left of a change.
func (t *txn) forget(c *Change) error {
	if token, _ := deletedExperiment(t.Tx, c.Experiment); token == c.Token {
		if err := t.Bucket(bucketDeleted).Delete(key(trashExperiment, c.Experiment)); err != nil {
			return err
		}
	}
	if err := t.Bucket(bucketTrash).Delete(key(trashChange, c.Token)); err != nil {
		return err
	}
	return t.Bucket(bucketChanges).Delete([]byte(c.Token))
}
