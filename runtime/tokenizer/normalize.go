package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites a piece of text before it is cut into words. It is nil
// where nothing is rewritten.
type normalizer func(string) string

func parseNormalizer(raw json.RawMessage) (normalizer, error) {
	kind, err := typeOf(raw)
	if err != nil || kind == "" {
		return nil, err
	}
	switch kind {
	case "NFC":
		return form(norm.NFC), nil
	case "NFD":
		return form(norm.NFD), nil
	case "NFKC":
		return form(norm.NFKC), nil
	case "NFKD":
		return form(norm.NFKD), nil
	case "Prepend":
		var c struct {
			Prepend string `json:"prepend"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		return func(s string) string {
			if s == "" {
				return s
			}
			return c.Prepend + s
		}, nil
	case "Replace":
		from, to, err := parseReplace(raw)
		if err != nil {
			return nil, err
		}
		return func(s string) string { return strings.ReplaceAll(s, from, to) }, nil
	case "Sequence":
		var c struct {
			Normalizers []json.RawMessage `json:"normalizers"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		var steps []normalizer
		for i, r := range c.Normalizers {
			n, err := parseNormalizer(r)
			if err != nil {
				return nil, fmt.Errorf("normalizers[%d]: %w", i, err)
			}
			if n != nil {
				steps = append(steps, n)
			}
		}
		return func(s string) string {
			for _, n := range steps {
				s = n(s)
			}
			return s
		}, nil
	}
	return nil, unsupported(kind)
}

// parseReplace reads the String pattern and content that the Replace normalizer
// and the Replace decoder share.
func parseReplace(raw json.RawMessage) (from, to string, err error) {
	var c struct {
		Pattern json.RawMessage `json:"pattern"`
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", "", err
	}
	return replacement(c.Pattern, c.Content)
}

func replacement(pattern, content json.RawMessage) (from, to string, err error) {
	var p struct {
		String *string
		Regex  *string
	}
	if err := unmarshal(pattern, &p); err != nil {
		return "", "", err
	}
	if err := unmarshal(content, &to); err != nil {
		return "", "", err
	}
	switch {
	case p.Regex != nil:
		return "", "", unsupported(fmt.Sprintf("Replace with the regular expression %q", *p.Regex))
	case p.String == nil || *p.String == "":
		return "", "", errors.New("the pattern of Replace is missing or empty")
	}
	return *p.String, to, nil
}

// form is a Unicode normalization form. x/text follows the Stream-Safe Text
// Process (UAX #15, section 13) and inserts U+034F into runs of more than 30
// combining marks, which tokenizers do not; such text takes the slow way.
func form(f norm.Form) normalizer {
	whole := func(s string) string {
		if longMarks(s) {
			return formByDefinition(f, s)
		}
		return f.String(s)
	}
	return func(s string) string {
		if isASCII(s) {
			return s
		}
		// A character without normalization data ends what comes before it and
		// begins what comes after.
		var out strings.Builder
		for {
			i := strings.IndexFunc(s, func(r rune) bool { return r >= 0x7fd && unicode.Is(unknownToReference, r) })
			if i < 0 {
				if out.Len() == 0 {
					return whole(s)
				}
				out.WriteString(whole(s))
				return out.String()
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			out.WriteString(whole(s[:i]))
			out.WriteString(s[i : i+n])
			s = s[i+n:]
		}
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// longMarks reports a run of marks that could decompose into more than 30.
func longMarks(s string) bool {
	const most = 8 // no character decomposes into more than 4 marks
	count := 0
	for i, r := range s {
		if r < 0x300 || norm.NFKD.PropertiesString(s[i:]).LeadCCC() == 0 {
			count = 0
		} else if count++; count >= most {
			return true
		}
	}
	return false
}

// formByDefinition is the algorithm of UAX #15 written out: full decomposition,
// canonical ordering and, for NFC and NFKC, canonical composition.
func formByDefinition(f norm.Form, s string) string {
	decompose, compose := norm.NFD, f == norm.NFC || f == norm.NFKC
	if f == norm.NFKC || f == norm.NFKD {
		decompose = norm.NFKD
	}
	var rs []rune
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		rs = append(rs, []rune(decompose.String(s[i:i+n]))...)
		i += n
	}
	class := make([]uint8, len(rs))
	for i, r := range rs {
		class[i] = norm.NFD.PropertiesString(string(r)).CCC()
	}
	for i := range rs {
		for j := i; j > 0 && class[j] != 0 && class[j-1] > class[j]; j-- {
			rs[j], rs[j-1] = rs[j-1], rs[j]
			class[j], class[j-1] = class[j-1], class[j]
		}
	}
	if !compose {
		return string(rs)
	}
	out, starter := rs[:0], -1
	var lastClass uint8
	for i, r := range rs {
		if starter >= 0 && (starter == len(out)-1 || lastClass < class[i] && lastClass != 0) {
			if c, ok := composePair(out[starter], r); ok {
				out[starter] = c
				continue
			}
		}
		if class[i] == 0 {
			starter = len(out)
		}
		lastClass = class[i]
		out = append(out, r)
	}
	return string(out)
}

// composePair is the primary composite of a and b, where there is one.
func composePair(a, b rune) (rune, bool) {
	c := norm.NFC.String(string(a) + string(b))
	r, n := utf8.DecodeRuneInString(c)
	return r, n == len(c)
}
