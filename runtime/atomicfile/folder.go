package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"triality/runtime/disk"
	"triality/runtime/filelock"
)

// ErrBusy is a folder that another call, of this process or another, is replacing.
var ErrBusy = errors.New("it is being written by another process: wait for it, or name another folder")

// WriteFolder makes the folder out with what fill puts into it, whole or not at all: fill gets an empty
// folder beside out, which takes out's name once all in it is on stable storage, however fill wrote it.
// Parents are made where needed. A folder at out is replaced, and stays as it was when anything fails; so
// does one whose replacement is cut by a kill or a power cut, or the new one is there, whole. What such a
// call left beside out goes with the next for the same out. Two calls for one out do not meet: the second
// gets ErrBusy.
//
// Linux and macOS swap the two folders in one step where the file system can. Elsewhere (Windows, NFS,
// FAT) the old folder steps aside first, and a cut at that moment leaves neither at out until the next
// WriteFolder, MoveFolder or RecoverFolder puts it back: readers of such folders begin with ReadFile.
func WriteFolder(out string, fill func(dir string) error) error {
	p, err := placeOf(out)
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(p.parent, 0o755); err != nil {
		return err
	}
	return p.locked(func() (err error) {
		if err := disk.Mkdir(p.tmp, 0o755); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.discard()) }() // the old folder, or what fill made before it failed or panicked
		if err := fill(p.tmp); err != nil {
			return err
		}
		if err := flush(p.tmp); err != nil {
			return err
		}
		return p.put(p.tmp)
	})
}

// MoveFolder gives the folder from the name out, replacing what is there as WriteFolder does. Both lie on
// one file system. No one else may be using from.
func MoveFolder(from, out string) error {
	p, err := placeOf(out)
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(p.parent, 0o755); err != nil {
		return err
	}
	return p.locked(func() error {
		if err := flush(from); err != nil {
			return err
		}
		if err := p.put(from); err != nil {
			return err
		}
		if err := errors.Join(disk.SyncDir(p.parent), disk.SyncDir(filepath.Dir(from))); err != nil {
			return err
		}
		return disk.RemoveAll(from)
	})
}

// RecoverFolder puts back the folder that a replacement cut between its two renames left aside. Where
// there is nothing to do it does nothing, and a folder that never was is no error.
func RecoverFolder(out string) error {
	p, err := placeOf(out)
	if err != nil {
		return err
	}
	if exists(p.out) || !exists(p.old) {
		return nil
	}
	return p.locked(func() error { return nil })
}

// ReadFile reads a file of a folder that WriteFolder makes, after RecoverFolder where it is missing. It is
// how a reader of such a folder reads the first of its files.
func ReadFile(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	data, err := disk.ReadRegular(path, disk.MaxText)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	if err := RecoverFolder(dir); err != nil {
		return nil, err
	}
	return disk.ReadRegular(path, disk.MaxText)
}

// place is where a folder is to be, and the names beside it that its replacement uses.
type place struct {
	given  string // for messages
	parent string
	out    string
	tmp    string // the next folder, or what is left of the last one: never the only whole one
	old    string // the last folder while it stands aside: always whole
	lock   string
}

func placeOf(out string) (place, error) {
	abs, err := filepath.Abs(out)
	if err != nil {
		return place{}, err
	}
	parent, base := filepath.Dir(abs), filepath.Base(abs)
	if parent == abs {
		return place{}, fmt.Errorf("%s is the root of a file system, which cannot be replaced", out)
	}
	beside := func(ending string) string { return filepath.Join(parent, "."+base+ending) }
	return place{out, parent, abs, beside(Suffix), beside(".triality-old"), beside(".triality-lock")}, nil
}

// locked settles what an earlier call left, then calls do, with other calls for the same out kept away.
func (p place) locked(do func() error) error {
	release, err := filelock.Hold(p.lock)
	if err != nil {
		return fmt.Errorf("lock %s: %w", p.lock, err)
	}
	if release == nil {
		return fmt.Errorf("%s: %w", p.given, ErrBusy)
	}
	defer release()
	if err := p.settle(); err != nil {
		return err
	}
	return do()
}

// settle finishes or undoes what a killed call left.
func (p place) settle() error {
	if exists(p.old) && !exists(p.out) {
		if err := disk.Rename(p.old, p.out); err != nil {
			return fmt.Errorf("put back what an interrupted replacement set aside: %w", err)
		}
	}
	if exists(p.old) {
		return p.dropOld()
	}
	if exists(p.tmp) {
		return p.discard()
	}
	return nil
}

// put gives a flushed folder the name out. What was there is then at from, or gone.
func (p place) put(from string) error {
	info, err := disk.Stat(p.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return disk.Rename(from, p.out)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is a file, not a folder: remove it or name another", p.given)
	}
	if err := disk.Exchange(from, p.out); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := disk.Rename(p.out, p.old); err != nil {
		return err
	}
	if err := disk.Rename(from, p.out); err != nil {
		return errors.Join(err, disk.Rename(p.old, p.out))
	}
	return p.dropOld()
}

// dropOld removes the old folder once the new one's name is safe. It has its own name for as long as it
// is whole.
func (p place) dropOld() error {
	if err := p.discard(); err != nil {
		return err
	}
	if err := disk.Rename(p.old, p.tmp); err != nil {
		return err
	}
	return p.discard()
}

// discard removes the temporary folder. The names come first: before the swap is on stable storage what
// is removed here may be what a power cut brings back.
func (p place) discard() error {
	if err := disk.SyncDir(p.parent); err != nil {
		return err
	}
	return disk.RemoveAll(p.tmp)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// flush brings a folder with all it holds to stable storage, what is in a folder before its names.
func flush(dir string) error {
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			err = flush(path)
		case e.Type().IsRegular():
			err = flushFile(path)
		}
		if err != nil {
			return err
		}
	}
	return disk.SyncDir(dir)
}

func flushFile(path string) error {
	f, err := disk.OpenFile(path, flushFlag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
