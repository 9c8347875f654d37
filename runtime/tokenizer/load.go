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
	"os"
	"path/filepath"

	"triality/runtime/atomicfile"
)

const (
	tokenizerName = "tokenizer.json"
	configName    = "tokenizer_config.json"
	templateName  = "chat_template.jinja"
)

// files are the texts a tokenizer was made from; nil where a file is absent.
type files struct {
	tokenizer, config, template []byte
	hash                        string
}

// Load reads a tokenizer from a folder that holds a tokenizer.json, or from that
// file itself. tokenizer_config.json and chat_template.jinja beside it are read
// where they exist. A feature this package lacks is an error that is
// ErrUnsupported and names the feature and the file.
func Load(path string) (*Tokenizer, error) {
	if st, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	} else if st.IsDir() {
		path = filepath.Join(path, tokenizerName)
	}
	var f files
	var err error
	if f.tokenizer, err = os.ReadFile(path); err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	dir := filepath.Dir(path)
	if f.config, err = readOptional(filepath.Join(dir, configName)); err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	if f.template, err = readOptional(filepath.Join(dir, templateName)); err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	return build(f, path, filepath.Join(dir, configName))
}

func readOptional(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// build makes the tokenizer; the names are for errors.
func build(f files, tokenizerPath, configPath string) (*Tokenizer, error) {
	t, err := parse(f.tokenizer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerPath, err)
	}
	if f.config != nil {
		if err := t.readConfig(f.config); err != nil {
			return nil, fmt.Errorf("%s: %w", configPath, err)
		}
	}
	if f.template != nil {
		t.config.templates = map[string]string{"default": string(f.template)}
	}
	sum := sha256.Sum256(f.tokenizer)
	f.hash = hex.EncodeToString(sum[:])
	t.files = f
	return t, nil
}

// Save writes the tokenizer's files into the folder dir, which it makes where
// needed: byte for byte those it was loaded from, or those of the training.
func (t *Tokenizer) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save tokenizer: %w", err)
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{tokenizerName, t.files.tokenizer}, {configName, t.files.config}, {templateName, t.files.template}} {
		if f.text == nil {
			continue
		}
		err := atomicfile.WriteFile(filepath.Join(dir, f.name), 0o644, func(w io.Writer) error {
			_, err := w.Write(f.text)
			return err
		})
		if err != nil {
			return fmt.Errorf("save tokenizer: %w", err)
		}
	}
	return nil
}

// config is what tokenizer_config.json says; ids are -1 where it names no token.
type config struct {
	bos, eos, pad, unk int
	templates          map[string]string // chat templates by name
	special            map[string]string // special tokens by their names in the file
}

func (t *Tokenizer) readConfig(raw []byte) error {
	var c struct {
		BOS          json.RawMessage `json:"bos_token"`
		EOS          json.RawMessage `json:"eos_token"`
		PAD          json.RawMessage `json:"pad_token"`
		UNK          json.RawMessage `json:"unk_token"`
		ChatTemplate json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	t.config.special = map[string]string{}
	for _, f := range []struct {
		name string
		raw  json.RawMessage
		id   *int
	}{
		{"bos_token", c.BOS, &t.config.bos}, {"eos_token", c.EOS, &t.config.eos},
		{"pad_token", c.PAD, &t.config.pad}, {"unk_token", c.UNK, &t.config.unk},
	} {
		content, err := tokenContent(f.raw)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if content == "" {
			continue
		}
		id, ok := t.TokenID(content)
		if !ok {
			return fmt.Errorf("%s: %q is no token of %s", f.name, content, tokenizerName)
		}
		*f.id = id
		t.config.special[f.name] = content
	}
	var err error
	t.config.templates, err = chatTemplates(c.ChatTemplate)
	return err
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
