package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/store/boltpages"
)

// Check reads the whole store and lists what is wrong with it, one line each; none means it is sound.
// What is in the trash is removed first. It keeps one read transaction open, so the file may grow while
// others write. The error is a fault of the check itself.
func (s *Store) Check(ctx context.Context) (problems []string, err error) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, fault := range s.notes {
		add("database %v", fault)
	}
	noted := len(problems)
	sizes := map[string]int64{} // of every file a record points to
	s.sweeper.idle(ctx)
	err = boltpages.ErrMoved
	for errors.Is(err, boltpages.ErrMoved) {
		err = s.view(ctx, func(tx *bbolt.Tx) error {
			st, err := s.file.Stat()
			if err != nil {
				return err
			}
			checked, err := boltpages.Check(s.file, st.Size(), uint64(tx.ID()))
			if err != nil {
				return err
			}
			for _, fault := range checked.Faults {
				add("database %v", fault)
			}
			if len(problems) > noted {
				return nil // records read through broken pages say nothing
			}
			for _, part := range []func(*bbolt.Tx, func(string, ...any)){checkRuns, checkSeries, checkEvents, checkRequests, checkChanges} {
				if err := ctx.Err(); err != nil {
					return err
				}
				part(tx, add)
			}
			checkFiles(tx, add, sizes)
			return nil
		})
	}
	if err != nil {
		return problems, err
	}
	for sum, size := range sizes {
		if err := s.checkBlob(ctx, sum, size); ctx.Err() != nil {
			return problems, ctx.Err()
		} else if err != nil {
			add("artifact file %s: %v", s.blobs.path(sum), err)
		}
	}
	orphans, err := s.Orphans(ctx)
	for _, p := range orphans {
		add("file %s: no record points to it; `triality db check --repair` removes it", p)
	}
	return problems, err
}

func checkRuns(tx *bbolt.Tx, add func(string, ...any)) {
	index, entries := tx.Bucket(bucketRunIndex), 0
	for c, k := newKeys(index); k != nil; k, _ = c.Next() {
		entries++
	}
	c := tx.Bucket(bucketRuns).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var r experiments.Run
		if err := json.Unmarshal(v, &r); err != nil {
			add("run %s: %v", k, err)
			continue
		}
		if tx.Bucket(bucketExperiments).Get([]byte(r.ExperimentID)) == nil && !leaving(tx, r.ExperimentID) {
			add("run %s: its experiment %s is missing", k, r.ExperimentID)
		}
		for _, ik := range indexKeys(r) {
			if at, _ := index.Cursor().Seek(ik); !bytes.Equal(at, ik) {
				add("run %s: missing in the list %q", k, ik[0])
			}
			entries--
		}
	}
	if entries > 0 {
		add("run list: %d entries without a run", entries)
	}
	c = tx.Bucket(bucketExperiments).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var e experiments.Experiment
		if err := json.Unmarshal(v, &e); err != nil {
			add("experiment %s: %v", k, err)
		} else if id := tx.Bucket(bucketNames).Get([]byte(e.Name)); !bytes.Equal(id, k) {
			add("experiment %s: its name %q leads to %q", k, e.Name, id)
		}
	}
}

func newKeys(b *bbolt.Bucket) (*bbolt.Cursor, []byte) {
	c := b.Cursor()
	k, _ := c.First()
	return c, k
}

func checkSeries(tx *bbolt.Tx, add func(string, ...any)) {
	chunks := 0
	for c, k := newKeys(tx.Bucket(bucketPoints)); k != nil; k, _ = c.Next() {
		chunks++
	}
	var points []experiments.Point
	c := tx.Bucket(bucketSeries).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		run, name, _ := bytes.Cut(k, []byte{0})
		removed := inTrash(tx, string(key(trashRun, string(run))))
		if tx.Bucket(bucketRuns).Get(run) == nil && !removed && !isDeleted(tx, string(run)) {
			add("series %q: its run %s is missing", name, run)
		}
		h, err := decodeHead(v)
		var count uint64
		for i := uint32(0); err == nil && i < h.chunks; i++ {
			points, err = decodeChunk(points[:0], tx.Bucket(bucketPoints).Get(chunkKey(h.id, i)))
			count += uint64(len(points))
			chunks--
		}
		if err != nil {
			add("series %q of run %s: %v", name, run, err)
		} else if count != h.count && !removed {
			add("series %q of run %s: %d points, its record says %d", name, run, count, h.count)
		} else if whole := h; !removed {
			err := measure(func(i uint32) []byte { return tx.Bucket(bucketPoints).Get(chunkKey(h.id, i)) }, &whole)
			if err != nil || !bytes.Equal(whole.encode(), v) {
				add("series %q of run %s: its record does not say what its points are: %+v, want %+v", name, run, h, whole)
			}
		}
	}
	if chunks != 0 {
		add("points: %d chunks are not accounted for by a series", chunks)
	}
}

func checkEvents(tx *bbolt.Tx, add func(string, ...any)) {
	l := loadEventLog(tx)
	for i := range l.count {
		id := l.last - uint64(l.count) + 1 + uint64(i)
		if tx.Bucket(bucketEvents).Get(uintKey(id)) == nil {
			add("event log: event %d is missing", id)
		}
	}
}

// checkFiles holds artifact and module records to the references and collects the files they name.
func checkFiles(tx *bbolt.Tx, add func(string, ...any), sizes map[string]int64) {
	refs := 0
	for c, k := newKeys(tx.Bucket(bucketBlobRefs)); k != nil; k, _ = c.Next() {
		refs++
	}
	hold := func(what string, k []byte, sum string, size int64, ref []byte) {
		if !hexSHA256.MatchString(sum) {
			add("%s %q: SHA-256 %q", what, k, sum)
			return
		}
		if at, _ := tx.Bucket(bucketBlobRefs).Cursor().Seek(ref); !bytes.Equal(at, ref) {
			add("%s %q: nothing holds its file %s", what, k, sum)
		} else {
			refs--
		}
		sizes[sum] = size
	}
	c := tx.Bucket(bucketArtifacts).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var a experiments.Artifact
		run, p, _ := bytes.Cut(k, []byte{0})
		if err := json.Unmarshal(v, &a); err != nil {
			add("artifact %q: %v", k, err)
		} else if tx.Bucket(bucketRuns).Get(run) == nil && !inTrash(tx, string(key(trashRun, string(run)))) && !isDeleted(tx, string(run)) {
			add("artifact %q: its run is missing", k)
		} else {
			hold("artifact", k, a.SHA256, a.Size, key(a.SHA256, string(run), string(p)))
		}
	}
	c = tx.Bucket(bucketModules).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var m moduleRecord
		if err := json.Unmarshal(v, &m); err != nil {
			add("module %s: %v", k, err)
		} else {
			hold("module", k, m.SHA256, m.Size, key(m.SHA256, moduleHolder))
		}
	}
	if refs > 0 {
		add("%d references to files belong to no record", refs)
	}
}

func (s *Store) checkBlob(ctx context.Context, sum string, size int64) error {
	f, err := os.Open(s.blobs.path(sum))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, contextReader{ctx, f})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != size || got != sum {
		return fmt.Errorf("%d bytes with SHA-256 %s, want %d with %s", n, got, size, sum)
	}
	return nil
}

// Orphans are the files beside the database that no record points to. A kill leaves none: they are of a
// version before 0.2, or someone put them there.
func (s *Store) Orphans(ctx context.Context) ([]string, error) {
	s.blobs.mu.Lock() // no file is between its place and its record
	defer s.blobs.mu.Unlock()
	return s.orphans(ctx)
}

// RemoveOrphans removes the files that no record points to and names them.
func (s *Store) RemoveOrphans(ctx context.Context) ([]string, error) {
	s.blobs.mu.Lock()
	defer s.blobs.mu.Unlock()
	paths, err := s.orphans(ctx)
	if err != nil {
		return nil, err
	}
	for i, p := range paths {
		if err := errors.Join(disk.Remove(p), disk.SyncDir(filepath.Dir(p))); err != nil {
			return paths[:i], err
		}
	}
	return paths, nil
}

// orphans needs blobs.mu.
func (s *Store) orphans(ctx context.Context) (paths []string, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		return filepath.WalkDir(filepath.Join(s.blobs.dir, "sha256"), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if sum := sumOf(p); !hexSHA256.MatchString(sum) || p != s.blobs.path(sum) || !referred(tx, sum) && !inTrash(tx, string(key(trashFile, sum))) {
				paths = append(paths, p)
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, fmt.Errorf("files beside the database: %w", err)
	}
	return paths, nil
}

func sumOf(path string) string { return filepath.Base(filepath.Dir(path)) + filepath.Base(path) }

// checkRequests holds the idempotency keys to their ages.
func checkRequests(tx *bbolt.Tx, add func(string, ...any)) {
	keys, ages := 0, 0
	for c, k := newKeys(tx.Bucket(bucketRequests)); k != nil; k, _ = c.Next() {
		if k[0] == 'k' {
			keys++
		} else {
			ages++
		}
	}
	if keys != ages {
		add("idempotency keys: %d, and the times of %d", keys, ages)
	}
}

// leaving says whether an experiment's runs are being taken away with it.
func leaving(tx *bbolt.Tx, id string) bool {
	token, _ := deletedExperiment(tx, id)
	return inTrash(tx, string(key(trashExperiment, id))) || token != "" && inTrash(tx, string(key(trashChange, token)))
}

func isDeleted(tx *bbolt.Tx, run string) bool {
	token, _ := deletedRun(tx, run)
	return token != ""
}

// checkChanges holds what is deleted to the changes that can bring it back.
func checkChanges(tx *bbolt.Tx, add func(string, ...any)) {
	held := map[string]bool{} // what the changes' parts name
	c := tx.Bucket(bucketChanges).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		token, part, isPart := bytes.Cut(k, []byte{0})
		switch {
		case !isPart:
			var change Change
			if err := json.Unmarshal(v, &change); err != nil {
				add("change %s: %v", k, err)
			} else if change.Action == ActionDeleteExperiment {
				held[string(key(trashExperiment, change.Experiment, change.Token))] = true
			}
		case tx.Bucket(bucketChanges).Get(token) == nil:
			add("change %s: a part of it is there, and not what it is", token)
		case !bytes.HasPrefix(part, []byte(partTodo)):
			var items []changedRun
			if err := json.Unmarshal(v, &items); err != nil {
				add("change %s: part %q: %v", token, part, err)
			}
			for _, item := range items {
				if item.Deleted {
					held[string(key(trashRun, item.ID, string(token)))] = true
				}
			}
		}
	}
	c = tx.Bucket(bucketDeleted).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		token, _, _ := bytes.Cut(v, []byte{'\n'})
		kind, id, _ := bytes.Cut(k, []byte{0})
		if !held[string(key(string(kind), string(id), string(token)))] {
			add("deleted %s %s: no change can bring it back", kind, id)
		}
		bucket := bucketRuns
		if string(kind) == trashExperiment {
			bucket = bucketExperiments
		}
		if tx.Bucket(bucket).Get(id) != nil {
			add("%s %s: it is deleted, and there", kind, id)
		}
	}
}
