package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"triality/experiments"
	"triality/runtime/disk"
)

// Find lists the files that input names: a file, a folder of four_class_*.jsonl, or a glob pattern. All are
// regular files.
func Find(input string) ([]string, error) {
	info, err := disk.Stat(input)
	if err == nil && !info.IsDir() {
		if err := disk.Regular(input); err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "read rows: %w", err)
		}
		return []string{input}, nil
	}
	pattern := input
	var files []string
	var globErr error
	if err == nil {
		pattern = filepath.Join(input, inFolder)
		files, globErr = filesIn(input)
	} else {
		files, globErr = disk.Glob(pattern)
	}
	if globErr != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "read rows: %q is not a valid pattern: %w", input, globErr)
	}
	if len(files) == 0 {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, experiments.Errorf(experiments.CodeInvalid, "read rows: %w", err)
		}
		return nil, experiments.Errorf(experiments.CodeNotFound, "read rows: no file matches %s", pattern)
	}
	slices.Sort(files)
	for _, name := range files {
		if err := disk.Regular(name); err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "read rows: %w", err)
		}
	}
	return files, nil
}

// inFolder is the pattern of the files of a folder.
const inFolder = "four_class_*.jsonl"

// filesIn lists the files of a folder, whose own name may hold what would be a pattern's.
func filesIn(dir string) (files []string, err error) {
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(inFolder, e.Name()); ok {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// source is a file to read as it is when it is opened.
type source struct {
	*os.File
	name string
	size int64
}

// open opens a regular file.
func open(name string) (*source, error) {
	f, err := disk.OpenRegular(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, experiments.Errorf(experiments.CodeNotFound, "%s: no such file", name)
	}
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "read rows: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(experiments.Errorf(experiments.CodeInvalid, "read rows: %w", err), f.Close())
	}
	return &source{f, name, info.Size()}, nil
}

// grown says what came to the file while it was read, and is not used.
func (s *source) grown() (string, error) {
	info, err := s.Stat()
	switch {
	case err != nil:
		return "", experiments.Errorf(experiments.CodeInvalid, "read rows: %w", err)
	case info.Size() < s.size:
		return "", s.shrunk()
	case info.Size() > s.size:
		return fmt.Sprintf("%s grew while it was read: its first %d bytes are used", s.name, s.size), nil
	}
	return "", nil
}

func (s *source) shrunk() error {
	return experiments.Errorf(experiments.CodeInvalid, "%s became shorter while it was read; read it again when nothing writes to it", s.name)
}

// ReadText reads a whole text file.
func ReadText(name string) ([]byte, error) {
	s, err := open(name)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	text := make([]byte, s.size)
	if _, err := s.ReadAt(text, 0); err != nil && s.size > 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "read %s: %w", name, err)
	}
	return text, nil
}
