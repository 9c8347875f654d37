package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// library is an open shared library.
type library struct {
	handle uintptr
	path   string // the name or path that opened
}

// candidates are the ways to name a library: by name alone, which searches where the system does,
// then in each folder, for one name after the other.
func candidates(names, folders []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, name)
		for _, folder := range folders {
			paths = append(paths, filepath.Join(folder, name))
		}
	}
	return paths
}

// folders are where cuBLASLt is looked for beside the system's own places: next to the program, in
// its lib folder, and where CUDA is usually installed.
func folders() []string {
	var found []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dir := filepath.Dir(exe)
		found = append(found, dir, filepath.Join(dir, "lib"))
	}
	return append(found, systemFolders()...)
}

// openAny opens the first of paths that use accepts. Files that do not exist are not worth a line in
// the error; anything else that went wrong is.
func openAny(paths []string, use func(library) error) error {
	var reasons []error
	for _, path := range paths {
		if filepath.IsAbs(path) {
			if _, err := os.Stat(path); err != nil {
				continue
			}
		}
		handle, err := openLibrary(path)
		if err == nil {
			if err = use(library{handle, path}); err == nil {
				return nil
			}
		}
		reasons = append(reasons, fmt.Errorf("%s: %w", path, err))
	}
	return errors.Join(reasons...)
}

// oneLine joins the lines of an error, for a message that goes on after it.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}

// resolve looks up each named function.
func (l library) resolve(functions map[string]*uintptr) error {
	for name, to := range functions {
		address, err := findSymbol(l.handle, name)
		if err != nil {
			return fmt.Errorf("function %s: %w", name, err)
		}
		*to = address
	}
	return nil
}
