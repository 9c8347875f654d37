package so8t

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"triality/runtime/atomicfile"
	"triality/runtime/modelfiles"
)

// made are the files that this package writes itself.
var made = []string{configFile, weightsFile, replacementFile, moduleFile}

// stage fills a folder as atomicfile.WriteFolder does. An out that is there is replaced where it holds
// nothing but a model's files.
func stage(out string, fill func(dir string) error) error {
	err := filepath.WalkDir(out+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(out, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !slices.Contains(made, name) && !modelfiles.Belongs(name) && !strings.HasSuffix(name, atomicfile.Suffix) {
			return fmt.Errorf("output folder %s holds %s, which is no file of a model: use an empty or new folder", out, name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.WriteFolder(out, fill)
}

// carry copies what goes with a model unchanged, but for what this package writes itself.
func carry(from, to string) error { return modelfiles.Copy(from, to, made...) }

// writeBytes writes a whole small file.
func writeBytes(path string, data []byte) error {
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
