package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
)

// ErrOutside is about a path that does not lie below the folders that this process keeps to.
var ErrOutside = errors.New("lies outside")

// roots are the folders that this process keeps to; nil: there are none.
var roots atomic.Pointer[[]*os.Root]

// Confine makes this process keep to folders from now on: what package disk opens, makes, renames or removes lies below
// one of them, whatever links lead to it. It holds where a file is opened, so that a link planted after a check changes
// nothing. A folder that is missing is made. Called again it replaces the folders; with none, the process is free.
func Confine(dirs ...string) error {
	var list []*os.Root
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("keep to %s: %w", dir, err)
		}
		real, err := Real(dir)
		if err != nil {
			return fmt.Errorf("keep to %s: %w", dir, err)
		}
		root, err := os.OpenRoot(real)
		if err != nil {
			return fmt.Errorf("keep to %s: %w", dir, err)
		}
		list = append(list, root)
	}
	if list == nil {
		roots.Store(nil)
	} else {
		roots.Store(&list)
	}
	return nil
}

// Real is the absolute path of a name with every link followed, as far as there is something; what is missing is kept
// as it is named.
func Real(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err // such as links that lead in a circle
		}
		if target, lerr := os.Readlink(at); lerr == nil { // to what is missing: where it would be made
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(at), target)
			}
			return Real(filepath.Join(target, rest))
		}
		if at == filepath.Dir(at) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// Below says whether a real path is a folder or lies below it.
func Below(real, folder string) bool {
	rel, err := filepath.Rel(folder, real)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Inside refuses a name that leads out of the folders that this process keeps to.
func Inside(name string) error {
	_, _, err := place(name)
	return err
}

// place finds the root that a name lies below, and its path there; nil where the process keeps to none.
func place(name string) (*os.Root, string, error) {
	list := roots.Load()
	if list == nil {
		return nil, name, nil
	}
	real, err := Real(name)
	var names []string
	for _, r := range *list {
		if err == nil && Below(real, r.Name()) {
			rel, err := filepath.Rel(r.Name(), real)
			return r, rel, err
		}
		names = append(names, r.Name())
	}
	// A name that cannot be followed is refused in the same words: others would say what lies outside.
	return nil, "", &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%w %s, which this process keeps to", ErrOutside, strings.Join(names, " and "))}
}

// parent is place for a name itself, whatever it leads to: for what changes names.
func parent(name string) (*os.Root, string, error) {
	root, dir, err := place(filepath.Dir(name))
	if root == nil || err != nil {
		return nil, name, err
	}
	return root, filepath.Join(dir, filepath.Base(name)), nil
}

// Open opens a file or a folder to read.
func Open(name string) (*os.File, error) {
	root, rel, err := place(name)
	switch {
	case err != nil:
		return nil, err
	case root == nil:
		return os.Open(name)
	}
	return root.Open(rel)
}

// Stat looks at a name.
func Stat(name string) (fs.FileInfo, error) {
	root, rel, err := place(name)
	switch {
	case err != nil:
		return nil, err
	case root == nil:
		return os.Stat(name)
	}
	return root.Stat(rel)
}

// ReadDir lists a folder.
func ReadDir(name string) ([]fs.DirEntry, error) {
	root, rel, err := place(name)
	switch {
	case err != nil:
		return nil, err
	case root == nil:
		return os.ReadDir(name)
	}
	return fs.ReadDir(root.FS(), filepath.ToSlash(rel))
}

// special are the characters that a pattern gives a meaning.
func special() string {
	if filepath.Separator == '\\' {
		return `*?[`
	}
	return `*?[\`
}

// Glob is filepath.Glob; what lies outside the folders that this process keeps to matches nothing.
func Glob(pattern string) ([]string, error) {
	if roots.Load() == nil {
		return filepath.Glob(pattern)
	}
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, err
	}
	dir, last := filepath.Split(pattern)
	dirs := []string{filepath.Clean(dir)}
	if strings.ContainsAny(dir, special()) {
		var err error
		if dirs, err = Glob(filepath.Clean(dir)); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, d := range dirs {
		entries, err := ReadDir(d)
		if err != nil {
			continue // as filepath.Glob does
		}
		for _, e := range entries {
			path := filepath.Join(d, e.Name())
			if ok, _ := filepath.Match(last, e.Name()); ok && Inside(path) == nil {
				out = append(out, path)
			}
		}
	}
	return out, nil
}

func openFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	root, rel, err := place(name)
	switch {
	case err != nil:
		return nil, err
	case root == nil:
		return os.OpenFile(name, flag, perm)
	}
	return root.OpenFile(rel, flag, perm)
}

// named does something to a name below its root, or to the name itself where there is none.
func named(name string, free func(string) error, kept func(*os.Root, string) error) error {
	root, rel, err := parent(name)
	switch {
	case err != nil:
		return err
	case root == nil:
		return free(name)
	}
	return kept(root, rel)
}

// two does something to two names, of one root where there is any.
func two(a, b string, free func(a, b string) error, kept func(r *os.Root, a, b string) error) error {
	root, from, err := parent(a)
	if err != nil {
		return err
	}
	other, to, err := parent(b)
	switch {
	case err != nil:
		return err
	case root == nil:
		return free(a, b)
	case root != other:
		return &os.LinkError{Op: "rename", Old: a, New: b, Err: fmt.Errorf("%w each other's folder", ErrOutside)}
	}
	return kept(root, from, to)
}

// exchangeIn swaps two names of a root, by its folders as they were opened.
func exchangeIn(r *os.Root, a, b string) error {
	if runtime.GOOS != "linux" {
		return exchange(filepath.Join(r.Name(), a), filepath.Join(r.Name(), b))
	}
	var names [2]string
	for i, name := range []string{a, b} {
		dir, err := r.Open(filepath.Dir(name))
		if err != nil {
			return err
		}
		defer dir.Close()
		names[i] = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(name))
	}
	return exchange(names[0], names[1])
}
