package tokenizer

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/realdata"
)

// beside is a tokenizer of the given files beside small.
func beside(t *testing.T, files map[string]string) (*Tokenizer, error) {
	t.Helper()
	all := map[string]string{tokenizerName: small}
	maps.Copy(all, files)
	return Load(folder(t, all))
}

// ended is small with a post_processor that puts <s> before a text and b behind it.
var ended = strings.Replace(small, `"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"b"}}],"special_tokens":{"<s>":{"ids":[3]},"b":{"ids":[1]}}}`, 1)

func TestTheFilesBesideDecideOnTokens(t *testing.T) {
	const decoder = `"added_tokens_decoder":{"4":{"content":"<|im_start|>","special":true},"5":{"content":"<tool>","special":false,"lstrip":true,"rstrip":true}}`
	for name, tt := range map[string]struct {
		files map[string]string
		text  string
		whole []int  // with special tokens
		plain string // decoded without special tokens; "-" leaves that out
	}{
		"added_tokens_decoder adds what tokenizer.json lacks": {map[string]string{configName: `{` + decoder + `}`}, "a<|im_start|>b <tool> ab", []int{0, 4, 1, 5, 2}, "ab<tool>ab"},
		"added_tokens_decoder decides on a token's flags": {
			map[string]string{configName: `{"added_tokens_decoder":{"3":{"content":"<s>","special":true,"lstrip":true}}}`}, "ab  <s>ab", []int{2, 3, 2}, "abab"},
		"without it, nothing": {nil, "a<s>b", []int{0, 3, 1}, "ab"},
		"added_tokens.json adds, special where a field names it": {
			map[string]string{configName: `{"eos_token":"<x>"}`, addedName: `{"<x>":4,"<y>":5}`}, "<x>a<y>", []int{4, 0, 5}, "a<y>"},
		"special_tokens_map.json names special tokens": {
			map[string]string{configName: `{}`, specialName: `{"additional_special_tokens":["<x>"]}`, addedName: `{"<x>":4}`}, "<x>a", []int{4, 0}, "a"},
		"added_tokens_decoder stands for both": {
			map[string]string{configName: `{` + decoder + `}`, specialName: `{"eos_token":"gone"}`, addedName: `{"gone":9}`}, "a", []int{0}, "a"},
		"a special token of the vocabulary is found in a text": {map[string]string{configName: `{"eos_token":"ab"}`}, "aab", []int{0, 2}, "a"},
		"so is one of a list":                                      {map[string]string{configName: `{"additional_special_tokens":[{"content":"ab"}]}`}, "aab", []int{0, 2}, "a"},
		"and one that a model's own field names":                   {map[string]string{configName: `{"extra_special_tokens":{"image_token":"ab"}}`}, "aab", []int{0, 2}, "a"},
		"add_bos_token puts it in front":                           {map[string]string{configName: `{"bos_token":"<s>","add_bos_token":true}`}, "a", []int{3, 0}, "a"},
		"add_eos_token puts it behind":                             {map[string]string{configName: `{"eos_token":"<s>","add_eos_token":true}`}, "a", []int{0, 3}, "a"},
		"add_bos_token: false wins over the post_processor":        {map[string]string{tokenizerName: ended, configName: `{"bos_token":"<s>","add_bos_token":false}`}, "a", []int{0, 1}, "-"},
		"add_eos_token: false wins over the post_processor":        {map[string]string{tokenizerName: ended, configName: `{"bos_token":"<s>","eos_token":"b","add_eos_token":false,"add_bos_token":true}`}, "a", []int{3, 0}, "-"},
		"add_bos_token without a bos_token is nothing":             {map[string]string{configName: `{"bos_token":null,"add_bos_token":true}`}, "a", []int{0}, "a"},
		"fields that say nothing, or that nothing here depends on": {map[string]string{configName: `{"some_flag":false,"other":[],"model_max_length":7,"padding_side":"left","legacy":true,"clean_up_tokenization_spaces":true,"add_prefix_space":false,"sp_model_kwargs":{}}`}, "a", []int{0}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := beside(t, tt.files)
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Encode(tt.text, true); !slices.Equal(got, tt.whole) {
				t.Errorf("%q is %v, want %v", tt.text, got, tt.whole)
			}
			if got := tok.Decode(tt.whole, true); tt.plain != "-" && got != tt.plain {
				t.Errorf("%v is %q, want %q", tt.whole, got, tt.plain)
			}
			dir := filepath.Join(t.TempDir(), "saved")
			if err := tok.Save(dir); err != nil {
				t.Fatal(err)
			}
			again, err := Load(dir)
			if err != nil || !slices.Equal(again.Encode(tt.text, true), tt.whole) {
				t.Errorf("saved and loaded: %v", err)
			}
		})
	}
}

func TestASettingThatCouldChangeTokensIsReadOrRefusedByName(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		says  []string
	}{
		"split_special_tokens":        {map[string]string{configName: `{"split_special_tokens":true}`}, []string{configName, "split_special_tokens", "pieces"}},
		"do_lower_case":               {map[string]string{configName: `{"do_lower_case":true}`}, []string{configName, "do_lower_case"}},
		"from_slow":                   {map[string]string{configName: `{"from_slow":true}`}, []string{"from_slow", "tokenizer.model"}},
		"code of its own":             {map[string]string{configName: `{"auto_map":{"AutoTokenizer":["x.Y",null]}}`}, []string{"auto_map", "code"}},
		"a sampling SentencePiece":    {map[string]string{configName: `{"sp_model_kwargs":{"enable_sampling":true}}`}, []string{"sp_model_kwargs"}},
		"another pattern":             {map[string]string{configName: `{"fix_mistral_regex":true}`}, []string{"fix_mistral_regex"}},
		"a field that nobody knows":   {map[string]string{configName: `{"fold_width":true}`}, []string{"fold_width", "delete it"}},
		"one in the other file":       {map[string]string{specialName: `{"fold_width":true}`}, []string{specialName, "fold_width"}},
		"a space that is not put":     {map[string]string{configName: `{"add_prefix_space":true}`}, []string{"add_prefix_space", "true", "false"}},
		"a beginning that is another": {map[string]string{tokenizerName: ended, configName: `{"bos_token":"a","add_bos_token":true}`}, []string{"add_bos_token", `"<s>"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := beside(t, tt.files)
			if !errors.Is(err, ErrUnsupported) {
				t.Fatalf("error %v", err)
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error %v does not say %q", err, says)
				}
			}
		})
	}
}

func TestTokensThatContradictAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ config, says string }{
		"another id than tokenizer.json's":     {`{"added_tokens_decoder":{"7":{"content":"<s>"}}}`, `token "<s>" has id 7`},
		"another id than the vocabulary's":     {`{"added_tokens_decoder":{"7":{"content":"ab"}}}`, `gives it 2`},
		"an id far beyond the rest":            {`{"added_tokens_decoder":{"900000":{"content":"<x>"}}}`, `too far beyond`},
		"an id that is taken":                  {`{"added_tokens_decoder":{"1":{"content":"<x>"}}}`, `which is that of "b"`},
		"an id that is none":                   {`{"added_tokens_decoder":{"x":{"content":"<x>"}}}`, `"x"`},
		"a token without content":              {`{"added_tokens_decoder":{"4":{}}}`, `content`},
		"a special token of no id":             {`{"additional_special_tokens":["<x>"]}`, `"<x>" is no token`},
		"a flag that is no flag":               {`{"add_bos_token":"yes"}`, "add_bos_token"},
		"a token of a model's own that is not": {`{"image_token":"<image>"}`, `image_token: "<image>"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := beside(t, map[string]string{configName: tt.config})
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), configName) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestAPromptHasWhatStandsBeforeATextAlone(t *testing.T) {
	tok, err := beside(t, map[string]string{tokenizerName: ended})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // no call writes into another's
		if got := tok.EncodePrompt("ab"); !slices.Equal(got, []int{3, 2}) {
			t.Errorf("prompt %v", got)
		}
		if got := tok.Encode("ab", true); !slices.Equal(got, []int{3, 2, 1}) {
			t.Errorf("text %v", got)
		}
		if got := tok.Encode("ab", false); !slices.Equal(got, []int{2}) {
			t.Errorf("plain %v", got)
		}
	}
}

func TestChatTemplatesOfAFolderHaveItsFilesNames(t *testing.T) {
	dir := folder(t, map[string]string{tokenizerName: small, templateName: "D"})
	put(t, filepath.Join(dir, templateFolder, "rag.jinja"), "R")
	put(t, filepath.Join(dir, templateFolder, "notes.txt"), "N")
	for range 2 {
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"default": "D", "rag": "R"}; !maps.Equal(tok.ChatTemplates(), want) {
			t.Errorf("templates %v", tok.ChatTemplates())
		}
		dir = filepath.Join(t.TempDir(), "saved")
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAddedTokensDecoderMakesAChatTokenOneToken(t *testing.T) {
	whole := load(t, realdata.Path(t, "tokenizers/qwen3"))
	var doc map[string]any
	if err := json.Unmarshal(whole.files.tokenizer, &doc); err != nil {
		t.Fatal(err)
	}
	doc["added_tokens"] = slices.DeleteFunc(doc["added_tokens"].([]any), func(tok any) bool { return tok.(map[string]any)["content"] == "<|im_start|>" })
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := build(files{tokenizer: raw, config: whole.files.config}, tokenizerName)
	if err != nil {
		t.Fatal(err)
	}
	const text = "<|im_start|>user\nHi<|im_end|>"
	if got, want := tok.Encode(text, false), whole.Encode(text, false); !slices.Equal(got, want) || got[0] != 151644 {
		t.Errorf("%v, want %v", got, want)
	}
}
