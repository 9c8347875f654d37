package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// WriteFolder makes the folder out with what fill puts into it, whole or not at all: fill gets a
// temporary folder beside out, which takes out's name once it is on stable storage; parents are made
// where needed. An out that is there is replaced, and stays as it was when anything fails. What a
// killed call left is removed by the next for the same out; two must not run at once.
//
// A power cut between the two renames of a replacement leaves neither the old folder nor the new one
// under out's name.
func WriteFolder(out string, fill func(dir string) error) (err error) {
	parent, base := filepath.Split(filepath.Clean(out))
	if parent == "" {
		parent = "."
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	prefix := "." + base + "."
	if err := removeFolders(parent, prefix); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, prefix+"*"+Suffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := fill(tmp); err != nil {
		return err
	}
	if err := SyncDir(tmp); err != nil {
		return err
	}
	old := tmp + ".old" + Suffix
	if err := os.Rename(out, old); errors.Is(err, fs.ErrNotExist) {
		old = ""
	} else if err != nil {
		return err
	}
	if err := os.Rename(tmp, out); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, out))
		}
		return err
	}
	if old == "" {
		return SyncDir(parent)
	}
	return errors.Join(SyncDir(parent), os.RemoveAll(old))
}

// removeFolders removes the temporary folders that a killed process left.
func removeFolders(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), Suffix) {
			if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
