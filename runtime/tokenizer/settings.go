package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// settings is what the files beside tokenizer.json say.
type settings struct {
	added     []addedToken      // tokens with their ids
	named     map[string]string // special tokens by their fields: bos_token, eos_token, …
	more      []string          // further special tokens
	bos, eos  *bool             // add_bos_token, add_eos_token
	prefix    *bool             // add_prefix_space
	templates map[string]string // chat templates by name
}

// readSettings reads tokenizer_config.json and, as transformers does where that has no
// added_tokens_decoder, special_tokens_map.json, which wins over it, and added_tokens.json. A text that
// is not there is nil.
func readSettings(f files) (*settings, error) {
	fields := map[string]json.RawMessage{}
	if err := unmarshal(f.config, &fields); err != nil {
		return nil, fmt.Errorf("%s: %w", configName, err)
	}
	s := &settings{named: map[string]string{}}
	from := map[string]string{}
	_, listed := fields["added_tokens_decoder"]
	if !listed {
		var special map[string]json.RawMessage
		if err := unmarshal(f.special, &special); err != nil {
			return nil, fmt.Errorf("%s: %w", specialName, err)
		}
		for name, raw := range special {
			if !empty(raw) {
				fields[name], from[name] = raw, specialName
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := s.read(name, fields[name]); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", cmp.Or(from[name], configName), name, err)
		}
	}
	if !listed {
		if err := s.readAdded(f.added); err != nil {
			return nil, fmt.Errorf("%s: %w", addedName, err)
		}
	}
	slices.SortFunc(s.added, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return s, nil
}

// read takes one field. One that is not known, and says anything, is refused: it could change ids.
func (s *settings) read(name string, raw json.RawMessage) (err error) {
	switch {
	case name == "added_tokens_decoder":
		return s.readDecoder(raw)
	case name == "additional_special_tokens" || name == "extra_special_tokens":
		return s.readMore(raw)
	case name == "add_bos_token":
		return unmarshal(raw, &s.bos)
	case name == "add_eos_token":
		return unmarshal(raw, &s.eos)
	case name == "add_prefix_space":
		return unmarshal(raw, &s.prefix)
	case name == "chat_template":
		s.templates, err = chatTemplates(raw)
		return err
	case slices.Contains(harmless, name) || empty(raw):
		return nil
	case refused[name] != "":
		return unsupported(fmt.Sprintf("%s (%s)", shorten(raw), refused[name]))
	case strings.HasSuffix(name, "_token"):
		content, err := tokenContent(raw)
		if err == nil && content != "" {
			s.named[name] = content
		}
		return err
	}
	return unsupported(fmt.Sprintf("%s: a field that is not known, which could change a text's tokens; where it does not, delete it from the file", shorten(raw)))
}

// harmless are the fields that change neither ids nor text where there is a tokenizer.json: those for
// padding and truncation, which are not applied here, for tokenizers in Python, and about the file itself.
// clean_up_tokenization_spaces is for WordPiece: transformers 5 does not apply it to BPE.
var harmless = []string{
	"model_max_length", "max_len", "max_length", "stride", "truncation", "truncation_side", "truncation_strategy",
	"padding", "padding_side", "pad_to_multiple_of", "pad_token_type_id", "model_input_names", "return_token_type_ids", "return_tensors",
	"clean_up_tokenization_spaces", "spaces_between_special_tokens", "legacy", "errors", "use_default_system_prompt",
	"tokenizer_class", "tokenizer_type", "processor_class", "backend", "use_fast", "verbose", "vocab_size", "model_type",
	"name_or_path", "_name_or_path", "tokenizer_file", "vocab_file", "merges_file", "special_tokens_map_file", "transformers_version",
	"_commit_hash", "_from_auto", "is_local", "local_files_only", "revision", "cache_dir", "trust_remote_code", "device_map",
	"response_schema", "tool_parser_type",
}

// refused are fields that, given a value, change what a text's tokens are in a way that is not done here.
var refused = map[string]string{
	"split_special_tokens": "special tokens written out in a text would become pieces",
	"do_lower_case":        "texts would lose their capitals, which tokenizer.json's normalizer does not do",
	"from_slow":            "the tokenizer would be made of tokenizer.model anew; save it with transformers and give that tokenizer.json",
	"fix_mistral_regex":    "texts would be cut by another pattern than tokenizer.json's; save the tokenizer with transformers and give that tokenizer.json",
	"sp_model_kwargs":      "SentencePiece would sample",
	"auto_map":             "the tokenizer is Python code of its own; where tokenizer.json gives the same tokens, delete the field",
	"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": "decoded texts would lose spaces",
}

// empty says that a value says nothing.
func empty(raw json.RawMessage) bool {
	return slices.Contains([]string{"", "null", "false", "0", `""`, "[]", "{}"}, string(bytes.Join(bytes.Fields(raw), nil)))
}

func shorten(raw json.RawMessage) string {
	if len(raw) > 60 {
		return string(raw[:60]) + "…"
	}
	return string(raw)
}

// readDecoder reads added_tokens_decoder: tokens by their ids.
func (s *settings) readDecoder(raw json.RawMessage) error {
	var list map[string]struct {
		addedToken
		Normalized *bool `json:"normalized"` // left out: true but for special tokens
	}
	if err := unmarshal(raw, &list); err != nil {
		return err
	}
	for text, t := range list {
		id, err := strconv.Atoi(text)
		if err != nil || t.Content == "" {
			return fmt.Errorf("%q: want a token's id, and the token with its content", text)
		}
		tok := t.addedToken
		tok.ID, tok.Normalized = id, !tok.Special
		if t.Normalized != nil {
			tok.Normalized = *t.Normalized
		}
		s.added = append(s.added, tok)
	}
	return nil
}

// readAdded reads added_tokens.json: ids by token.
func (s *settings) readAdded(raw []byte) error {
	var list map[string]int
	if err := unmarshal(raw, &list); err != nil {
		return err
	}
	for content, id := range list {
		special := slices.Contains(s.more, content) || slices.Contains(slices.Collect(maps.Values(s.named)), content)
		s.added = append(s.added, addedToken{ID: id, Content: content, Special: special, Normalized: !special})
	}
	return nil
}

// readMore reads a list of special tokens, or an object that names them.
func (s *settings) readMore(raw json.RawMessage) error {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
		var named map[string]json.RawMessage
		if err := unmarshal(raw, &named); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(named)) {
			content, err := tokenContent(named[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if content != "" {
				s.named[name] = content
			}
		}
		return nil
	}
	var list []json.RawMessage
	if err := unmarshal(raw, &list); err != nil {
		return err
	}
	for i, item := range list {
		content, err := tokenContent(item)
		if err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
		if content != "" && !slices.Contains(s.more, content) {
			s.more = append(s.more, content)
		}
	}
	return nil
}
