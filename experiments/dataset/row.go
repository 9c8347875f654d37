// Package dataset turns four-class JSONL files into a Hugging Face dataset: it reads and checks rows,
// finds near-duplicates, splits by group, renders prompts and tokenizes.
package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"triality/experiments"
)

// Row is one line of a four-class file.
type Row struct {
	Instruction string
	Input       string
	Output      string
	Label       string            // four_class_label: one of experiments.Labels
	Domain      string            // domain_label
	Safety      string            // safety_label
	Thinking    string            // thinking_format
	Group       string            // source_sample; rows that share it never straddle splits
	Language    string            // "en", "ja", or what the row says
	Extra       map[string]string // fields the schema does not know, as text or JSON

	File string
	Line int
}

// Text is what a reader would say the row is about: used for near-duplicates and baselines.
func (r *Row) Text() string {
	if r.Input == "" {
		return r.Instruction
	}
	return r.Input
}

// ParseRow reads one JSON line. The error names the field and the mend, not the file.
func ParseRow(line []byte) (Row, error) {
	if !utf8.Valid(line) {
		return Row{}, fmt.Errorf("is not valid UTF-8: save the file as UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return Row{}, fmt.Errorf("is not a JSON object: %w", err)
	}
	if fields == nil {
		return Row{}, fmt.Errorf("is not a JSON object: it is null")
	}
	var r Row
	known := map[string]*string{
		"instruction": &r.Instruction, "input": &r.Input, "output": &r.Output,
		"four_class_label": &r.Label, "domain_label": &r.Domain, "safety_label": &r.Safety,
		"thinking_format": &r.Thinking, "source_sample": &r.Group, "language": &r.Language,
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) { // sorted: of two faults it is always the same one that is named
		raw := fields[name]
		target, ok := known[name]
		if !ok {
			if r.Extra == nil {
				r.Extra = map[string]string{}
			}
			r.Extra[name] = extraText(raw)
			continue
		}
		if string(raw) == "null" {
			continue
		}
		if err := json.Unmarshal(raw, target); err != nil {
			return Row{}, fmt.Errorf("%s: want text, have %s", name, clip(string(raw)))
		}
	}
	switch {
	case r.Label == "":
		return Row{}, fmt.Errorf("four_class_label: is missing; it must be one of %s", strings.Join(experiments.Labels, ", "))
	case experiments.LabelIndex(r.Label) < 0:
		return Row{}, fmt.Errorf("four_class_label: unknown label %q; it must be one of %s", clip(r.Label), strings.Join(experiments.Labels, ", "))
	case strings.TrimSpace(r.Instruction) == "" && strings.TrimSpace(r.Input) == "":
		return Row{}, fmt.Errorf("instruction, input: both are empty")
	case strings.TrimSpace(r.Output) == "":
		return Row{}, fmt.Errorf("output: is empty; it is the answer that the model learns")
	}
	if r.Language == "" {
		r.Language = guessLanguage(r.Text())
	}
	return r, nil
}

func extraText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// guessLanguage tells Japanese, by its kana, from everything else.
func guessLanguage(text string) string {
	for _, c := range text {
		if unicode.In(c, unicode.Hiragana, unicode.Katakana) {
			return "ja"
		}
	}
	return "en"
}

func clip(s string) string {
	const limit = 60
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}
