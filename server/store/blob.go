package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/runtime/disk"
)

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// blobs are the files beside the database, named by their SHA-256: sha256/ab/cdef…. A file is whole and
// durable before a record points to it, and removed after no record does.
type blobs struct {
	dir    string
	log    *slog.Logger
	health *health
	// mu is held for reading from putting a file in place until the record that points to it is
	// committed, for writing while files without a record are removed.
	mu sync.RWMutex
}

// openBlobs makes the folders and removes what a killed process left: files it was receiving and, by
// their marks, files it had put in place before a record held them. The database's lock says that no
// other process is at work.
func openBlobs(dir string, s *Store) (*blobs, error) {
	b := &blobs{dir: dir, log: s.log, health: &s.health}
	for _, d := range []string{b.incoming(), filepath.Join(dir, "sha256")} {
		if err := disk.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("artifacts folder: %w", err)
		}
	}
	if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("artifacts folder: %w", err)
	}
	left, err := os.ReadDir(b.incoming())
	if err != nil {
		return nil, fmt.Errorf("artifacts folder: %w", err)
	}
	var marked []string
	for _, e := range left {
		if sum, _, found := strings.Cut(e.Name(), "."); found && hexSHA256.MatchString(sum) {
			marked = append(marked, sum)
		}
	}
	unheld, err := s.unheld(context.Background(), marked)
	if err != nil {
		return nil, err
	}
	if err := b.remove(unheld); err != nil {
		return nil, fmt.Errorf("artifacts folder: %w", err)
	}
	for _, e := range left { // the marks last: a cut before it begins anew
		if err := disk.RemoveAll(filepath.Join(b.incoming(), e.Name())); err != nil {
			return nil, fmt.Errorf("artifacts folder: %w", err)
		}
	}
	return b, nil
}

func (b *blobs) incoming() string { return filepath.Join(b.dir, "incoming") }

func (b *blobs) path(sum string) string {
	return filepath.Join(b.dir, "sha256", sum[:2], sum[2:])
}

// blob is a received file that has no place yet. Its mark says, after a kill, that a file of this sum may
// stand in its place without a record.
type blob struct {
	tmp, mark string
	sum       string
	size      int64
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// receive writes r to a file of its own, flushed. discard it or place it.
func (b *blobs) receive(ctx context.Context, r io.Reader) (blob, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return blob{}, fmt.Errorf("artifact: %w", err)
	}
	out := blob{tmp: filepath.Join(b.incoming(), id.String())}
	f, err := disk.OpenFile(out.tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return blob{}, b.refused(err)
	}
	h := sha256.New()
	w := &diskWriter{w: f}
	out.size, err = io.Copy(io.MultiWriter(w, h), contextReader{ctx, r})
	if err == nil {
		w.err = f.Sync()
	}
	w.err = errors.Join(w.err, f.Close())
	out.sum = hex.EncodeToString(h.Sum(nil))
	if err == nil && w.err == nil {
		out.mark = filepath.Join(b.incoming(), out.sum+"."+id.String())
		w.err = b.putMark(out.mark)
	}
	if w.err != nil {
		err = b.refused(w.err)
	}
	if err != nil {
		return blob{}, errors.Join(err, b.discard(out))
	}
	return out, nil
}

// putMark makes a mark durable.
func (b *blobs) putMark(name string) error {
	f, err := disk.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), disk.SyncDir(b.incoming()))
}

// diskWriter tells a failure to write from one of the reader.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	d.err = err
	return n, err
}

// refused notes that the disk refused a file, and says so.
func (b *blobs) refused(err error) error {
	if noSpace(err) {
		err = experiments.Errorf(experiments.CodeUnavailable, "artifact: no space left in %s: %w", b.dir, err)
	} else {
		err = fmt.Errorf("artifact: writing to %s failed: %w", b.dir, err)
	}
	b.log.Error("a file was refused", "folder", b.dir, "error", err)
	b.health.fail(partArtifacts, err)
	return err
}

// probe tries a small file, and notes that files can be written when it works.
func (b *blobs) probe() {
	x, err := b.receive(context.Background(), bytes.NewReader(make([]byte, 64<<10)))
	if err != nil {
		return // noted
	}
	if err := b.discard(x); err != nil {
		_ = b.refused(err)
		return
	}
	b.health.works(partArtifacts)
}

// discard removes what is left of a received file beside its place.
func (b *blobs) discard(x blob) error {
	var err error
	for _, name := range []string{x.tmp, x.mark} {
		if name == "" {
			continue
		}
		if e := disk.Remove(name); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// place gives a received file its name, durably, over one that is there: who wrote that and whether its
// name outlives a power cut is unknown, so each writer puts its own bytes there and flushes the folder
// itself. It needs mu.
func (b *blobs) place(x blob) error {
	path := b.path(x.sum)
	dir := filepath.Dir(path)
	err := disk.MkdirAll(dir, 0o700)
	if err == nil {
		err = disk.Rename(x.tmp, path)
	}
	if err != nil && runtime.GOOS == "windows" {
		// An open file keeps its name there. Its content is its name's, and names are journalled.
		if st, statErr := os.Stat(path); statErr == nil && st.Size() == x.size {
			return nil
		}
	}
	if err == nil {
		err = errors.Join(disk.SyncDir(dir), disk.SyncDir(filepath.Dir(dir)))
	}
	if err != nil {
		return b.refused(err)
	}
	b.health.works(partArtifacts)
	return nil
}

// keep places a received file and commits the records that point to it. Where it fails, the file goes
// again unless a record holds it; where the outcome is unknown, it and its mark stay until the store is
// opened again.
func (s *Store) keep(ctx context.Context, x blob, apply func(*txn) error) error {
	err := s.placeAndCommit(ctx, x, apply)
	if experiments.CodeOf(err) == experiments.CodeUnknown {
		return err
	}
	if err != nil {
		if dropErr := s.dropBlobs(ctx, []string{x.sum}); dropErr != nil {
			s.log.Warn("a file that no run holds was not removed; it is when the store is opened again", "file", s.blobs.path(x.sum), "error", dropErr)
			x.mark = ""
		}
	}
	if e := s.blobs.discard(x); e != nil {
		s.log.Warn("a received file was not removed; it is when the store is opened again", "error", e)
	}
	return err
}

func (s *Store) placeAndCommit(ctx context.Context, x blob, apply func(*txn) error) error {
	s.blobs.mu.RLock()
	defer s.blobs.mu.RUnlock()
	if err := s.blobs.place(x); err != nil {
		return err
	}
	return s.update(ctx, 1, apply)
}

func referred(tx *bbolt.Tx, sum string) bool {
	prefix := under(sum)
	k, _ := tx.Bucket(bucketBlobRefs).Cursor().Seek(prefix)
	return bytes.HasPrefix(k, prefix)
}

// unheld are those of the sums that no record points to.
func (s *Store) unheld(ctx context.Context, sums []string) (out []string, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		for _, sum := range sums {
			if !referred(tx, sum) {
				out = append(out, sum)
			}
		}
		return nil
	})
	return out, err
}

// dropBlobs removes the files of those sums that no record points to.
func (s *Store) dropBlobs(ctx context.Context, sums []string) error {
	if len(sums) == 0 {
		return nil
	}
	s.blobs.mu.Lock()
	defer s.blobs.mu.Unlock()
	unheld, err := s.unheld(context.WithoutCancel(ctx), sums)
	if err != nil {
		return err
	}
	return s.blobs.remove(unheld)
}

// remove removes files, durably.
func (b *blobs) remove(sums []string) error {
	dirs := map[string]bool{}
	for _, sum := range sums {
		path := b.path(sum)
		if err := disk.Remove(path); err == nil {
			dirs[filepath.Dir(path)] = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for dir := range dirs {
		if err := disk.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
