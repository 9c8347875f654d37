// Package modelfiles says which files of a model's folder belong to the model beside its configuration
// and weights. Whoever writes a model made of another one copies them with Copy, so that no writer
// forgets one.
package modelfiles

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// TemplateFolder holds chat templates besides the default one.
const TemplateFolder = "additional_chat_templates"

// Patterns name the files that belong to a model, in the syntax of path.Match, relative to its folder. A
// README is not among them: it is what its author says of the model as published, with figures that
// hold for no model made of it.
var Patterns = []string{
	"generation_config.json",
	// tokenizers, in every form that transformers reads
	"tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
	"tokenizer.model*", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "*.tiktoken",
	"chat_template.jinja", "chat_template.json", TemplateFolder + "/*.jinja",
	"preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json",
	// what auto_map in config.json names
	"configuration_*.py", "modeling_*.py", "tokenization_*.py", "processing_*.py", "image_processing_*.py",
	// terms that hold for derived models too
	"LICENSE*", "LICENCE*", "License*", "NOTICE*", "COPYING*", "USE_POLICY*",
}

// Belongs says whether a file, by its path in the model's folder with slashes, goes with the model.
func Belongs(name string) bool {
	return slices.ContainsFunc(Patterns, func(p string) bool {
		ok, _ := path.Match(strings.ToLower(p), strings.ToLower(name))
		return ok
	})
}

// List gives the files of a model's folder that belong to the model, in order, with slashes.
func List(dir string) ([]string, error) {
	var names []string
	for _, sub := range []string{"", TemplateFolder} {
		entries, err := disk.ReadDir(filepath.Join(dir, sub))
		if sub != "" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := path.Join(sub, e.Name())
			if !Belongs(name) {
				continue
			}
			info, err := disk.Stat(filepath.Join(dir, filepath.FromSlash(name))) // a cache's snapshot is a folder of links
			if err != nil {
				return nil, err
			}
			if info.Mode().IsRegular() {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// Copy copies the files that belong to the model in from, but for those of the names except.
func Copy(from, to string, except ...string) error {
	names, err := List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(except, name) {
			continue
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		if dir := filepath.Dir(target); dir != filepath.Clean(to) {
			if err := disk.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		if err := atomicfile.CopyFile(filepath.Join(from, filepath.FromSlash(name)), target); err != nil {
			return err
		}
	}
	return nil
}
