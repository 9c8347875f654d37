package shared

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/objects"
)

// place is where manifests and files lie. What is not there is CodeNotFound, what cannot be reached CodeUnavailable.
type place interface {
	manifest(ctx context.Context, key string) ([]byte, error)
	putManifest(ctx context.Context, key string, text []byte) error
	// manifests calls f for each key, with the time when its manifest was written.
	manifests(ctx context.Context, f func(key string, at time.Time) error) error
	removeManifest(ctx context.Context, key string) error
	// has says whether an object is there, and keeps it from a prune that is under way.
	has(ctx context.Context, id objects.ID) (bool, error)
	open(ctx context.Context, id objects.ID) (io.ReadCloser, error)
	// put stores what r gives, which is size bytes, whole or not at all.
	put(ctx context.Context, id objects.ID, r io.Reader) error
	// prune removes the objects, and what was begun of some, that were last used before a time and that keep does not want.
	prune(ctx context.Context, before time.Time, keep func(sum string) bool) (removed int64, err error)
}

// nameOf is where a key's manifest lies.
func nameOf(key string) string { return path.Join("results", key[:2], key+".json") }

// keyOf is nameOf's inverse; false for what is no manifest.
func keyOf(name string) (string, bool) {
	key, ok := strings.CutSuffix(path.Base(name), ".json")
	return key, ok && keyForm.MatchString(key)
}

// folder is a place in a folder that machines have in common.
type folder struct {
	dir   string
	files *objects.Folder
}

func openFolder(dir string) (place, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Dir(abs)); err != nil || !info.IsDir() {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "%s is not there: is its file system mounted?", filepath.Dir(abs))
	}
	files, err := objects.OpenShared(abs)
	if err == nil {
		err = disk.MkdirAll(filepath.Join(abs, "results"), 0o777)
	}
	if err != nil {
		return nil, lost(err)
	}
	return folder{abs, files}, nil
}

// lost is an error of the folder's file system.
func lost(err error) error {
	switch {
	case err == nil || experiments.CodeOf(err) != experiments.CodeInternal:
		return err
	case errors.Is(err, disk.ErrTooLarge), errors.Is(err, disk.ErrNotRegular):
		return experiments.Errorf(experiments.CodeInvalid, "%w", err)
	case errors.Is(err, fs.ErrNotExist):
		return experiments.Errorf(experiments.CodeNotFound, "%w", err)
	}
	return experiments.Errorf(experiments.CodeUnavailable, "%w", err)
}

func (f folder) path(key string) string { return filepath.Join(f.dir, filepath.FromSlash(nameOf(key))) }

func (f folder) manifest(_ context.Context, key string) ([]byte, error) {
	text, err := disk.ReadRegular(f.path(key), maxManifest)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, lost(err)
	}
	if info, err := os.Stat(filepath.Join(f.dir, "results")); err != nil || !info.IsDir() {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "%s is gone: is its file system mounted?", f.dir)
	}
	return nil, experiments.Errorf(experiments.CodeNotFound, "no shared result %.12s", key)
}

func (f folder) putManifest(_ context.Context, key string, text []byte) error {
	p := f.path(key)
	if err := disk.MkdirAll(filepath.Dir(p), 0o777); err != nil {
		return lost(err)
	}
	return lost(atomicfile.WriteFile(p, 0o644, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}))
}

func (f folder) manifests(ctx context.Context, each func(key string, at time.Time) error) error {
	return lost(filepath.WalkDir(filepath.Join(f.dir, "results"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		key, ok := keyOf(filepath.ToSlash(p))
		if !ok {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // removed since
		}
		return each(key, info.ModTime())
	}))
}

func (f folder) removeManifest(_ context.Context, key string) error {
	if err := disk.Remove(f.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return lost(err)
	}
	return nil
}

func (f folder) has(ctx context.Context, id objects.ID) (bool, error) {
	there, err := f.files.Has(ctx, []objects.ID{id})
	if err != nil {
		return false, lost(err)
	}
	if there[0] {
		f.files.Used(id)
	}
	return there[0], nil
}

func (f folder) open(ctx context.Context, id objects.ID) (io.ReadCloser, error) {
	r, err := f.files.Open(ctx, id, 0)
	return r, lost(err)
}

func (f folder) put(ctx context.Context, id objects.ID, r io.Reader) error {
	owner := strings.ReplaceAll(uuid.NewString(), "-", "") // that no other process has
	p, err := f.files.Begin(ctx, id, owner)
	if err == nil {
		if _, err = io.Copy(p, r); err == nil {
			err = p.Commit(ctx)
		}
	}
	if err != nil {
		if p != nil {
			p.Close()
		}
		return errors.Join(lost(err), f.files.Abandon(ctx, func(o string) bool { return o != owner }))
	}
	return nil
}

func (f folder) prune(ctx context.Context, before time.Time, keep func(sum string) bool) (int64, error) {
	n, err := f.files.RemoveUnused(ctx, before, func(id objects.ID) bool { return keep(id.SHA256) })
	return n, lost(err)
}
