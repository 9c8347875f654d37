package gguf

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/model"
	"triality/runtime/realdata"
	"triality/runtime/tokenizer"
)

// spm is a SentencePiece tokenizer of a few tokens.
const spm = `{
 "added_tokens": [{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},
  {"id":2,"content":"</s>","special":true},{"id":9,"content":"▁tool","special":false,"rstrip":true},{"id":10,"content":"<|end|>","special":false}],
 "normalizer": {"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
 "pre_tokenizer": null,
 "post_processor": {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"id":"<s>","ids":[1]}}},
 "decoder": null,
 "model": {"type":"BPE","byte_fallback":true,"fuse_unk":true,"unk_token":"<unk>",
  "vocab": {"<unk>":0,"<s>":1,"</s>":2,"<0x0A>":3,"▁":4,"t":5,"h":6,"▁t":7,"▁th":8,"th":11},
  "merges": ["t h","▁ t","▁t h","▁ th"]}}`

func parsed(t testing.TB, text string, size int) (*vocabulary, error) {
	t.Helper()
	var f tokenizerFile
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return nil, err
	}
	return f.vocabulary(size)
}

func TestASentencePieceTokenizerGetsScoresFromItsMerges(t *testing.T) {
	v, err := parsed(t, spm, 14)
	if err != nil {
		t.Fatal(err)
	}
	if v.model != "llama" || v.pre != "default" || !v.prefix || v.merges != nil || !v.rstrip {
		t.Errorf("model %q, pre %q, prefix %v, merges %v, rstrip %v", v.model, v.pre, v.prefix, v.merges, v.rstrip)
	}
	for id, want := range []struct {
		text  string
		kind  int32
		score float32
	}{
		{"<unk>", tokenControl, -5}, {"<s>", tokenControl, -5}, {"</s>", tokenControl, -5}, {"<0x0A>", tokenByte, -5}, {"▁", tokenNormal, -5},
		{"t", tokenNormal, -5}, {"h", tokenNormal, -5}, {"▁t", tokenNormal, -1}, {"▁th", tokenNormal, -2}, {" tool", tokenUserDefined, -5},
		{"<|end|>", tokenControl, -5}, {"th", tokenNormal, 0}, {"[PAD12]", tokenUnused, -5}, {"[PAD13]", tokenUnused, -5},
	} {
		if v.tokens[id] != want.text || v.types[id] != want.kind || v.scores[id] != want.score {
			t.Errorf("token %d is %q of kind %d, score %g; want %v", id, v.tokens[id], v.types[id], v.scores[id], want)
		}
	}
}

func TestATokenizerThatGGUFCannotHoldIsRefusedByName(t *testing.T) {
	levels := `{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]],"ignore_merges":IGNORE},"pre_tokenizer":PRE,"normalizer":NORM}`
	level := func(pre, norm, ignore string) string {
		return strings.NewReplacer("IGNORE", ignore, "PRE", pre, "NORM", norm).Replace(levels)
	}
	plain := `{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}`
	split := func(pattern string) string {
		p, _ := json.Marshal(pattern)
		return `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(p) + `}},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}`
	}
	for want, text := range map[string]string{
		"add_prefix_space, which llama.cpp's":                     level(`{"type":"ByteLevel"}`, "null", "false"),
		`with ignore_merges true is one that`:                     level(split(tokenizer.Qwen2Pattern), "null", "true"),
		`pre_tokenizer pattern "x+" with`:                         level(split("x+"), "null", "false"),
		"Digits does something else than cutting every digit off": level(`{"type":"Sequence","pretokenizers":[{"type":"Digits"},`+plain+`]}`, "null", "false"),
		"Lowercase, a step":                                       level(plain, `{"type":"Lowercase"}`, "false"),
		"normalizer Replace does":                                 level(plain, `{"type":"Replace","pattern":{"String":"x"},"content":"y"}`, "false"),
		"by a Split pattern and by ByteLevel's":                   level(strings.Replace(split(tokenizer.Qwen2Pattern), `"use_regex":false`, `"use_regex":true`, 1), "null", "false"),
		"neither byte-level BPE nor":                              level("null", "null", "false"),
		`token "a" has id 20, config.json's vocab_size`:           strings.Replace(level(plain, "null", "false"), `"a":0`, `"a":20`, 1),
		`model.merges[0] has 3 tokens`:                            strings.Replace(level(plain, "null", "false"), `["a","b"]`, `"a b c"`, 1),
		`model.merges[0]: ["a " "b"] holds a space`:               strings.Replace(level(plain, "null", "false"), `["a","b"]`, `["a ","b"]`, 1),
		`tokens 12 and 13 are both "[PAD13]"`:                     strings.Replace(spm, `"th":11`, `"th":11,"[PAD13]":12`, 1),
		`model.merges[3]: "▁t" is made by merges apart`:           strings.Replace(spm, `"▁t h","▁ th"`, `"▁t h","▁ t"`, 1),
		`model.merges lacks ["▁" "th"] for "▁th"`:                 strings.Replace(spm, `,"▁ th"`, "", 1),
	} {
		if _, err := parsed(t, text, 14); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestByteLevelTokenizersAreNamedByTheirPattern(t *testing.T) {
	for _, c := range []struct{ pattern, ignore, pre string }{
		{tokenizer.Qwen2Pattern, "false", "qwen2"}, {tokenizer.Llama3Pattern, "true", "llama-bpe"}, {tokenizer.Llama3Pattern, "false", "smaug-bpe"},
		{tokenizer.GPT4oPattern, "false", "gpt-4o"}, {tokenizer.TekkenPattern, "true", "tekken"},
	} {
		p, _ := json.Marshal(c.pattern)
		v, err := parsed(t, `{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]],"ignore_merges":`+c.ignore+`},"normalizer":{"type":"NFC"},
			"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":`+string(p)+`}},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}}`, 3)
		if err != nil {
			t.Fatal(err)
		}
		if v.model != "gpt2" || v.pre != c.pre || !slices.Equal(v.merges, []string{"a b"}) || len(v.notes) != 1 {
			t.Errorf("%s, %s, merges %v, notes %v; want %s", v.model, v.pre, v.merges, v.notes, c.pre)
		}
	}
	v, err := parsed(t, `{"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}}`, 1)
	if err != nil || v.pre != "gpt-2" {
		t.Errorf("%+v, %v", v, err)
	}
	digits := `{"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false}]}}`
	if v, err := parsed(t, digits, 1); err != nil || v.pre != "refact" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := parsed(t, strings.Replace(digits, "true", "false", 1), 1); err == nil || !strings.Contains(err.Error(), "Digits") {
		t.Errorf("runs of digits: %v", err)
	}
}

func TestNamesWithPhi3AreKeptOnlyWithPhi3sTokens(t *testing.T) {
	v, err := parsed(t, spm, 14)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.safeName("my-Phi-3.5 and phi3", "phi3"); got != "my-phi 3.5 and phi 3" {
		t.Errorf("without <|endoftext|>: %q", got)
	}
	v.tokens[12] = "<|endoftext|>"
	for name, want := range map[string]string{"mine": "Phi-3 mine", "Phi-3.5-mini": "Phi-3.5-mini"} {
		if got := v.safeName(name, "phi3"); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	if got := v.safeName("mine", "llama"); got != "mine" {
		t.Errorf("llama: %q", got)
	}
}

func TestRealTokenizersAreHeld(t *testing.T) {
	for _, c := range []struct {
		name, model, pre string
		size             int
		control, user    string
		bos, eos         bool
	}{
		{"qwen3", "gpt2", "qwen2", 151936, "<|im_start|>", "<think>", false, true},
		{"phi35", "llama", "default", 32064, "<|endoftext|>", "</s>", true, true},
	} {
		dir := realdata.Path(t, "tokenizers/"+c.name)
		tok, err := tokenizer.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		v, err := readVocabulary(dir, tok, c.size)
		if err != nil {
			t.Fatal(err)
		}
		pairs, err := v.pairs(tok, model.Config{BOS: -1}, []int32{int32(tok.EOS()), 7, 8, 9})
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]any{}
		for _, p := range pairs {
			have[p.Key] = p.Value
		}
		if have["tokenizer.ggml.model"] != c.model || have["tokenizer.ggml.pre"] != c.pre || have["tokenizer.ggml.add_bos_token"] != false ||
			have["tokenizer.ggml.eos_token_id"] != uint32(tok.EOS()) || have["tokenizer.ggml.eot_token_id"] != uint32(7) || have["tokenizer.ggml.eom_token_id"] != uint32(8) || have["tokenizer.chat_template"] != tok.ChatTemplate() {
			t.Errorf("%s: %v %v, end %v and %v", c.name, have["tokenizer.ggml.model"], have["tokenizer.ggml.pre"], have["tokenizer.ggml.eos_token_id"], have["tokenizer.ggml.eot_token_id"])
		}
		if _, ok := have["tokenizer.ggml.bos_token_id"]; ok != c.bos {
			t.Errorf("%s: a beginning-of-sequence token: %v", c.name, ok)
		}
		if !slices.ContainsFunc(v.notes, func(n string) bool { return strings.Contains(n, "token 9 ends") }) {
			t.Errorf("%s: nothing is said of a fourth end: %q", c.name, v.notes)
		}
		for text, want := range map[string]int32{c.control: tokenControl, c.user: tokenUserDefined} {
			id, ok := tok.TokenID(text)
			if !ok || v.types[id] != want || v.tokens[id] != text {
				t.Errorf("%s: %q is %q of kind %d, want %d", c.name, text, v.tokens[id], v.types[id], want)
			}
		}
		if last := c.size - 1; v.types[last] != tokenUnused {
			t.Errorf("%s: the last row is of kind %d", c.name, v.types[last])
		}
	}
}

func FuzzVocabulary(f *testing.F) {
	f.Add(spm)
	f.Add(`{"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}}`)
	f.Add(`{"model":{"byte_fallback":true,"vocab":{},"merges":[""," "]},"pre_tokenizer":{"type":"Metaspace"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var file tokenizerFile
		if json.Unmarshal([]byte(text), &file) != nil {
			return
		}
		v, err := file.vocabulary(64)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for i, token := range v.tokens {
			if v.types[i] == 0 || seen[token] {
				t.Fatalf("token %d, %q, has no kind or comes twice", i, token)
			}
			seen[token] = true
		}
		if len(v.tokens) != 64 || v.model == "llama" && len(v.scores) != 64 {
			t.Fatalf("%d tokens, %d scores", len(v.tokens), len(v.scores))
		}
	})
}

func TestTokensOfTheFilesBesideAreHeldToo(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tokenizer.json":        spm,
		"tokenizer_config.json": `{"added_tokens_decoder":{"12":{"content":"<|turn|>","special":true}},"bos_token":"<s>","add_bos_token":false}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := readVocabulary(dir, tok, 16)
	if err != nil || v.tokens[12] != "<|turn|>" || v.types[12] != tokenControl {
		t.Fatalf("token 12 is %q, %v", v.tokens, err)
	}
	pairs, err := v.pairs(tok, model.Config{BOS: -1}, []int32{2})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		if p.Key == "tokenizer.ggml.add_bos_token" && p.Value != false {
			t.Errorf("add_bos_token is %v", p.Value)
		}
	}
}
