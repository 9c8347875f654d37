package gguf

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"triality/runtime/tokenizer"
)

// step is one component of a normalizer or pre-tokenizer, with the fields that matter here.
type step struct {
	Type           string `json:"type"`
	Normalizers    []step `json:"normalizers"`
	PreTokenizers  []step `json:"pretokenizers"`
	Prepend        string `json:"prepend"`
	Content        string `json:"content"`
	AddPrefixSpace *bool  `json:"add_prefix_space"`
	Individual     bool   `json:"individual_digits"`
	UseRegex       *bool  `json:"use_regex"`
	Scheme         string `json:"prepend_scheme"`
	Pattern        struct {
		String *string
		Regex  *string
	} `json:"pattern"`
}

// flat is the step, or the steps of a sequence in order.
func (s step) flat() []step {
	if s.Type != "Sequence" {
		return []step{s}
	}
	var list []step
	for _, inner := range append(s.Normalizers, s.PreTokenizers...) {
		list = append(list, inner.flat()...)
	}
	return list
}

// steps lists what is done to text before the merges: normalizers, then pre-tokenizers.
func (f *tokenizerFile) steps() ([]step, error) {
	var list []step
	for _, part := range []struct {
		name string
		raw  json.RawMessage
	}{{"normalizer", f.Normalizer}, {"pre_tokenizer", f.PreTokenizer}} {
		if len(part.raw) == 0 || string(part.raw) == "null" {
			continue
		}
		var s step
		if err := json.Unmarshal(part.raw, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		list = append(list, s.flat()...)
	}
	return list, nil
}

// setModel finds llama.cpp's tokenizer that does these steps, or says which it lacks.
func (v *vocabulary) setModel(f *tokenizerFile, steps []step) error {
	pattern := ""
	for _, s := range steps {
		switch s.Type {
		case "ByteLevel":
			v.model = "gpt2"
			if s.AddPrefixSpace == nil || *s.AddPrefixSpace {
				return errors.New("pre_tokenizer ByteLevel has add_prefix_space, which llama.cpp's byte-level tokenizer has not")
			}
			if s.UseRegex == nil || *s.UseRegex {
				if pattern == "Digits" {
					pattern = "Digits, ByteLevel"
					continue
				}
				if pattern != "" {
					return errors.New("pre_tokenizer cuts text by a Split pattern and by ByteLevel's own, which llama.cpp has not")
				}
				pattern = "ByteLevel"
			}
		case "Split":
			if s.Pattern.Regex == nil || pattern != "" {
				return errors.New("pre_tokenizer has a Split that llama.cpp has not")
			}
			pattern = *s.Pattern.Regex
		case "Digits":
			if !s.Individual || pattern != "" {
				return errors.New("pre_tokenizer Digits does something else than cutting every digit off first, which llama.cpp has not")
			}
			pattern = "Digits"
		case "NFC":
			v.notes = append(v.notes, "llama.cpp does not bring text to Unicode's NFC first: decomposed characters get other ids there")
		case "Prepend":
			v.prefix = s.Prepend == "▁"
		case "Replace":
			if s.Pattern.String == nil || *s.Pattern.String != " " || s.Content != "▁" {
				return errors.New("normalizer Replace does something else than writing spaces as ▁, which llama.cpp has not")
			}
		case "Metaspace":
			v.prefix = s.Scheme == "always" || s.Scheme == "first" || s.Scheme == "" && (s.AddPrefixSpace == nil || *s.AddPrefixSpace)
		default:
			return fmt.Errorf("%s, a step of the tokenizer, is one that llama.cpp has not", s.Type)
		}
	}
	if v.model != "gpt2" {
		if !f.Model.ByteFallback || f.Model.IgnoreMerges || pattern != "" {
			return errors.New("neither byte-level BPE nor BPE with byte_fallback: llama.cpp has no such tokenizer")
		}
		v.model, v.pre = "llama", "default"
		return nil
	}
	type key struct {
		pattern      string
		ignoreMerges bool
	}
	pre, ok := map[key]string{
		{tokenizer.Qwen2Pattern, false}:  "qwen2",
		{tokenizer.Llama3Pattern, true}:  "llama-bpe",
		{tokenizer.Llama3Pattern, false}: "smaug-bpe",
		{tokenizer.GPT4oPattern, false}:  "gpt-4o",
		{tokenizer.TekkenPattern, true}:  "tekken",
		{"ByteLevel", false}:             "gpt-2",
		{"Digits, ByteLevel", false}:     "refact", // Granite 3's
	}[key{pattern, f.Model.IgnoreMerges}]
	if !ok {
		return fmt.Errorf("pre_tokenizer pattern %q with ignore_merges %v is one that llama.cpp has not", pattern, f.Model.IgnoreMerges)
	}
	v.pre = pre
	return nil
}

// merges reads model.merges in either spelling: "left right" or ["left", "right"].
func (f *tokenizerFile) merges() ([][2]string, error) {
	list := make([][2]string, len(f.Model.Merges))
	for i, raw := range f.Model.Merges {
		var two []string
		if raw[0] == '"' {
			var line string
			if err := json.Unmarshal(raw, &line); err != nil {
				return nil, fmt.Errorf("model.merges[%d]: %w", i, err)
			}
			two = strings.Split(line, " ")
		} else if err := json.Unmarshal(raw, &two); err != nil {
			return nil, fmt.Errorf("model.merges[%d]: %w", i, err)
		}
		if len(two) != 2 {
			return nil, fmt.Errorf("model.merges[%d] has %d tokens, want 2", i, len(two))
		}
		list[i] = [2]string{two[0], two[1]}
	}
	return list, nil
}
