// Package dataset turns four-class JSONL files into a Hugging Face dataset: it reads and checks rows,
// finds near-duplicates, splits by group, renders prompts and tokenizes.
package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
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
	Label       string  // four_class_label: one of experiments.Labels
	Domain      string  // domain_label
	Safety      string  // safety_label
	Thinking    string  // thinking_format
	Group       string  // source_sample; rows that share it never straddle splits
	Language    string  // "en", "ja", or what the row says
	Extra       []Field // fields the schema does not know, by name

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

// Get is the value of a field that the schema does not know.
func (r *Row) Get(name string) (Value, bool) {
	i, ok := slices.BinarySearchFunc(r.Extra, name, func(f Field, name string) int { return strings.Compare(f.Name, name) })
	if !ok {
		return Value{}, false
	}
	return r.Extra[i].Value, true
}

// ParseRow reads one JSON line. The error names the field and the mend, not the file.
func ParseRow(line []byte) (Row, error) { return (&parser{}).row(line) }

// parser reads rows. What many rows repeat it keeps once.
type parser struct {
	kept  map[string]string
	names []string // of the row
	extra []Field
}

// keep is the text in a place that others of the same text share.
func (p *parser) keep(text string) string {
	const most, longest = 2048, 4096
	if kept, ok := p.kept[text]; ok {
		return kept
	}
	if len(p.kept) < most && len(text) <= longest {
		if p.kept == nil {
			p.kept = map[string]string{}
		}
		p.kept[text] = text
	}
	return text
}

// unique are the fields that few rows share.
func unique(name string) bool { return name == "input" || name == "source_sample" }

func (p *parser) row(line []byte) (Row, error) {
	if !utf8.Valid(line) {
		return Row{}, fmt.Errorf("is not valid UTF-8: save the file as UTF-8")
	}
	if !json.Valid(line) {
		var any json.RawMessage
		return Row{}, fmt.Errorf("is not a JSON object: %w", json.Unmarshal(line, &any))
	}
	line = bytes.TrimSpace(line)
	switch {
	case string(line) == "null":
		return Row{}, fmt.Errorf("is not a JSON object: it is null")
	case line[0] != '{':
		return Row{}, fmt.Errorf("is not a JSON object: it is %s", shown(clip(string(line))))
	}
	var r Row
	var faults []fault
	p.names, p.extra = p.names[:0], p.extra[:0]
	err := members(line, func(rawName, raw []byte) error {
		name := p.keep(unquote(rawName))
		if slices.Contains(p.names, name) {
			faults = append(faults, fault{name, "is given twice"})
		}
		p.names = append(p.names, name)
		for _, part := range [][]byte{rawName, raw} {
			if escape, lone := loneSurrogate(part); lone {
				faults = append(faults, fault{name, escape + " is half of a character (a lone surrogate): write both halves, or leave it out"})
			}
		}
		target := r.field(name)
		switch {
		case target == nil:
			p.extra = append(p.extra, Field{name, valueOf(raw)})
		case raw[0] == '"' && unique(name):
			*target = unquote(raw)
		case raw[0] == '"':
			*target = p.keep(unquote(raw))
		case raw[0] != 'n':
			faults = append(faults, fault{name, "want text, have " + shown(clip(string(raw)))})
		}
		return nil
	})
	if err != nil {
		return Row{}, err
	}
	if len(faults) > 0 { // of two faults it is always the same one that is named
		f := slices.MinFunc(faults, func(a, b fault) int { return strings.Compare(a.field, b.field) })
		return Row{}, fmt.Errorf("%s: %s", shown(f.field), f.reason)
	}
	if len(p.extra) > 0 {
		r.Extra = slices.Clone(p.extra)
	}
	slices.SortFunc(r.Extra, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	if err := r.check(); err != nil {
		return Row{}, err
	}
	if r.Language == "" {
		r.Language = guessLanguage(r.Text())
	}
	return r, nil
}

// fault is what is wrong with one field.
type fault struct{ field, reason string }

// check says what keeps the row from being trained or tested on.
func (r *Row) check() error {
	switch {
	case r.Label == "":
		return fmt.Errorf("four_class_label: is missing; it must be one of %s", strings.Join(experiments.Labels, ", "))
	case experiments.LabelIndex(r.Label) < 0:
		return fmt.Errorf("four_class_label: unknown label %q; it must be one of %s", clip(r.Label), strings.Join(experiments.Labels, ", "))
	case strings.TrimSpace(r.Instruction) == "" && strings.TrimSpace(r.Input) == "":
		return fmt.Errorf("instruction, input: both are empty")
	case strings.TrimSpace(r.Output) == "":
		return fmt.Errorf("output: is empty; it is the answer that the model learns")
	}
	return nil
}

// field is where the row keeps a field of the schema, nil where the schema does not know it.
func (r *Row) field(name string) *string {
	for i := range fields {
		if fields[i].name == name {
			return fields[i].at(r)
		}
	}
	return nil
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

// shown is text of a file as it can stand in a message: quoted where it has characters that are not seen, or move what
// is.
func shown(s string) string {
	if q := strconv.QuoteToGraphic(s); strings.ContainsFunc(s, func(c rune) bool { return !strconv.IsGraphic(c) }) {
		return q
	}
	return s
}

func clip(s string) string {
	const limit = 60
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}
