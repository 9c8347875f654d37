package tokenizer

import (
	"encoding/json"
	"fmt"
)

// template says which ids go before and after those of a text.
type template struct {
	before, after []int
}

// parse adds what the post_processor raw describes to t. known reports whether
// an id belongs to a token.
func (t *template) parse(raw json.RawMessage, known func(int) bool) error {
	kind, err := typeOf(raw)
	if err != nil || kind == "" {
		return err
	}
	switch kind {
	case "ByteLevel": // moves offsets only, which are not kept
		return nil
	case "Sequence":
		var c struct {
			Processors []json.RawMessage `json:"processors"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return err
		}
		for i, r := range c.Processors {
			if err := t.parse(r, known); err != nil {
				return fmt.Errorf("processors[%d]: %w", i, err)
			}
		}
		return nil
	case "TemplateProcessing":
		return t.parseTemplate(raw, known)
	}
	return unsupported(kind)
}

func (t *template) parseTemplate(raw json.RawMessage, known func(int) bool) error {
	type ref struct {
		ID string `json:"id"`
	}
	var c struct {
		Single []struct {
			SpecialToken *ref
			Sequence     *ref
		} `json:"single"`
		SpecialTokens map[string]struct {
			IDs []int `json:"ids"`
		} `json:"special_tokens"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	var before, after []int
	seen := false
	for i, part := range c.Single {
		switch {
		case part.Sequence != nil && part.Sequence.ID == "A" && !seen:
			seen = true
		case part.SpecialToken != nil:
			special, ok := c.SpecialTokens[part.SpecialToken.ID]
			if !ok {
				return fmt.Errorf("single[%d]: %q is not in special_tokens", i, part.SpecialToken.ID)
			}
			for _, id := range special.IDs {
				if !known(id) {
					return fmt.Errorf("special_tokens: %q has id %d, which no token has", part.SpecialToken.ID, id)
				}
			}
			if seen {
				after = append(after, special.IDs...)
			} else {
				before = append(before, special.IDs...)
			}
		default:
			return fmt.Errorf("single[%d] is neither a special token nor the one sequence A", i)
		}
	}
	if !seen {
		return fmt.Errorf("single has no sequence A")
	}
	t.before = append(before, t.before...)
	t.after = append(t.after, after...)
	return nil
}
