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

// stage fills a folder as atomicfile.WriteFolder does. An out that is there is replaced where it holds
// nothing but a model's files.
func stage(out string, fill func(dir string) error) error {
	entries, err := os.ReadDir(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !slices.Contains(carried, name) && !slices.Contains(made, name) && !strings.HasSuffix(name, atomicfile.Suffix) {
			return fmt.Errorf("output folder %s holds %s, which is no file of a model: use an empty or new folder", out, name)
		}
	}
	return atomicfile.WriteFolder(out, fill)
}

// carry copies the carried files that from has.
func carry(from, to string) error {
	for _, name := range carried {
		err := atomicfile.CopyFile(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
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
