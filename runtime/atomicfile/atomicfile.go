// Package atomicfile writes files that are either whole or not there: the
// content goes to a temporary file in the target's folder, is flushed to disk,
// and takes the target's name in one rename.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"triality/runtime/disk"
)

// Suffix ends the name of every temporary file this package makes, so that
// RemoveStale can tell the leftovers of a killed process from other files.
const Suffix = ".triality-tmp"

// WriteFile replaces path with what write produces. A reader of path sees the
// old content or the new one, never a part. When WriteFile returns nil the
// content and the name are on stable storage (on Windows: the content; a folder
// cannot be flushed there). On any error, a panic in write included, the
// temporary file is removed and path is untouched; the one exception is a failed
// flush of the folder, where path holds the new content but the rename may not
// outlive a power cut.
//
// perm is the permission of the new file, applied exactly (no umask). The folder
// of path must exist. A symbolic link at path is replaced, not followed.
func WriteFile(path string, perm fs.FileMode, write func(io.Writer) error) error {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := disk.CreateTemp(dir, "."+name+".*"+Suffix)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp := f.Name()
	renamed := false
	defer func() {
		if !renamed {
			f.Close() // a second Close only returns an error
			disk.Remove(tmp)
		}
	}()
	if err := fill(f, perm, write); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := disk.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	renamed = true
	if err := disk.SyncDir(dir); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func fill(f *disk.File, perm fs.FileMode, write func(io.Writer) error) error {
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// Close before the rename: Windows does not rename an open file.
	return f.Close()
}

// RemoveStale deletes the temporary files that a killed process left in dir
// (not in its subfolders) and returns their names. Call it only while no other
// process writes to dir: a file being written looks the same as a leftover.
func RemoveStale(dir string) ([]string, error) {
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("remove stale files: %w", err)
	}
	var removed []string
	var failed error
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || !strings.HasPrefix(name, ".") || !strings.HasSuffix(name, Suffix) {
			continue
		}
		if err := disk.Remove(filepath.Join(dir, name)); err != nil {
			failed = errors.Join(failed, fmt.Errorf("remove stale files: %w", err))
			continue
		}
		removed = append(removed, name)
	}
	return removed, failed
}
