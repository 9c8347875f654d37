package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"os"
	"path"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// MaxArtifactPath is the longest path of an artifact, in bytes.
const MaxArtifactPath = 1024

func checkArtifactPath(p string) error {
	bad := func(why string) error {
		return experiments.Errorf(experiments.CodeInvalid, "artifact path %.80q: %s", p, why)
	}
	switch {
	case p == "" || len(p) > MaxArtifactPath:
		return bad(fmt.Sprintf("want 1 to %d bytes", MaxArtifactPath))
	case strings.Contains(p, `\`):
		return bad("separate folders with /")
	case path.Clean("/"+p) != "/"+p:
		return bad("want a plain relative path, without . or .. or empty parts")
	}
	return checkText("artifact path", p)
}

// SaveArtifact stores a file of a run; the same path replaces it. An empty mediaType is found by the
// path's ending.
func (s *Store) SaveArtifact(ctx context.Context, run, p, mediaType string, r io.Reader) (experiments.Artifact, error) {
	a := experiments.Artifact{Path: p, MediaType: mediaType}
	if err := checkArtifactPath(p); err != nil {
		return a, err
	}
	if a.MediaType == "" {
		a.MediaType = typeOf(p)
	}
	if _, _, err := mime.ParseMediaType(a.MediaType); err != nil {
		return a, experiments.Errorf(experiments.CodeInvalid, "artifact %q: media type %q: %w", p, a.MediaType, err)
	}
	if err := s.hasRun(ctx, run); err != nil { // before a long upload
		return a, err
	}
	x, err := s.blobs.receive(ctx, r)
	if err != nil {
		return a, fmt.Errorf("artifact %q of run %s: %w", p, run, err)
	}
	a.Size, a.SHA256, a.CreatedAt = x.size, x.sum, time.Now().UTC()
	var replaced string
	err = s.keep(ctx, x, func(t *txn) error {
		replaced = ""
		if t.Bucket(bucketRuns).Get([]byte(run)) == nil {
			return notFound("run", run)
		}
		k := key(run, p)
		var old experiments.Artifact
		if b := t.Bucket(bucketArtifacts).Get(k); b != nil {
			if err := json.Unmarshal(b, &old); err != nil {
				return fmt.Errorf("record of artifact %q: %w", p, err)
			}
		}
		if err := t.bucket(bucketBlobRefs).Put(key(a.SHA256, run, p), nil); err != nil {
			return err
		}
		if old.SHA256 != "" && old.SHA256 != a.SHA256 {
			replaced = old.SHA256
			if err := unhold(t, old.SHA256, run, p); err != nil {
				return err
			}
		}
		return putJSON(t.bucket(bucketArtifacts), k, a)
	})
	if err == nil && replaced != "" {
		s.sweeper.await(ctx, trashFile, replaced)
	}
	return a, err
}

// typeOf does not ask the system's table, which differs from machine to machine.
func typeOf(p string) string {
	types := map[string]string{
		".html": "text/html; charset=utf-8", ".json": "application/json", ".jsonl": "application/jsonl",
		".txt": "text/plain; charset=utf-8", ".log": "text/plain; charset=utf-8", ".md": "text/markdown; charset=utf-8",
		".yaml": "application/yaml", ".yml": "application/yaml", ".csv": "text/csv; charset=utf-8",
		".png": "image/png", ".svg": "image/svg+xml", ".wasm": "application/wasm",
	}
	if t, ok := types[strings.ToLower(path.Ext(p))]; ok {
		return t
	}
	return "application/octet-stream"
}

// Artifacts lists a run's files by path.
func (s *Store) Artifacts(ctx context.Context, run string) ([]experiments.Artifact, error) {
	items := []experiments.Artifact{}
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketRuns).Get([]byte(run)) == nil {
			return notFound("run", run)
		}
		items = items[:0]
		prefix := under(run)
		c := tx.Bucket(bucketArtifacts).Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			var a experiments.Artifact
			if err := json.Unmarshal(v, &a); err != nil {
				return fmt.Errorf("record of artifact %q: %w", k, err)
			}
			items = append(items, a)
		}
		return nil
	})
	return items, err
}

// OpenArtifact opens a run's file; close it.
func (s *Store) OpenArtifact(ctx context.Context, run, p string) (experiments.Artifact, *os.File, error) {
	// Held so that the file is not removed between the record and the opening.
	s.blobs.mu.RLock()
	defer s.blobs.mu.RUnlock()
	var a experiments.Artifact
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketRuns).Get([]byte(run)) == nil {
			return notFound("run", run)
		}
		return readJSON(tx, bucketArtifacts, string(key(run, p)), "artifact", &a)
	})
	if err != nil {
		return a, nil, err
	}
	f, err := os.Open(s.blobs.path(a.SHA256))
	if err != nil {
		return a, nil, fmt.Errorf("artifact %q of run %s: %w", p, run, err)
	}
	return a, f, nil
}
