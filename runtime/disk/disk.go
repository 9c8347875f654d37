// Package disk is the one way by which the project changes files: the few operations whose order decides
// what is left after a power cut, each as the operating system has it. A test watches the operations
// below a folder (Watch), makes one fail or block, or has package powercut replay them.
//
// Reading needs no such care. What a configuration names is opened here all the same (Open, OpenRegular, ReadRegular),
// since a process can be made to keep to folders (Confine).
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Mkdir makes one folder.
func Mkdir(name string, perm fs.FileMode) error {
	return run(Op{Kind: OpMkdir, Path: name}, func() error {
		return named(name, func(n string) error { return os.Mkdir(n, perm) }, func(r *os.Root, n string) error { return r.Mkdir(n, perm) })
	})
}

// MkdirAll makes a folder and the parents it lacks. Those that it makes are on stable storage under
// their names when it returns; the folders themselves are empty.
func MkdirAll(name string, perm fs.FileMode) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	name = filepath.Clean(name)
	parent := filepath.Dir(name)
	if parent != name {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := Mkdir(name, perm); err != nil {
		if info, statErr := os.Stat(name); statErr == nil && info.IsDir() { // another process was faster
			return SyncDir(parent)
		}
		return err
	}
	return SyncDir(parent)
}

// MkdirTemp makes a new folder in dir, as os.MkdirTemp does.
func MkdirTemp(dir, pattern string) (string, error) {
	return unique(dir, pattern, func(name string) error { return Mkdir(name, 0o700) })
}

// Rename gives from the name to, replacing a file that has it.
func Rename(from, to string) error {
	return run(Op{Kind: OpRename, Path: from, To: to}, func() error { return two(from, to, os.Rename, (*os.Root).Rename) })
}

// Exchange swaps two names in one step. Where the system or the file system cannot, the error is
// errors.ErrUnsupported and nothing has changed.
func Exchange(a, b string) error {
	err := run(Op{Kind: OpExchange, Path: a, To: b}, func() error { return two(a, b, exchange, exchangeIn) })
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// Link gives the file from a second name.
func Link(from, to string) error {
	return run(Op{Kind: OpLink, Path: from, To: to}, func() error { return two(from, to, os.Link, (*os.Root).Link) })
}

// Symlink makes the link at, which leads to target.
func Symlink(target, at string) error {
	return run(Op{Kind: OpSymlink, Path: at, To: target}, func() error {
		return named(at, func(n string) error { return os.Symlink(target, n) }, func(r *os.Root, n string) error { return r.Symlink(target, n) })
	})
}

// Remove removes a file or an empty folder.
func Remove(name string) error {
	return run(Op{Kind: OpRemove, Path: name}, func() error { return named(name, os.Remove, (*os.Root).Remove) })
}

// RemoveAll removes a file or a folder with all it holds; where there is none, that is no error.
func RemoveAll(name string) error {
	if !isWatched() {
		return named(name, os.RemoveAll, (*os.Root).RemoveAll)
	}
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := RemoveAll(filepath.Join(name, e.Name())); err != nil {
				return err
			}
		}
	}
	return Remove(name)
}

// SyncDir flushes the entries of a folder to stable storage, so that what was made, renamed or removed in
// it outlives a power cut. On Windows, where FlushFileBuffers refuses a folder's handle, it does nothing:
// NTFS journals names itself.
func SyncDir(dir string) error {
	if err := run(Op{Kind: OpSyncDir, Path: dir}, func() error { return syncDir(dir) }); err != nil {
		return fmt.Errorf("flush folder: %w", err)
	}
	return nil
}

// unique tries names made of a pattern, whose last "*" stands for a random number, until create takes one.
func unique(dir, pattern string, create func(name string) error) (string, error) {
	before, after := pattern, ""
	if i := strings.LastIndexByte(pattern, '*'); i >= 0 {
		before, after = pattern[:i], pattern[i+1:]
	}
	for tries := 0; ; tries++ {
		name := filepath.Join(dir, before+strconv.FormatUint(uint64(rand.Uint32()), 10)+after)
		switch err := create(name); {
		case err == nil:
			return name, nil
		case !errors.Is(err, fs.ErrExist) || tries == 10000:
			return "", err
		}
	}
}
