package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/runtime/allocation"
)

// small is a tokenizer.json that tests change in one place.
const small = `{"added_tokens":[{"id":3,"content":"<s>","special":true}],"normalizer":null,` +
	`"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"post_processor":null,"decoder":{"type":"ByteLevel"},` +
	`"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadReadsTheConfigBesideTheFile(t *testing.T) {
	tests := map[string]struct {
		files              map[string]string
		bos, eos, pad, unk int
		template           string
	}{
		"no config":            {map[string]string{}, -1, -1, -1, -1, ""},
		"tokens as strings":    {map[string]string{configName: `{"bos_token":"<s>","eos_token":"b","chat_template":"T"}`}, 3, 1, -1, -1, "T"},
		"tokens as objects":    {map[string]string{configName: `{"pad_token":{"content":"ab"},"unk_token":{"content":"a"},"bos_token":null}`}, -1, -1, 2, 0, ""},
		"a list of templates":  {map[string]string{configName: `{"chat_template":[{"name":"tool","template":"X"},{"name":"default","template":"D"}]}`}, -1, -1, -1, -1, "D"},
		"a template of itself": {map[string]string{configName: `{"chat_template":"T"}`, templateName: "J"}, -1, -1, -1, -1, "J"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.files[tokenizerName] = small
			dir := folder(t, tt.files)
			for _, path := range []string{dir, filepath.Join(dir, tokenizerName)} {
				tok, err := Load(path)
				if err != nil {
					t.Fatal(err)
				}
				if tok.BOS() != tt.bos || tok.EOS() != tt.eos || tok.PAD() != tt.pad || tok.UNK() != tt.unk || tok.ChatTemplate() != tt.template {
					t.Errorf("bos %d, eos %d, pad %d, unk %d, template %q", tok.BOS(), tok.EOS(), tok.PAD(), tok.UNK(), tok.ChatTemplate())
				}
			}
		})
	}
}

func TestSaveWritesTheFilesLoaded(t *testing.T) {
	files := map[string]string{tokenizerName: small, configName: `{"eos_token": "b"}`, templateName: "J\n"}
	tok, err := Load(folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new", "folder")
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	again, err := Load(dir)
	if err != nil || again.Hash() != tok.Hash() {
		t.Errorf("hash %q, %v", again.Hash(), err)
	}
}

func TestLookups(t *testing.T) {
	tok, err := parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.TokenID("<s>"); id != 3 || !ok {
		t.Errorf("<s> is %d, %v", id, ok)
	}
	if id, ok := tok.TokenID("ab"); id != 2 || !ok {
		t.Errorf("ab is %d, %v", id, ok)
	}
	if _, ok := tok.TokenID("zz"); ok {
		t.Error("zz is a token")
	}
	for id, want := range map[int]string{0: "a", 3: "<s>", 4: "", -1: "", 1 << 40: ""} {
		if got := tok.Token(id); got != want {
			t.Errorf("token %d is %q, want %q", id, got, want)
		}
	}
	if !tok.IsSpecial(3) || tok.IsSpecial(2) || tok.Size() != 4 {
		t.Errorf("special %v %v, size %d", tok.IsSpecial(3), tok.IsSpecial(2), tok.Size())
	}
	if got := tok.Decode([]int{2, 99, -5, 3, 1}, true); got != "abb" {
		t.Errorf("decoded %q", got)
	}
	if got := tok.Encode("a\xff\xfeb", false); len(got) != 2 {
		t.Errorf("invalid bytes gave %v", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	unsup := ErrUnsupported
	tests := map[string]struct {
		old, new string
		says     string
		is       error
	}{
		"text that is no JSON":           {small, `{`, "unexpected end", nil},
		"no model":                       {`"model":`, `"modle":`, "model", nil},
		"a Unigram model":                {`"BPE"`, `"Unigram"`, `"Unigram"`, unsup},
		"dropout":                        {`"BPE",`, `"BPE","dropout":0.1,`, "dropout", unsup},
		"a subword prefix":               {`"BPE",`, `"BPE","continuing_subword_prefix":"##",`, "##", unsup},
		"a word suffix":                  {`"BPE",`, `"BPE","end_of_word_suffix":"</w>",`, "</w>", unsup},
		"an empty vocabulary":            {`{"a":0,"b":1,"ab":2}`, `{}`, "empty", nil},
		"a negative id":                  {`"ab":2`, `"ab":-2`, "-2", nil},
		"an id far beyond the rest":      {`"ab":2`, `"ab":2000000000`, "2000000000", nil},
		"an id given twice":              {`"ab":2`, `"ab":1`, "id 1", nil},
		"a missing unknown token":        {`"BPE",`, `"BPE","unk_token":"?",`, `"?"`, nil},
		"a merge of a missing token":     {`"a b"`, `"a c"`, `"c"`, nil},
		"a merge into a missing token":   {`"a b"`, `"b a"`, `"ba"`, nil},
		"a merge of three":               {`"a b"`, `"a b c"`, "merges[0]", nil},
		"a merge list of three":          {`"a b"`, `["a","b","c"]`, "merges[0]", nil},
		"merges that are no list":        {`["a b"]`, `{}`, "merges", nil},
		"an added token with another id": {`{"id":3,"content":"<s>"`, `{"id":3,"content":"a"`, `"a"`, nil},
		"an added token with a used id":  {`"id":3`, `"id":1`, "id 1", nil},
		"an empty added token":           {`"<s>"`, `""`, "empty", nil},
		"an unknown normalizer":          {`"normalizer":null`, `"normalizer":{"type":"Precompiled"}`, "Precompiled", unsup},
		"a normalizer without type":      {`"normalizer":null`, `"normalizer":{}`, "type", nil},
		"one in a sequence":              {`"normalizer":null`, `"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Nmt"}]}`, "normalizers[1]", unsup},
		"a replacement by expression":    {`"normalizer":null`, `"normalizer":{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"x"}`, "{2,}", unsup},
		"a replacement of nothing":       {`"normalizer":null`, `"normalizer":{"type":"Replace","pattern":{"String":""},"content":"x"}`, "empty", nil},
		"an unknown pre-tokenizer":       {`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"BertPreTokenizer"}`, "BertPreTokenizer", unsup},
		"an unknown pattern":             {`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"Split","pattern":{"Regex":"\\w+|x"},"behavior":"Isolated","invert":false}`, `\\w+|x`, unsup},
		"an unknown behavior":            {`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"Split","pattern":{"Regex":` + quote(gpt2Pattern) + `},"behavior":"Contiguous","invert":false}`, "Contiguous", unsup},
		"a split by a string":            {`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"Split","pattern":{"String":" "},"behavior":"Isolated"}`, "string", unsup},
		"a step after ByteLevel":         {`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}`, "Digits", unsup},
		"a long Metaspace mark":          {`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"Metaspace","replacement":"__"}`, "__", nil},
		"an unknown prepend scheme":      {`{"type":"ByteLevel","add_prefix_space":false}`, `{"type":"Metaspace","replacement":"_","prepend_scheme":"last"}`, "last", unsup},
		"an unknown post-processor":      {`"post_processor":null`, `"post_processor":{"type":"BertProcessing"}`, "BertProcessing", unsup},
		"a template without sequence":    {`"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[]}`, "sequence A", nil},
		"a template of two sequences":    {`"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"Sequence":{"id":"A"}}]}`, "single[1]", nil},
		"a template's unknown token":     {`"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<x>"}},{"Sequence":{"id":"A"}}]}`, "<x>", nil},
		"a template's unknown id":        {`"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[9]}}}`, "9", nil},
		"an unknown decoder":             {`"decoder":{"type":"ByteLevel"}`, `"decoder":{"type":"WordPiece"}`, "WordPiece", unsup},
		"a bad Strip":                    {`"decoder":{"type":"ByteLevel"}`, `"decoder":{"type":"Sequence","decoders":[{"type":"Strip","content":"","start":1}]}`, "decoders[0]", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, tt.old, tt.new, 1)
			if text == small {
				t.Fatal("the test changes nothing")
			}
			dir := folder(t, map[string]string{tokenizerName: text})
			_, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), filepath.Join(dir, tokenizerName)) {
				t.Fatalf("error %v, want one that says %q and names the file", err, tt.says)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
		})
	}
}

func TestLoadRefusesConfigs(t *testing.T) {
	for name, tt := range map[string]struct{ config, says string }{
		"text that is no JSON":      {`{`, "unexpected end"},
		"a token that is none":      {`{"eos_token":"<gone>"}`, `eos_token: "<gone>"`},
		"a token that is a number":  {`{"pad_token":3}`, "pad_token"},
		"two templates of one name": {`{"chat_template":[{"name":"a","template":"X"},{"name":"a","template":"Y"}]}`, "taken"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{tokenizerName: small, configName: tt.config})
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), configName) {
				t.Errorf("error %v, want one that says %q and names the file", err, tt.says)
			}
		})
	}
	if _, err := Load(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: error %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(small))
	for _, name := range []string{"gpt2-prefix-space", "sentencepiece", "metaspace-first", "digits"} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, readFixture(f, name).Tokenizer); err != nil {
			f.Fatal(err)
		}
		f.Add(compact.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var tok *Tokenizer
		var err error
		if got := allocation.Bytes(func() { tok, err = parse(raw) }); got > allocation.Bound(len(raw)) {
			t.Fatalf("%d bytes made %d bytes of memory", len(raw), got)
		}
		if err != nil {
			return
		}
		for _, text := range []string{"", "ab <s> a  é日\n", "\x00\xff"} {
			for _, id := range tok.Encode(text, true) {
				if !tok.known(id) {
					t.Fatalf("%q has the id %d that no token has", text, id)
				}
			}
		}
		ids := make([]int, 0, 64)
		for id := -1; id <= min(tok.Size(), 62); id++ {
			ids = append(ids, id)
		}
		tok.Decode(ids, false)
	})
}

func FuzzRoundTrip(f *testing.F) {
	var toks []*Tokenizer
	for _, name := range []string{"qwen2", "gpt2", "llama3"} {
		tok, err := parse(readFixture(f, name).Tokenizer)
		if err != nil {
			f.Fatal(err)
		}
		toks = append(toks, tok)
	}
	f.Add("Hello  <|im_start|> 日本\n\n e\u0301 \xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range toks {
			want := strings.ToValidUTF8(s, "\ufffd")
			got := tok.Decode(tok.Encode(s, false), false)
			if tok.normalize != nil { // piece by piece, around added tokens
				var b strings.Builder
				tok.verbatim.cut(want, func(p string, _, id int) {
					if id >= 0 {
						p = tok.names[id]
					} else {
						p = tok.normalize(p)
					}
					b.WriteString(p)
				})
				want = b.String()
			}
			if got != want {
				t.Fatalf("%+q came back as %+q", want, got)
			}
		}
	})
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
