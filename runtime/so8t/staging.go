package so8t

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"triality/runtime/atomicfile"
)

// carried are the files that go with a model unchanged: tokenizer, chat template, generation defaults.
var carried = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
	"tokenizer.model", "chat_template.jinja", "chat_template.json", "generation_config.json",
}

// made are the files that this package writes itself.
var made = []string{configFile, weightsFile, replacementFile, moduleFile}

// stage fills a temporary folder beside out and gives it out's name once it is whole and on disk. An
// out that is there is replaced where it holds nothing but a model's files.
func stage(out string, fill func(dir string) error) (err error) {
	parent, base := filepath.Split(filepath.Clean(out))
	if parent == "" {
		parent = "."
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	exists := err == nil
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !slices.Contains(carried, name) && !slices.Contains(made, name) && !strings.HasSuffix(name, atomicfile.Suffix) {
			return fmt.Errorf("output folder %s holds %s, which is no file of a model: use an empty or new folder", out, name)
		}
	}
	prefix := "." + base + "."
	if err := removeStale(parent, prefix); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, prefix+"*"+atomicfile.Suffix)
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
	if err := atomicfile.SyncDir(tmp); err != nil {
		return err
	}
	if exists {
		old := tmp + ".old" + atomicfile.Suffix
		if err := os.Rename(out, old); err != nil {
			return err
		}
		if err := os.Rename(tmp, out); err != nil {
			return errors.Join(err, os.Rename(old, out))
		}
		return errors.Join(atomicfile.SyncDir(parent), os.RemoveAll(old))
	}
	if err := os.Rename(tmp, out); err != nil {
		return err
	}
	return atomicfile.SyncDir(parent)
}

// removeStale removes the temporary folders that a killed process left.
func removeStale(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), atomicfile.Suffix) {
			if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// carry copies the carried files that from has.
func carry(from, to string) error {
	for _, name := range carried {
		in, err := os.Open(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = atomicfile.WriteFile(filepath.Join(to, name), 0o644, func(w io.Writer) error {
			_, err := io.Copy(w, in)
			return err
		})
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}

// writeBytes writes a whole small file.
func writeBytes(path string, data []byte) error {
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
