package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder is one step from tokens to text; the last step's tokens are joined.
type decoder func([]string) []string

func parseDecoder(raw json.RawMessage) (decoder, error) {
	kind, err := typeOf(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "": // without a decoder, tokens are joined by spaces
		return func(toks []string) []string { return []string{strings.Join(toks, " ")} }, nil
	case "ByteLevel":
		return decodeByteLevel, nil
	case "ByteFallback":
		return decodeByteFallback, nil
	case "Fuse":
		return func(toks []string) []string { return []string{strings.Join(toks, "")} }, nil
	case "Replace":
		from, to, err := parseReplace(raw)
		if err != nil {
			return nil, err
		}
		return eachToken(func(s string) string { return strings.ReplaceAll(s, from, to) }), nil
	case "Strip":
		return parseStrip(raw)
	case "Metaspace":
		return parseMetaspaceDecoder(raw)
	case "Sequence":
		var c struct {
			Decoders []json.RawMessage `json:"decoders"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		steps := make([]decoder, len(c.Decoders))
		for i, r := range c.Decoders {
			if steps[i], err = parseDecoder(r); err != nil {
				return nil, fmt.Errorf("decoders[%d]: %w", i, err)
			}
		}
		return func(toks []string) []string {
			for _, d := range steps {
				toks = d(toks)
			}
			return toks
		}, nil
	}
	return nil, unsupported(kind)
}

func eachToken(f func(string) string) decoder {
	return func(toks []string) []string {
		out := make([]string, len(toks))
		for i, t := range toks {
			out[i] = f(t)
		}
		return out
	}
}

func decodeByteLevel(toks []string) []string {
	var b []byte
	for _, t := range toks {
		b = appendUnmapped(b, t)
	}
	return []string{lossy(b)}
}

// decodeByteFallback turns each run of <0xNN> tokens into the text their bytes
// are, or, where they are no UTF-8, into one U+FFFD a byte.
func decodeByteFallback(toks []string) []string {
	var out []string
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			for range run {
				out = append(out, "\ufffd")
			}
		}
		run = run[:0]
	}
	for _, t := range toks {
		if b, ok := hexByte(t); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

func hexByte(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	v, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(v), err == nil
}

func parseStrip(raw json.RawMessage) (decoder, error) {
	var c struct {
		Content string `json:"content"`
		Start   int    `json:"start"` // the most characters cut from each side
		Stop    int    `json:"stop"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(c.Content) != 1 || c.Start < 0 || c.Stop < 0 {
		return nil, fmt.Errorf("decoder Strip: content %q, start %d, stop %d", c.Content, c.Start, c.Stop)
	}
	return eachToken(func(s string) string {
		for i := 0; i < c.Start && strings.HasPrefix(s, c.Content); i++ {
			s = s[len(c.Content):]
		}
		for i := 0; i < c.Stop && strings.HasSuffix(s, c.Content); i++ {
			s = s[:len(s)-len(c.Content)]
		}
		return s
	}), nil
}

func parseMetaspaceDecoder(raw json.RawMessage) (decoder, error) {
	var c struct {
		Replacement    string `json:"replacement"`
		PrependScheme  string `json:"prepend_scheme"`
		AddPrefixSpace *bool  `json:"add_prefix_space"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	scheme, err := prependScheme(c.Replacement, c.PrependScheme, c.AddPrefixSpace)
	if err != nil {
		return nil, err
	}
	return func(toks []string) []string {
		out := make([]string, len(toks))
		for i, t := range toks {
			to := " "
			if i == 0 && scheme != "never" {
				to = "" // the mark that was put before the text
			}
			out[i] = strings.ReplaceAll(t, c.Replacement, to)
		}
		return out
	}, nil
}
