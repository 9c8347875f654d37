package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/modelfiles"
)

const (
	tokenizerName  = "tokenizer.json"
	configName     = "tokenizer_config.json"
	specialName    = "special_tokens_map.json"
	addedName      = "added_tokens.json"
	templateName   = "chat_template.jinja"
	templateFolder = modelfiles.TemplateFolder
	templateEnd    = ".jinja"
)

// files are the texts a tokenizer was made from; nil where a file is absent.
type files struct {
	tokenizer, config, special, added, template []byte
	templates                                   map[string][]byte // of templateFolder, by name
	hash                                        string
}

// list gives each file's place: its name in the folder, and the text.
func (f *files) list() []struct {
	name string
	text *[]byte
} {
	return []struct {
		name string
		text *[]byte
	}{{tokenizerName, &f.tokenizer}, {configName, &f.config}, {specialName, &f.special}, {addedName, &f.added}, {templateName, &f.template}}
}

// Load reads a tokenizer from a folder that holds a tokenizer.json, or from that
// file itself. tokenizer_config.json, special_tokens_map.json, added_tokens.json and
// the chat templates beside it are read where they exist. A feature this package lacks,
// or a field that could change a text's tokens, is an error that is
// ErrUnsupported and names the feature and the file.
func Load(path string) (*Tokenizer, error) {
	if st, err := disk.Stat(path); err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	} else if st.IsDir() {
		path = filepath.Join(path, tokenizerName)
	}
	dir := filepath.Dir(path)
	var f files
	for _, file := range f.list() {
		name := filepath.Join(dir, file.name)
		if file.name == tokenizerName {
			name = path
		}
		text, err := disk.ReadRegular(name, disk.MaxText)
		if err != nil && (name == path || !errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("load tokenizer: %w", err)
		}
		*file.text = text
	}
	if err := f.readTemplates(filepath.Join(dir, templateFolder)); err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	return build(f, path)
}

// readTemplates reads the chat templates besides the default one.
func (f *files) readTemplates(dir string) error {
	entries, err := disk.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), templateEnd)
		if !ok {
			continue
		}
		text, err := disk.ReadRegular(filepath.Join(dir, e.Name()), disk.MaxText)
		if err != nil {
			return err
		}
		if f.templates == nil {
			f.templates = map[string][]byte{}
		}
		f.templates[name] = text
	}
	return err
}

// build makes the tokenizer; path is tokenizer.json's, for errors.
func build(f files, path string) (*Tokenizer, error) {
	s, err := readSettings(f)
	if err != nil {
		return nil, fmt.Errorf("%s%c%w", filepath.Dir(path), filepath.Separator, err)
	}
	t, err := assemble(f.tokenizer, s)
	var wrong settingError
	switch {
	case errors.As(err, &wrong):
		return nil, fmt.Errorf("%s: %w", filepath.Join(filepath.Dir(path), configName), wrong.error)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if f.template != nil || f.templates != nil {
		t.config.templates = maps.Clone(t.config.templates)
		if t.config.templates == nil {
			t.config.templates = map[string]string{}
		}
	}
	if f.template != nil { // which stands for all that tokenizer_config.json has
		t.config.templates = map[string]string{"default": string(f.template)}
	}
	for name, text := range f.templates {
		t.config.templates[name] = string(text)
	}
	sum := sha256.Sum256(f.tokenizer)
	f.hash = hex.EncodeToString(sum[:])
	t.files = f
	return t, nil
}

// Save writes the tokenizer's files into the folder dir, which it makes where
// needed: byte for byte those it was loaded from, or those of the training.
func (t *Tokenizer) Save(dir string) error {
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save tokenizer: %w", err)
	}
	write := func(name string, text []byte) error {
		return atomicfile.WriteFile(filepath.Join(dir, name), 0o644, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	for _, f := range t.files.list() {
		if *f.text == nil {
			continue
		}
		if err := write(f.name, *f.text); err != nil {
			return fmt.Errorf("save tokenizer: %w", err)
		}
	}
	if len(t.files.templates) == 0 {
		return nil
	}
	if err := disk.MkdirAll(filepath.Join(dir, templateFolder), 0o755); err != nil {
		return fmt.Errorf("save tokenizer: %w", err)
	}
	for name, text := range t.files.templates {
		if err := write(filepath.Join(templateFolder, name+templateEnd), text); err != nil {
			return fmt.Errorf("save tokenizer: %w", err)
		}
	}
	return nil
}

// config is what the files beside tokenizer.json say; ids are -1 where they name no token.
type config struct {
	bos, eos, pad, unk int
	templates          map[string]string // chat templates by name
	special            map[string]string // special tokens by their names in the file
}

// tokenContent reads a token written as a string or as an object with content.
func tokenContent(raw json.RawMessage) (string, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	if raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	var o struct {
		Content string `json:"content"`
	}
	err := json.Unmarshal(raw, &o)
	return o.Content, err
}

// chatTemplates reads one template, which is the default, or a list of named ones.
func chatTemplates(raw json.RawMessage) (map[string]string, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '[' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("chat_template: %w", err)
		}
		return map[string]string{"default": s}, nil
	}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("chat_template: %w", err)
	}
	out := map[string]string{}
	for i, t := range list {
		if _, twice := out[t.Name]; twice || t.Name == "" {
			return nil, fmt.Errorf("chat_template[%d]: the name %q is empty or taken", i, t.Name)
		}
		out[t.Name] = t.Template
	}
	return out, nil
}
