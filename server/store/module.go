package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/server/search"
)

// moduleHolder holds a module's bytes among the blob references; run ids begin with a letter or digit.
const moduleHolder = "!module"

// moduleRecord is a module as stored. Who uses it is in a bucket of its own.
type moduleRecord struct {
	experiments.Module
	Hidden bool `json:"hidden,omitempty"` // not listed; runs that used it still find it
}

// AddModule stores a validated module with its bytes. One that is there already is given back, and
// listed again if it was hidden.
func (s *Store) AddModule(ctx context.Context, m experiments.Module, wasm []byte) (experiments.Module, error) {
	return s.addModule(ctx, m, wasm, "")
}

// UseModule records that a run used a module, adding the module if it is new. wasm may be nil when the
// store has the module.
func (s *Store) UseModule(ctx context.Context, run string, m experiments.Module, wasm []byte) error {
	if wasm == nil {
		return s.update(ctx, 1, func(t *txn) error { return useModule(t, run, m.SHA256) })
	}
	_, err := s.addModule(ctx, m, wasm, run)
	return err
}

func useModule(t *txn, run, sum string) error {
	if t.Bucket(bucketRuns).Get([]byte(run)) == nil {
		return notFound("run", run)
	}
	if t.Bucket(bucketModules).Get([]byte(sum)) == nil {
		return notFound("module", sum)
	}
	return t.bucket(bucketModuleUses).Put(key(sum, run), nil)
}

func (s *Store) addModule(ctx context.Context, m experiments.Module, wasm []byte, run string) (experiments.Module, error) {
	x, err := s.blobs.receive(ctx, bytes.NewReader(wasm))
	if err != nil {
		return m, fmt.Errorf("module %s: %w", m.Name, err)
	}
	if m.SHA256 != x.sum {
		return m, errors.Join(experiments.Errorf(experiments.CodeInvalid, "module %s: its bytes have SHA-256 %s, not %q", m.Name, x.sum, m.SHA256), s.blobs.discard(x))
	}
	m.Size, m.UsedBy = x.size, nil
	if m.UploadedAt.IsZero() {
		m.UploadedAt = time.Now().UTC()
	}
	var out experiments.Module
	err = s.keep(ctx, x, func(t *txn) error {
		rec := moduleRecord{Module: m}
		isNew := true
		if b := t.Bucket(bucketModules).Get([]byte(m.SHA256)); b != nil {
			isNew = false
			if err := json.Unmarshal(b, &rec); err != nil {
				return fmt.Errorf("record of module %s: %w", m.SHA256, err)
			}
		}
		if isNew || rec.Hidden && run == "" {
			rec.Hidden = false
			if err := t.bucket(bucketBlobRefs).Put(key(m.SHA256, moduleHolder), nil); err != nil {
				return err
			}
			if err := putJSON(t.bucket(bucketModules), []byte(m.SHA256), rec); err != nil {
				return err
			}
			data, err := json.Marshal(rec.Module)
			if err != nil {
				return fmt.Errorf("event of module %s: %w", m.SHA256, err)
			}
			t.emit(experiments.EventModule, "", data)
			t.changed(search.Change{Module: &rec.Module})
		}
		if run != "" {
			if err := useModule(t, run, m.SHA256); err != nil {
				return err
			}
		}
		out = rec.Module
		out.UsedBy = usersOf(t.Tx, m.SHA256)
		return nil
	})
	return out, err
}

// usersOf are the runs that used a module, without those that are deleted.
func usersOf(tx *bbolt.Tx, sum string) (runs []string) {
	prefix := under(sum)
	for _, k := range keysUnder(tx, bucketModuleUses, prefix) {
		if run := k[len(prefix):]; tx.Bucket(bucketRuns).Get(run) != nil {
			runs = append(runs, string(run))
		}
	}
	return runs
}

// Modules lists the modules that are not hidden, by name, the newest of a name first.
func (s *Store) Modules(ctx context.Context) ([]experiments.Module, error) {
	items := []experiments.Module{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		items = items[:0]
		return tx.Bucket(bucketModules).ForEach(func(k, v []byte) error {
			var rec moduleRecord
			if err := json.Unmarshal(v, &rec); err != nil {
				return fmt.Errorf("record of module %s: %w", k, err)
			}
			if !rec.Hidden {
				rec.UsedBy = usersOf(tx, rec.SHA256)
				items = append(items, rec.Module)
			}
			return nil
		})
	})
	slices.SortStableFunc(items, func(a, b experiments.Module) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), b.UploadedAt.Compare(a.UploadedAt))
	})
	return items, err
}

// Module gives a module's record and bytes by its SHA-256, a hidden one's too.
func (s *Store) Module(ctx context.Context, sum string) (experiments.Module, []byte, error) {
	s.blobs.mu.RLock()
	defer s.blobs.mu.RUnlock()
	var rec moduleRecord
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if err := readJSON(tx, bucketModules, sum, "module", &rec); err != nil {
			return err
		}
		rec.UsedBy = usersOf(tx, sum)
		return nil
	})
	if err != nil {
		return experiments.Module{}, nil, err
	}
	wasm, err := os.ReadFile(s.blobs.path(rec.SHA256))
	if err != nil {
		return rec.Module, nil, fmt.Errorf("module %s: %w", sum, err)
	}
	return rec.Module, wasm, nil
}

// HideModule takes a module off the list. Its bytes are kept while a run that used it exists.
func (s *Store) HideModule(ctx context.Context, sum string) error {
	err := s.update(ctx, 1, func(t *txn) error {
		var rec moduleRecord
		if err := readJSON(t.Tx, bucketModules, sum, "module", &rec); err != nil {
			return err
		}
		if rec.Hidden {
			return notFound("module", sum)
		}
		rec.Hidden = true
		if err := putJSON(t.bucket(bucketModules), []byte(sum), rec); err != nil {
			return err
		}
		return dropUnused(t, sum)
	})
	if err == nil {
		s.sweeper.await(ctx, trashFile, sum)
	}
	return err
}

// dropUnused removes a hidden module that no run uses.
func dropUnused(t *txn, sum string) error {
	var rec moduleRecord
	if err := readJSON(t.Tx, bucketModules, sum, "module", &rec); err != nil {
		return err
	}
	if !rec.Hidden || len(keysUnder(t.Tx, bucketModuleUses, under(sum))) > 0 { // deleted runs too, which may come back
		return nil
	}
	if err := t.Bucket(bucketModules).Delete([]byte(sum)); err != nil {
		return err
	}
	return unhold(t, sum, moduleHolder)
}
