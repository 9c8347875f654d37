package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
)

// Folder is a Store in a folder: sha256/ab/cdef… holds the objects, incoming/ the parts.
type Folder struct {
	dir  string
	perm fs.FileMode // of the folders that it makes

	mu     sync.Mutex
	active map[string]bool // parts that are open
}

var _ Store = (*Folder)(nil)

// OpenFolder opens a store, which is made where it is missing.
func OpenFolder(dir string) (*Folder, error) { return openFolder(dir, 0o700) }

// OpenShared is OpenFolder for one that others write to as well, as far as the umask lets them. Each writer's owners have
// names of their own.
func OpenShared(dir string) (*Folder, error) { return openFolder(dir, 0o777) }

func openFolder(dir string, perm fs.FileMode) (*Folder, error) {
	for _, d := range []string{"sha256", "incoming"} {
		if err := disk.MkdirAll(filepath.Join(dir, d), perm); err != nil {
			return nil, fmt.Errorf("objects folder: %w", err)
		}
	}
	return &Folder{dir: dir, perm: perm, active: map[string]bool{}}, nil
}

// Dir is the folder.
func (f *Folder) Dir() string { return f.dir }

func (f *Folder) path(id ID) string {
	return filepath.Join(f.dir, "sha256", id.SHA256[:2], id.SHA256[2:])
}

func (f *Folder) has(id ID) bool {
	info, err := os.Lstat(f.path(id))
	return err == nil && info.Mode().IsRegular() && info.Size() == id.Size
}

// Has implements Store.
func (f *Folder) Has(_ context.Context, ids []ID) ([]bool, error) {
	out := make([]bool, len(ids))
	for i, id := range ids {
		if err := id.Check(); err != nil {
			return nil, err
		}
		out[i] = f.has(id)
	}
	return out, nil
}

// Open implements Store.
func (f *Folder) Open(_ context.Context, id ID, offset int64) (io.ReadCloser, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	file, err := disk.OpenRegular(f.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notThere(id)
	}
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", id.short(), err)
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("object %s: %w", id.short(), err), file.Close())
	}
	return file, nil
}

func notThere(id ID) error {
	return experiments.Errorf(experiments.CodeNotFound, "object %s of %d bytes is not there", id.short(), id.Size)
}

// Link gives an object a second name, to be read and not written, and says that it was used now. Where the file systems
// differ, or have no links, the error is not nil and nothing has changed.
func (f *Folder) Link(id ID, to string) error {
	if err := id.Check(); err != nil {
		return err
	}
	f.Used(id)
	return disk.Link(f.path(id), to)
}

// Used says that an object was used now.
func (f *Folder) Used(id ID) {
	now := time.Now()
	_ = os.Chtimes(f.path(id), now, now) // another's file may refuse: it may be removed early
}

// RemoveUnused removes the objects that were last used before a time, but those that keep wants, and the parts that nobody has
// written to since. It gives the bytes that it removed.
func (f *Folder) RemoveUnused(ctx context.Context, before time.Time, keep func(ID) bool) (removed int64, err error) {
	all, err := f.list(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if s.used.After(before) || keep(s.id) {
			continue
		}
		if err := f.Remove(ctx, s.id); err != nil {
			return removed, err
		}
		removed += s.id.Size
	}
	return removed, f.Abandon(ctx, func(owner string) bool {
		parts, _ := filepath.Glob(filepath.Join(f.dir, "incoming", "*."+owner))
		return slices.ContainsFunc(parts, func(p string) bool {
			info, err := os.Stat(p)
			return err == nil && info.ModTime().After(before)
		})
	})
}

// Remove implements Store.
func (f *Folder) Remove(_ context.Context, ids ...ID) error {
	dirs := map[string]bool{}
	for _, id := range ids {
		if err := id.Check(); err != nil {
			return err
		}
		switch err := disk.Remove(f.path(id)); {
		case err == nil:
			dirs[filepath.Dir(f.path(id))] = true
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("object %s: %w", id.short(), err)
		}
	}
	for d := range dirs {
		if err := disk.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// stored is an object of a folder.
type stored struct {
	id   ID
	used time.Time
}

func (f *Folder) list(ctx context.Context) ([]stored, error) {
	var out []stored
	err := filepath.WalkDir(filepath.Join(f.dir, "sha256"), func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed since
		}
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		sum := filepath.Base(filepath.Dir(p)) + d.Name()
		info, err := d.Info()
		if err == nil && hexSHA256.MatchString(sum) {
			out = append(out, stored{ID{sum, info.Size()}, info.ModTime()})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	return out, nil
}

// List implements Store.
func (f *Folder) List(ctx context.Context) ([]ID, error) {
	all, err := f.list(ctx)
	var ids []ID
	for _, s := range all {
		ids = append(ids, s.id)
	}
	return ids, err
}

// Prune removes the objects that were used longest ago until the others have at most bound bytes. Those that keep wants
// stay. It gives the bytes that it removed.
func (f *Folder) Prune(ctx context.Context, bound int64, keep func(ID) bool) (removed int64, err error) {
	all, err := f.list(ctx)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, s := range all {
		total += s.id.Size
	}
	slices.SortFunc(all, func(a, b stored) int {
		return cmp.Or(a.used.Compare(b.used), strings.Compare(a.id.SHA256, b.id.SHA256))
	})
	for _, s := range all {
		if total-removed <= bound {
			break
		}
		if keep(s.id) {
			continue
		}
		if err := f.Remove(ctx, s.id); err != nil {
			return removed, err
		}
		removed += s.id.Size
	}
	return removed, nil
}

var ownerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Abandon implements Store.
func (f *Folder) Abandon(_ context.Context, keep func(owner string) bool) error {
	entries, err := os.ReadDir(filepath.Join(f.dir, "incoming"))
	if err != nil {
		return fmt.Errorf("objects folder: %w", err)
	}
	for _, e := range entries {
		_, owner, _ := strings.Cut(e.Name(), ".")
		f.mu.Lock()
		busy := f.active[e.Name()]
		f.mu.Unlock()
		if busy || keep(owner) {
			continue
		}
		if err := disk.Remove(filepath.Join(f.dir, "incoming", e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("objects folder: %w", err)
		}
	}
	return nil
}
