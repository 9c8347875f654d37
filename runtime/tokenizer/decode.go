package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// parseDecoder reads a decoder, which is one step from tokens to text or a sequence of them.
func parseDecoder(raw json.RawMessage) (stage, error) {
	kind, err := typeOf(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "":
		return spaced, nil
	case "ByteLevel":
		return byteLevel, nil
	case "ByteFallback":
		return byteFallback, nil
	case "Fuse":
		return fuse, nil
	case "Replace":
		from, to, err := parseReplace(raw)
		if err != nil {
			return nil, err
		}
		return replace(from, to), nil
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
		stages := make([]stage, len(c.Decoders))
		for i, r := range c.Decoders {
			if stages[i], err = parseDecoder(r); err != nil {
				return nil, fmt.Errorf("decoders[%d]: %w", i, err)
			}
		}
		return sequence(stages), nil
	}
	return nil, unsupported(kind)
}

func hexByte(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	v, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(v), err == nil
}

func parseStrip(raw json.RawMessage) (stage, error) {
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
	return strip(c.Content, c.Start, c.Stop), nil
}

func parseMetaspaceDecoder(raw json.RawMessage) (stage, error) {
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
	return metaspace(c.Replacement, scheme != "never"), nil
}
