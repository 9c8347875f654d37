package store

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// expire purges the changes that can be undone no more.
func (s *Store) expire(ctx context.Context) error {
	now := time.Now()
	_, err := s.purge(ctx, func(c *Change) bool { return !c.Expires.After(now) })
	return err
}

// PurgeDeleted gives up the undo of every change from before a time: what was deleted is removed for good and its space
// freed. It returns how many changes those were, when all is gone; a context that ends meanwhile does not keep it.
func (s *Store) PurgeDeleted(ctx context.Context, before time.Time) (changes int, err error) {
	changes, err = s.purge(ctx, func(c *Change) bool { return c.At.Before(before) })
	if err == nil {
		s.sweeper.idle(ctx)
	}
	return changes, err
}

// purge begins to purge the changes that it is told of.
func (s *Store) purge(ctx context.Context, which func(*Change) bool) (n int, err error) {
	var tokens []string
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		tokens = tokens[:0]
		return eachChange(tx, func(c *Change) error {
			if (c.State == ChangeDone || c.State == ChangeUndone) && which(c) {
				tokens = append(tokens, c.Token)
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	for _, token := range tokens {
		switch err := s.giveUp(ctx, token); experiments.CodeOf(err) {
		case experiments.CodeConflict, experiments.CodeNotFound: // it is being undone, or was purged meanwhile
		default:
			if err != nil {
				return n, err
			}
			n++
		}
	}
	if n > 0 {
		s.sweeper.wake()
	}
	return n, nil
}

// giveUp begins to purge a change.
func (s *Store) giveUp(ctx context.Context, token string) error {
	return s.update(ctx, 1, func(t *txn) error {
		c, err := changeOf(t.Tx, token)
		if err != nil {
			return err
		}
		if c.State == ChangeDoing || c.State == ChangeUndoing {
			return experiments.Errorf(experiments.CodeConflict, "the change %s is still under way: try again when it has ended", token)
		}
		c.State = changePurging
		return t.resume(&c)
	})
}

// PurgeChange gives up the undo of a change: what it deleted is removed for good. It returns when all is gone; a context
// that ends meanwhile does not keep it.
func (s *Store) PurgeChange(ctx context.Context, token string) error {
	err := s.giveUp(ctx, token)
	if err == nil {
		s.sweeper.await(ctx, trashChange, token)
		s.sweeper.idle(ctx)
	}
	return err
}

// Known says whether there is a run, or a deleted one that can be brought back.
func (s *Store) Known(ctx context.Context, id string) (known bool, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		token, _ := deletedRun(tx, id)
		known = token != "" || tx.Bucket(bucketRuns).Get([]byte(id)) != nil
		return nil
	})
	return known, err
}
