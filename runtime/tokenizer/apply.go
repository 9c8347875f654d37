package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// tokens are tokenizer.json's added tokens with those that the files beside it add. A token that both
// have is as the settings say, but for its id, which must be the same; one that tokenizer.json lacks has the
// id of the settings, which must be free. A special token that is in the vocabulary alone becomes an added
// token, so that it is found in a text before anything is cut.
func (s *settings) tokens(have []addedToken, vocab map[string]int32) ([]addedToken, error) {
	out := slices.Clone(have)
	at, taken := map[string]int{}, map[int]string{}
	if len(s.added) > 0 {
		for content, id := range vocab {
			taken[int(id)] = content
		}
	}
	for i, tok := range out {
		at[tok.Content], taken[tok.ID] = i, tok.Content
	}
	add := func(tok addedToken) {
		at[tok.Content], taken[tok.ID] = len(out), tok.Content
		out = append(out, tok)
	}
	for _, tok := range s.added {
		if i, ok := at[tok.Content]; ok {
			if out[i].ID != tok.ID {
				return nil, fmt.Errorf("token %q has id %d, %s gives it %d", tok.Content, tok.ID, tokenizerName, out[i].ID)
			}
			tok.Special = tok.Special || out[i].Special
			out[i] = tok
			continue
		}
		if id, known := vocab[tok.Content]; known && int(id) != tok.ID {
			return nil, fmt.Errorf("token %q has id %d, %s gives it %d", tok.Content, tok.ID, tokenizerName, id)
		}
		if other, ok := taken[tok.ID]; ok && other != tok.Content {
			return nil, fmt.Errorf("token %q has id %d, which is that of %q", tok.Content, tok.ID, other)
		}
		if most := mostID(len(vocab)); tok.ID < 0 || tok.ID > most {
			return nil, fmt.Errorf("token %q has id %d, too far beyond %d tokens", tok.Content, tok.ID, len(vocab))
		}
		add(tok)
	}
	for _, content := range slices.Concat(s.more, slices.Sorted(maps.Values(s.named))) {
		if _, ok := at[content]; ok {
			continue
		}
		if id, ok := vocab[content]; ok {
			add(addedToken{ID: int(id), Content: content, Special: true})
		}
	}
	for _, content := range s.more {
		if _, ok := at[content]; !ok {
			return nil, fmt.Errorf("additional_special_tokens: %q is no token of %s; add it to added_tokens_decoder with its id", content, tokenizerName)
		}
	}
	return out, nil
}

// apply sets what the settings say of a tokenizer whose tokens are in place. prefixed says whether its
// steps put a space before a text.
func (s *settings) apply(t *Tokenizer, prefixed bool) error {
	for _, name := range slices.Sorted(maps.Keys(s.named)) {
		id, ok := t.TokenID(s.named[name])
		if !ok {
			return fmt.Errorf("%s: %q is no token of %s; add it to added_tokens_decoder with its id", name, s.named[name], tokenizerName)
		}
		switch name {
		case "bos_token":
			t.config.bos = id
		case "eos_token":
			t.config.eos = id
		case "pad_token":
			t.config.pad = id
		case "unk_token":
			t.config.unk = id
		}
	}
	t.config.special, t.config.templates = s.named, s.templates
	if s.prefix != nil && *s.prefix != prefixed {
		return unsupported(fmt.Sprintf("add_prefix_space: %v, where the steps of %s say %v,", *s.prefix, tokenizerName, prefixed))
	}
	return s.surround(t)
}

// surround sets what stands around a text where add_bos_token or add_eos_token say so: they win over
// tokenizer.json's post_processor. A side that neither speaks of stays as it is.
func (s *settings) surround(t *Tokenizer) error {
	for _, side := range []struct {
		field string
		want  *bool
		id    int
		ids   *[]int
	}{{"add_bos_token", s.bos, t.config.bos, &t.post.before}, {"add_eos_token", s.eos, t.config.eos, &t.post.after}} {
		if side.want == nil {
			continue
		}
		for _, id := range *side.ids {
			if id != side.id {
				return unsupported(fmt.Sprintf("%s: %v, where %s's post_processor adds %q,", side.field, *side.want, tokenizerName, t.Token(id)))
			}
		}
		*side.ids = nil
		if *side.want && side.id >= 0 {
			*side.ids = []int{side.id}
		}
	}
	return nil
}

// prefixes says whether a normalizer or pre-tokenizer puts a space, or the mark that stands for one,
// before a text.
func prefixes(raw json.RawMessage) (bool, error) {
	var c struct {
		Type          string            `json:"type"`
		Prefix        *bool             `json:"add_prefix_space"`
		Scheme        string            `json:"prepend_scheme"`
		Normalizers   []json.RawMessage `json:"normalizers"`
		PreTokenizers []json.RawMessage `json:"pretokenizers"`
	}
	if err := unmarshal(raw, &c); err != nil {
		return false, err
	}
	switch c.Type {
	case "Prepend":
		return true, nil
	case "ByteLevel", "Metaspace":
		return c.Scheme != "never" && (c.Prefix == nil || *c.Prefix), nil
	}
	for _, r := range slices.Concat(c.Normalizers, c.PreTokenizers) {
		if yes, err := prefixes(r); yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}
