package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// cutter cuts a piece of text into smaller ones and hands each to emit, in
// order. first is true for the piece that the text begins with.
type cutter func(s string, first bool, emit func(s string, first bool))

// preTokenizer cuts text into the words that the model sees one at a time.
type preTokenizer struct {
	steps []cutter
	// byteLevel: words are to be written in the byte-level alphabet.
	byteLevel bool
}

// words hands the words of s to emit.
func (p *preTokenizer) words(s string, first bool, emit func(string)) {
	p.from(0, s, first, emit)
}

func (p *preTokenizer) from(step int, s string, first bool, emit func(string)) {
	if s == "" {
		return
	}
	if step == len(p.steps) {
		emit(s)
		return
	}
	p.steps[step](s, first, func(s string, first bool) { p.from(step+1, s, first, emit) })
}

// parse adds what raw describes to p.
func (p *preTokenizer) parse(raw json.RawMessage) error {
	kind, err := typeOf(raw)
	if err != nil || kind == "" {
		return err
	}
	if p.byteLevel {
		return fmt.Errorf("%s after ByteLevel: %w", kind, ErrUnsupported)
	}
	var step cutter
	switch kind {
	case "Sequence":
		var c struct {
			PreTokenizers []json.RawMessage `json:"pretokenizers"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return err
		}
		for i, r := range c.PreTokenizers {
			if err := p.parse(r); err != nil {
				return fmt.Errorf("pretokenizers[%d]: %w", i, err)
			}
		}
		return nil
	case "ByteLevel":
		return p.parseByteLevel(raw)
	case "Split":
		step, err = parseSplit(raw)
	case "Digits":
		step, err = parseDigits(raw)
	case "Metaspace":
		step, err = parseMetaspace(raw)
	default:
		return unsupported(kind)
	}
	if err != nil {
		return err
	}
	p.steps = append(p.steps, step)
	return nil
}

func (p *preTokenizer) parseByteLevel(raw json.RawMessage) error {
	c := struct {
		AddPrefixSpace bool `json:"add_prefix_space"`
		UseRegex       bool `json:"use_regex"`
	}{AddPrefixSpace: true, UseRegex: true} // the format's defaults
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	if c.AddPrefixSpace {
		p.steps = append(p.steps, func(s string, first bool, emit func(string, bool)) {
			if s[0] != ' ' {
				s = " " + s
			}
			emit(s, first)
		})
	}
	if c.UseRegex {
		p.steps = append(p.steps, splitters[gpt2Pattern].cut)
	}
	p.byteLevel = true
	return nil
}

// cut is the splitter as a cutter.
func (p splitter) cut(s string, first bool, emit func(string, bool)) {
	for s != "" {
		n := p.next(s)
		emit(s[:n], first)
		s, first = s[n:], false
	}
}

func parseSplit(raw json.RawMessage) (cutter, error) {
	var c struct {
		Pattern struct {
			String *string
			Regex  *string
		} `json:"pattern"`
		Behavior string `json:"behavior"`
		Invert   bool   `json:"invert"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if c.Pattern.Regex == nil {
		return nil, unsupported("Split by a string")
	}
	p, ok := splitters[*c.Pattern.Regex]
	if !ok {
		return nil, unsupported(fmt.Sprintf("Split pattern %q", *c.Pattern.Regex))
	}
	// The known patterns match every character, so keeping the matches and
	// removing what lies between them is the same as cutting around them.
	if !(c.Behavior == "Isolated" && !c.Invert || c.Behavior == "Removed" && c.Invert) {
		return nil, unsupported(fmt.Sprintf("Split behavior %q with invert %v", c.Behavior, c.Invert))
	}
	return p.cut, nil
}

func parseDigits(raw json.RawMessage) (cutter, error) {
	var c struct {
		Individual bool `json:"individual_digits"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	return func(s string, first bool, emit func(string, bool)) {
		for s != "" {
			r, n := utf8.DecodeRuneInString(s)
			digit := isNumber(r)
			for n < len(s) && !(digit && c.Individual) {
				r, size := utf8.DecodeRuneInString(s[n:])
				if isNumber(r) != digit {
					break
				}
				n += size
			}
			emit(s[:n], first)
			s, first = s[n:], false
		}
	}, nil
}

func parseMetaspace(raw json.RawMessage) (cutter, error) {
	var c struct {
		Replacement    string `json:"replacement"`
		PrependScheme  string `json:"prepend_scheme"`
		AddPrefixSpace *bool  `json:"add_prefix_space"` // before prepend_scheme
		Split          *bool  `json:"split"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	scheme, err := prependScheme(c.Replacement, c.PrependScheme, c.AddPrefixSpace)
	if err != nil {
		return nil, err
	}
	mark := c.Replacement
	return func(s string, first bool, emit func(string, bool)) {
		s = strings.ReplaceAll(s, " ", mark)
		if (scheme == "always" || scheme == "first" && first) && !strings.HasPrefix(s, mark) {
			s = mark + s
		}
		if c.Split != nil && !*c.Split {
			emit(s, first)
			return
		}
		for s != "" { // each mark begins a word
			n := len(s)
			if i := strings.Index(s[1:], mark); i >= 0 {
				n = 1 + i
			}
			emit(s[:n], first)
			s, first = s[n:], false
		}
	}, nil
}

// prependScheme checks the fields that the Metaspace pre-tokenizer and decoder
// share and says when a mark is put before the text: always, first or never.
func prependScheme(replacement, scheme string, addPrefixSpace *bool) (string, error) {
	if utf8.RuneCountInString(replacement) != 1 {
		return "", fmt.Errorf("pre-tokenizer Metaspace: replacement %q is not one character", replacement)
	}
	if addPrefixSpace != nil && !*addPrefixSpace {
		if scheme != "" && scheme != "never" {
			return "", fmt.Errorf("pre-tokenizer Metaspace: add_prefix_space is false, prepend_scheme is %q", scheme)
		}
		return "never", nil
	}
	switch scheme {
	case "":
		return "always", nil
	case "always", "first", "never":
		return scheme, nil
	}
	return "", unsupported(fmt.Sprintf("Metaspace prepend_scheme %q", scheme))
}
