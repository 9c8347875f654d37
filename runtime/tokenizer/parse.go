package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrUnsupported marks a tokenizer.json that uses a feature this package lacks;
// the message names it.
var ErrUnsupported = errors.New("not supported")

func unsupported(what string) error { return fmt.Errorf("%s: %w", what, ErrUnsupported) }

// typeOf is the "type" of a component, empty for null or absent.
func typeOf(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var c struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", err
	}
	if c.Type == "" {
		return "", errors.New("type is missing")
	}
	return c.Type, nil
}

// parse builds a tokenizer from the text of a tokenizer.json alone.
func parse(raw []byte) (*Tokenizer, error) { return assemble(raw, &settings{}) }

// settingError is a fault of the files beside tokenizer.json.
type settingError struct{ error }

func (e settingError) Unwrap() error { return e.error }

// assemble builds a tokenizer from the text of a tokenizer.json and what the files beside it say.
func assemble(raw []byte, s *settings) (*Tokenizer, error) {
	var doc struct {
		AddedTokens   []addedToken    `json:"added_tokens"`
		Normalizer    json.RawMessage `json:"normalizer"`
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		PostProcessor json.RawMessage `json:"post_processor"`
		Decoder       json.RawMessage `json:"decoder"`
		Model         json.RawMessage `json:"model"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	t := &Tokenizer{config: config{bos: -1, eos: -1, pad: -1, unk: -1}}
	for _, c := range []struct {
		name string
		raw  json.RawMessage
	}{
		{"normalizer", doc.Normalizer}, {"pre_tokenizer", doc.PreTokenizer},
		{"post_processor", doc.PostProcessor}, {"decoder", doc.Decoder},
	} {
		if err := checkBounds(c.raw); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	var err error
	if t.normalize, err = parseNormalizer(doc.Normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if err := t.pre.parse(doc.PreTokenizer); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if err := t.parseModel(doc.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if err := checkAdded(doc.AddedTokens); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	added, err := s.tokens(doc.AddedTokens, t.model.vocab)
	if err != nil {
		return nil, settingError{err}
	}
	if err := t.addAll(added); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	if err := t.post.parse(doc.PostProcessor, t.known); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	if t.decode, err = parseDecoder(doc.Decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	prefixed := false
	for _, raw := range []json.RawMessage{doc.Normalizer, doc.PreTokenizer} {
		yes, err := prefixes(raw)
		if err != nil {
			return nil, err
		}
		prefixed = prefixed || yes
	}
	if err := s.apply(t, prefixed); err != nil {
		return nil, settingError{err}
	}
	return t, nil
}

func (t *Tokenizer) parseModel(raw json.RawMessage) error {
	var c struct {
		Type         *string         `json:"type"`
		Dropout      float64         `json:"dropout"`
		UnkToken     *string         `json:"unk_token"`
		Prefix       string          `json:"continuing_subword_prefix"`
		Suffix       string          `json:"end_of_word_suffix"`
		FuseUnk      bool            `json:"fuse_unk"`
		ByteFallback bool            `json:"byte_fallback"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
	}
	if len(raw) == 0 {
		return errors.New("is missing")
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	switch {
	case c.Type != nil && *c.Type != "BPE":
		return unsupported(fmt.Sprintf("type %q", *c.Type))
	case c.Dropout != 0:
		return unsupported(fmt.Sprintf("dropout %g", c.Dropout))
	case c.Prefix != "":
		return unsupported(fmt.Sprintf("continuing_subword_prefix %q", c.Prefix))
	case c.Suffix != "":
		return unsupported(fmt.Sprintf("end_of_word_suffix %q", c.Suffix))
	}
	m := &t.model
	m.fuseUnk, m.byteFallback, m.ignoreMerges, m.unk = c.FuseUnk, c.ByteFallback, c.IgnoreMerges, -1
	if err := json.Unmarshal(c.Vocab, &m.vocab); err != nil {
		return fmt.Errorf("vocab: %w", err)
	}
	if len(m.vocab) == 0 {
		return errors.New("vocab is empty")
	}
	for s, id := range m.vocab {
		if err := t.name(int(id), s); err != nil {
			return fmt.Errorf("vocab: %w", err)
		}
	}
	if c.UnkToken != nil {
		id, ok := m.vocab[*c.UnkToken]
		if !ok {
			return fmt.Errorf("unk_token %q is not in the vocabulary", *c.UnkToken)
		}
		m.unk = id
	}
	m.setFallback()
	merges, err := parseMerges(c.Merges)
	if err != nil {
		return err
	}
	return m.setMerges(merges)
}

// parseMerges reads merges in either spelling: "left right" or ["left", "right"].
func parseMerges(raw json.RawMessage) ([][2]string, error) {
	list := bytes.TrimLeft(raw, " \t\r\n")
	if len(list) == 0 || list[0] != '[' {
		return nil, errors.New("merges is not a list")
	}
	var merges [][2]string
	if first := bytes.TrimLeft(list[1:], " \t\r\n"); len(first) > 0 && first[0] == '"' {
		var lines []string
		if err := json.Unmarshal(list, &lines); err != nil {
			return nil, fmt.Errorf("merges: %w", err)
		}
		merges = make([][2]string, len(lines))
		for i, line := range lines {
			left, right, ok := strings.Cut(line, " ")
			if !ok || strings.Contains(right, " ") {
				return nil, fmt.Errorf("merges[%d]: %q is not two tokens with a space between", i, line)
			}
			merges[i] = [2]string{left, right}
		}
		return merges, nil
	}
	var pairs [][]string
	if err := json.Unmarshal(list, &pairs); err != nil {
		return nil, fmt.Errorf("merges: %w", err)
	}
	merges = make([][2]string, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return nil, fmt.Errorf("merges[%d] has %d tokens, want 2", i, len(p))
		}
		merges[i] = [2]string{p[0], p[1]}
	}
	return merges, nil
}

func (m *bpe) setMerges(merges [][2]string) error {
	m.merges = make(map[pair]merge, len(merges))
	for i, mg := range merges {
		var ids [3]int32
		for j, s := range []string{mg[0], mg[1], mg[0] + mg[1]} {
			id, ok := m.vocab[s]
			if !ok {
				return fmt.Errorf("merges[%d]: token %q is not in the vocabulary", i, s)
			}
			ids[j] = id
		}
		// A pair that comes twice keeps its last rank, as in the reference.
		m.merges[pair{ids[0], ids[1]}] = merge{rank: int32(i), into: ids[2]}
	}
	m.setSpaceCuts(merges)
	return nil
}

// mostID bounds the ids of a tokenizer with a vocabulary of n.
func mostID(n int) int { return 1<<16 + 4*n }

// name records that id is spelled s. Ids may have holes, though not so many that
// the table of names outgrows the file it came from.
func (t *Tokenizer) name(id int, s string) error {
	if id < 0 || id > math.MaxInt32 {
		return fmt.Errorf("token %q has id %d", s, id)
	}
	if id > mostID(len(t.model.vocab)) {
		return fmt.Errorf("token %q has id %d, too far beyond %d tokens", s, id, len(t.model.vocab))
	}
	for len(t.names) <= id {
		t.names = append(t.names, "")
		t.have = append(t.have, false)
	}
	if t.have[id] && t.names[id] != s {
		return fmt.Errorf("id %d is both %q and %q", id, t.names[id], s)
	}
	t.names[id], t.have[id] = s, true
	return nil
}
