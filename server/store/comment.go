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
)

// Limits of comments.
const (
	MaxComment      = 16 << 10 // bytes of a text
	MaxCommentName  = 200      // bytes of an author's or a cell's name
	MaxBookComments = 10_000   // of a notebook, those that can be taken back included
)

// Comment is what someone said of a cell. It is found by the notebook's path and the cell's name, and stays where it is when
// the notebook no longer has such a cell.
type Comment struct {
	ID         string    `json:"id"`
	Book       string    `json:"book"`
	Cell       string    `json:"cell"`
	Author     string    `json:"author"` // as the person called herself: it proves nothing
	Text       string    `json:"text"`
	Revision   int64     `json:"revision"` // 1, and one more with every change
	Created    time.Time `json:"created"`
	Updated    time.Time `json:"updated"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	ResolvedBy string    `json:"resolved_by,omitempty"`
	Deleted    time.Time `json:"deleted,omitzero"` // it can be taken back until it is removed
}

func (c *Comment) check() error {
	for what, name := range map[string]string{"book": c.Book, "cell": c.Cell, "author": c.Author} {
		if strings.TrimSpace(name) == "" || len(name) > MaxCommentName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
			return experiments.Errorf(experiments.CodeInvalid, "%s %.60q: want 1 to %d bytes of text in one line", what, name, MaxCommentName)
		}
	}
	switch {
	case strings.TrimSpace(c.Text) == "":
		return experiments.Errorf(experiments.CodeInvalid, "text is missing: what is said of the cell")
	case !utf8.ValidString(c.Text):
		return experiments.Errorf(experiments.CodeInvalid, "text is not UTF-8")
	case len(c.Text) > MaxComment:
		return experiments.Errorf(experiments.CodeTooLarge, "text has %d bytes, may have %d", len(c.Text), MaxComment)
	}
	return nil
}

const (
	commentRecord = "c" // of the bucket's keys: records by id
	commentOfBook = "b" // and the ids by notebook
)

func putComment(t *txn, c Comment) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := putJSON(t.Bucket(bucketComments), key(commentRecord, c.ID), c); err != nil {
		return err
	}
	return t.tellOfComments(c.Book)
}

// tellOfComments tells watchers that what is said of a notebook has changed.
func (t *txn) tellOfComments(book string) error {
	data, err := json.Marshal(map[string]string{"book": book})
	if err != nil {
		return fmt.Errorf("event of comments: %w", err)
	}
	t.emit(experiments.EventComments, "", data)
	return nil
}

// commentOf gives a comment that is at a revision (0: whichever), else a *RevisionError; deleted says which of those that are
// there and those that can be taken back is wanted.
func commentOf(tx *bbolt.Tx, id string, revision int64, deleted bool) (c Comment, err error) {
	b := tx.Bucket(bucketComments).Get(key(commentRecord, id))
	if b == nil || strings.ContainsRune(id, 0) {
		return c, notFound("comment", id)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("record of comment %q: %w", id, err)
	}
	switch {
	case c.Deleted.IsZero() == deleted:
		return Comment{}, notFound("comment", id)
	case revision != 0 && c.Revision != revision:
		return c, &RevisionError{What: "comment", ID: id, Now: c.Revision, Asked: revision}
	}
	return c, nil
}

// eachComment goes through a notebook's comments, the oldest first, deleted ones too.
func eachComment(tx *bbolt.Tx, book string, do func(Comment) error) error {
	b := tx.Bucket(bucketComments)
	prefix := under(commentOfBook, book)
	cur := b.Cursor()
	for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cur.Next() {
		var c Comment
		id := string(k[len(prefix):])
		if err := json.Unmarshal(b.Get(key(commentRecord, id)), &c); err != nil {
			return fmt.Errorf("record of comment %q: %w", id, err)
		}
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// AddComment stores a new comment; its ID, revision and times are set here, and those of the notebook that were deleted long
// ago are removed.
func (s *Store) AddComment(ctx context.Context, c Comment) (Comment, error) {
	id, err := uuid.NewV7() // begins with the time, so comments sort by age
	if err != nil {
		return c, fmt.Errorf("comment id: %w", err)
	}
	now := time.Now().UTC()
	c = Comment{ID: id.String(), Book: c.Book, Cell: c.Cell, Author: c.Author, Text: c.Text, Revision: 1, Created: now, Updated: now}
	made, err := s.updateOnce(ctx, 1, c.ID, func(t *txn) error {
		n := 0
		var gone []string
		err := eachComment(t.Tx, c.Book, func(old Comment) error {
			if n++; !old.Deleted.IsZero() && now.Sub(old.Deleted) > s.opts.KeepDeleted {
				gone = append(gone, old.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range gone {
			for _, k := range [][]byte{key(commentRecord, id), key(commentOfBook, c.Book, id)} {
				if err := t.Bucket(bucketComments).Delete(k); err != nil {
					return err
				}
			}
		}
		if n -= len(gone); n >= MaxBookComments {
			return experiments.Errorf(experiments.CodeTooLarge, "notebook %s has %d comments, may have %d: remove some", c.Book, n, MaxBookComments)
		}
		if err := t.Bucket(bucketComments).Put(key(commentOfBook, c.Book, c.ID), nil); err != nil {
			return err
		}
		return putComment(t, c)
	})
	if err != nil || made == c.ID {
		return c, err
	}
	err = s.view(context.WithoutCancel(ctx), func(tx *bbolt.Tx) (err error) {
		c, err = commentOf(tx, made, 0, false)
		return err
	})
	return c, err
}

// Comments lists what was said of a notebook's cells, the oldest first; deleted ones where they are wanted, and only they.
func (s *Store) Comments(ctx context.Context, book string, deleted bool) ([]Comment, error) {
	items := []Comment{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		items = items[:0]
		return eachComment(tx, book, func(c Comment) error {
			if c.Deleted.IsZero() != deleted {
				items = append(items, c)
			}
			return nil
		})
	})
	return items, err
}

// UpdateComment changes the text of a comment at a revision (0: whichever) and whether it is resolved, else it is a
// *RevisionError. change may run more than once.
func (s *Store) UpdateComment(ctx context.Context, id string, revision int64, change func(*Comment)) (Comment, error) {
	return s.changeComment(ctx, id, revision, false, func(c *Comment) {
		now := *c
		change(&now)
		c.Text, c.ResolvedAt, c.ResolvedBy = now.Text, now.ResolvedAt, now.ResolvedBy
	})
}

// DeleteComment takes a comment at a revision (0: whichever) away; RestoreComment brings it back.
func (s *Store) DeleteComment(ctx context.Context, id string, revision int64) error {
	_, err := s.changeComment(ctx, id, revision, false, func(c *Comment) { c.Deleted = time.Now().UTC() })
	return err
}

// RestoreComment undoes a deletion.
func (s *Store) RestoreComment(ctx context.Context, id string) (Comment, error) {
	return s.changeComment(ctx, id, 0, true, func(c *Comment) { c.Deleted = time.Time{} })
}

func (s *Store) changeComment(ctx context.Context, id string, revision int64, deleted bool, change func(*Comment)) (out Comment, err error) {
	err = s.update(ctx, 1, func(t *txn) error {
		c, err := commentOf(t.Tx, id, revision, deleted)
		if err != nil {
			return err
		}
		change(&c)
		c.Revision, c.Updated = c.Revision+1, time.Now().UTC()
		out = c
		return putComment(t, c)
	})
	return out, err
}
