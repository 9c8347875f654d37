package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"triality/experiments"
)

// Limits of saved views.
const (
	MaxViewBody = 64 << 10 // bytes
	MaxViews    = 10_000
)

// View is a page as someone arranged it. All share it.
type View struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"` // its own among those of its experiment and folder
	Experiment string    `json:"experiment"`
	Folder     string    `json:"folder"`
	Revision   int64     `json:"revision"` // 1, and one more with every change
	Created    time.Time `json:"created"`
	Updated    time.Time `json:"updated"`
	// Body is JSON whose meaning is the page's; it is kept byte for byte.
	Body []byte `json:"-"`
}

// RevisionError says that a view, a report or a comment is not at the revision that a change is for.
type RevisionError struct {
	What       string // "view", "report", "comment"
	ID         string
	Now, Asked int64
}

func (e *RevisionError) Error() string {
	return fmt.Sprintf("%s %s is at revision %d, the change is for %d: read it again, and send the change for what is there now", e.What, e.ID, e.Now, e.Asked)
}

func checkView(v View) error {
	if err := checkName("view", v.Name); err != nil {
		return err
	}
	if err := checkFolder("view", v.Folder); err != nil {
		return err
	}
	switch {
	case len(v.Body) > MaxViewBody:
		return experiments.Errorf(experiments.CodeTooLarge, "view %q: body of %d bytes, at most %d", v.Name, len(v.Body), MaxViewBody)
	case !json.Valid(v.Body):
		return experiments.Errorf(experiments.CodeInvalid, "view %q: body: want JSON", v.Name)
	}
	return nil
}

// A record is the view as JSON, a line feed, and the body.
func putView(t *txn, v View) error {
	if err := checkView(v); err != nil {
		return err
	}
	if v.Experiment != "" && t.Bucket(bucketExperiments).Get([]byte(v.Experiment)) == nil {
		return notFound("experiment", v.Experiment)
	}
	n := 0
	c := t.Tx.Bucket(bucketViews).Cursor()
	for k, b := c.First(); k != nil; k, b = c.Next() {
		other, err := readView(k, b)
		if err != nil {
			return err
		}
		if n++; other.ID != v.ID && other.Name == v.Name && other.Experiment == v.Experiment && other.Folder == v.Folder {
			e := experiments.Errorf(experiments.CodeConflict, "a view named %q is there already (%s): choose another name, or change that one", v.Name, other.ID)
			e.Details = map[string]any{"id": other.ID}
			return e
		}
	}
	if n >= MaxViews && v.Revision == 1 {
		return experiments.Errorf(experiments.CodeTooLarge, "there are %d views, at most %d: remove some", n, MaxViews)
	}
	head, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store a view: %w", err)
	}
	return t.Bucket(bucketViews).Put([]byte(v.ID), slices.Concat(head, []byte{'\n'}, v.Body))
}

func readView(k, record []byte) (v View, err error) {
	head, body, _ := bytes.Cut(record, []byte{'\n'}) // JSON of one line
	if err = json.Unmarshal(head, &v); err != nil {
		return v, fmt.Errorf("record of view %q: %w", k, err)
	}
	v.Body = bytes.Clone(body)
	return v, nil
}

func viewOf(tx *bbolt.Tx, id string) (View, error) {
	b := tx.Bucket(bucketViews).Get([]byte(id))
	if b == nil {
		return View{}, notFound("view", id)
	}
	return readView([]byte(id), b)
}

// CreateView stores a new view; its ID, revision and times are set here. A name that another view of the same
// experiment and folder has is CodeConflict.
func (s *Store) CreateView(ctx context.Context, v View) (View, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return v, fmt.Errorf("view id: %w", err)
	}
	v.ID, v.Revision, v.Created = id.String(), 1, time.Now().UTC()
	v.Updated = v.Created
	made, err := s.updateOnce(ctx, 1, v.ID, func(t *txn) error { return putView(t, v) })
	if err != nil || made == v.ID {
		return v, err
	}
	return s.View(context.WithoutCancel(ctx), made)
}

// View gives one view.
func (s *Store) View(ctx context.Context, id string) (v View, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) (err error) {
		v, err = viewOf(tx, id)
		return err
	})
	return v, err
}

// Views lists views by name, without their bodies; experiment and folder narrow them where not nil.
func (s *Store) Views(ctx context.Context, experiment, folder *string) ([]View, error) {
	items := []View{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		items = items[:0]
		return tx.Bucket(bucketViews).ForEach(func(k, b []byte) error {
			v, err := readView(k, b)
			if err != nil {
				return err
			}
			if (experiment == nil || v.Experiment == *experiment) && (folder == nil || v.Folder == *folder) {
				v.Body = nil
				items = append(items, v)
			}
			return nil
		})
	})
	slices.SortFunc(items, func(a, b View) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	return items, err
}

// atRevision is a *RevisionError unless a view is at a revision; 0 is any.
func atRevision(v View, revision int64) error {
	if revision != 0 && v.Revision != revision {
		return &RevisionError{What: "view", ID: v.ID, Now: v.Revision, Asked: revision}
	}
	return nil
}

// UpdateView changes a view that is at a revision (0: whichever), else it is a *RevisionError. Its ID, revision and
// times are set here; change may run more than once.
func (s *Store) UpdateView(ctx context.Context, id string, revision int64, change func(*View) error) (out View, err error) {
	err = s.update(ctx, 1, func(t *txn) error {
		old, err := viewOf(t.Tx, id)
		if err == nil {
			err = atRevision(old, revision)
		}
		if err != nil {
			return err
		}
		out = old
		if err := change(&out); err != nil {
			return err
		}
		out.ID, out.Revision, out.Created, out.Updated = old.ID, old.Revision+1, old.Created, time.Now().UTC()
		return putView(t, out)
	})
	return out, err
}

// DeleteView removes a view that is at a revision (0: whichever), else it is a *RevisionError.
func (s *Store) DeleteView(ctx context.Context, id string, revision int64) error {
	return s.update(ctx, 1, func(t *txn) error {
		v, err := viewOf(t.Tx, id)
		if err == nil {
			err = atRevision(v, revision)
		}
		if err != nil {
			return err
		}
		return t.Bucket(bucketViews).Delete([]byte(id))
	})
}
