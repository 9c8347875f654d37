package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"triality/experiments"
	"triality/runtime/atomicfile"
)

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// blobs are the files beside the database, named by their SHA-256: sha256/ab/cdef…. A file is whole and
// durable before a record points to it, and removed after no record does.
type blobs struct {
	dir string
	// mu is held for reading from putting a file in place until the record that points to it is
	// committed, for writing while files without a record are removed.
	mu sync.RWMutex
}

func openBlobs(dir string) (*blobs, error) {
	b := &blobs{dir: dir}
	// What a killed process was receiving; the database's lock says no one else is.
	if err := os.RemoveAll(b.incoming()); err != nil {
		return nil, fmt.Errorf("artifacts folder: %w", err)
	}
	for _, d := range []string{b.incoming(), filepath.Join(dir, "sha256")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("artifacts folder: %w", err)
		}
	}
	return b, errors.Join(atomicfile.SyncDir(dir), atomicfile.SyncDir(filepath.Dir(dir)))
}

func (b *blobs) incoming() string { return filepath.Join(b.dir, "incoming") }

func (b *blobs) path(sum string) string {
	return filepath.Join(b.dir, "sha256", sum[:2], sum[2:])
}

// blob is a received file that has no place yet.
type blob struct {
	tmp  string
	sum  string
	size int64
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
	h := sha256.New()
	err = atomicfile.WriteFile(out.tmp, 0o600, func(w io.Writer) error {
		var err error
		out.size, err = io.Copy(io.MultiWriter(w, h), contextReader{ctx, r})
		return err
	})
	if noSpace(err) {
		err = experiments.Errorf(experiments.CodeUnavailable, "artifact: no space left: %w", err)
	}
	out.sum = hex.EncodeToString(h.Sum(nil))
	return out, err
}

func (b *blobs) discard(x blob) error {
	if err := os.Remove(x.tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// place gives a received file its name. It needs mu.
func (b *blobs) place(x blob) error {
	path := b.path(x.sum)
	if st, err := os.Stat(path); err == nil && st.Size() == x.size {
		return b.discard(x)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if err := os.Rename(x.tmp, path); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if err := errors.Join(atomicfile.SyncDir(dir), atomicfile.SyncDir(filepath.Dir(dir))); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	return nil
}

// keep places a received file and commits the records that point to it.
func (s *Store) keep(ctx context.Context, x blob, apply func(*txn) error) error {
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

// dropBlobs removes the files of those sums that no record points to any more. A file left because
// this fails takes space and nothing else; Check names it.
func (s *Store) dropBlobs(ctx context.Context, sums []string) error {
	if len(sums) == 0 {
		return nil
	}
	s.blobs.mu.Lock()
	defer s.blobs.mu.Unlock()
	var orphans []string
	err := s.view(context.WithoutCancel(ctx), func(tx *bbolt.Tx) error {
		for _, sum := range sums {
			if !referred(tx, sum) {
				orphans = append(orphans, sum)
			}
		}
		return nil
	})
	for _, sum := range orphans {
		if e := os.Remove(s.blobs.path(sum)); e != nil && !errors.Is(e, os.ErrNotExist) {
			s.log.Warn("a file that no run holds was not removed", "file", s.blobs.path(sum), "error", e)
		}
	}
	return err
}
