package tokenizer

import (
	"encoding/json"
	"fmt"
)

// A tokenizer.json may come from anyone, and its steps are small programs over text: forty Replace
// steps that double what they find make a terabyte of one letter, and each level of a nested Sequence
// is read out of a copy. These bounds are far beyond what any tokenizer uses.
const (
	maxNesting = 8   // a Sequence in a Sequence
	maxGrowth  = 256 // bytes that a byte of text can become in the Replace steps together
	maxPrepend = 256 // bytes
)

// step is what the bounds need of a normalizer, pre-tokenizer, post-processor or decoder.
type step struct {
	Type    json.RawMessage `json:"type"`
	Prepend json.RawMessage `json:"prepend"`
	Content json.RawMessage `json:"content"`
	Pattern json.RawMessage `json:"pattern"`

	Normalizers   []step `json:"normalizers"`
	PreTokenizers []step `json:"pretokenizers"`
	Processors    []step `json:"processors"`
	Decoders      []step `json:"decoders"`
}

// checkBounds refuses a component that could make far more of a text than the text is long.
func checkBounds(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	var s *step
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return err
	}
	_, err := s.growth(1)
	return err
}

// growth is how many bytes a byte of text can become in s and the steps inside it.
func (s *step) growth(depth int) (float64, error) {
	if depth > maxNesting {
		return 0, unsupported(fmt.Sprintf("a Sequence more than %d deep", maxNesting))
	}
	var kind string
	if err := unmarshal(s.Type, &kind); err != nil {
		return 0, fmt.Errorf("type: %w", err)
	}
	factor := 1.0
	switch kind {
	case "Prepend":
		var text string
		if err := unmarshal(s.Prepend, &text); err != nil {
			return 0, fmt.Errorf("prepend: %w", err)
		}
		if len(text) > maxPrepend {
			return 0, unsupported(fmt.Sprintf("Prepend with %d bytes, more than %d,", len(text), maxPrepend))
		}
	case "Replace":
		from, to, err := replacement(s.Pattern, s.Content)
		if err != nil {
			return 0, err
		}
		factor = max(factor, float64(len(to))/float64(len(from)))
	}
	for _, list := range [][]step{s.Normalizers, s.PreTokenizers, s.Processors, s.Decoders} {
		for i := range list {
			f, err := list[i].growth(depth + 1)
			if err != nil {
				return 0, err
			}
			factor *= f
		}
	}
	if factor > maxGrowth {
		return 0, unsupported(fmt.Sprintf("Replace that makes a text more than %d times as long", maxGrowth))
	}
	return factor, nil
}

func unmarshal(raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, v)
}
