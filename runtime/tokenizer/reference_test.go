package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"triality/runtime/realdata"
)

// fixture is what Hugging Face's tokenizers library itself (version in MadeBy)
// gave for a tokenizer.json. Cases with a text hold its ids without and with
// special tokens, the text decoded from the former, and the text decoded from the
// latter without special tokens; cases without hold two decodings of random ids.
type fixture struct {
	MadeBy    string          `json:"made_by"`
	Tokenizer json.RawMessage `json:"tokenizer"`
	Cases     []struct {
		Text    *string `json:"text"`
		IDs     []int   `json:"ids"`
		Special []int   `json:"special"`
		Dec     string  `json:"dec"`
		Skip    string  `json:"skip"`
	} `json:"cases"`
}

func readFixture(t testing.TB, name string) fixture {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 50 {
		t.Fatalf("%s has %d cases", name, len(f.Cases))
	}
	return f
}

func (f fixture) check(t *testing.T, tok *Tokenizer) {
	t.Helper()
	for _, c := range f.Cases {
		if c.Text == nil {
			if got := tok.Decode(c.IDs, false); got != c.Dec {
				t.Errorf("decode %v\n got %q\nwant %q", c.IDs, got, c.Dec)
			}
			if got := tok.Decode(c.IDs, true); got != c.Skip {
				t.Errorf("decode %v without special tokens\n got %q\nwant %q", c.IDs, got, c.Skip)
			}
			continue
		}
		if got := tok.Encode(*c.Text, false); !slices.Equal(got, c.IDs) {
			t.Errorf("encode %+q\n got %v\nwant %v", *c.Text, got, c.IDs)
		}
		if got := tok.Encode(*c.Text, true); !slices.Equal(got, c.Special) {
			t.Errorf("encode %+q with special tokens\n got %v\nwant %v", *c.Text, got, c.Special)
		}
		if got := tok.Decode(c.IDs, false); got != c.Dec {
			t.Errorf("decode %v\n got %q\nwant %q", c.IDs, got, c.Dec)
		}
		if got := tok.Decode(c.Special, true); got != c.Skip {
			t.Errorf("decode %v without special tokens\n got %q\nwant %q", c.Special, got, c.Skip)
		}
	}
}

func TestEachFamilyGivesTheReferencesIDs(t *testing.T) {
	for _, name := range []string{
		"qwen2", "llama3", "gpt2", "gpt2-prefix-space", "digits", "sentencepiece",
		"metaspace-always", "metaspace-first", "metaspace-never", "metaspace-legacy",
	} {
		t.Run(name, func(t *testing.T) {
			f := readFixture(t, name)
			tok, err := parse(f.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			f.check(t, tok)
		})
	}
}

// load loads a tokenizer.
func load(t testing.TB, path string) *Tokenizer {
	t.Helper()
	tok, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestRealTokenizersGiveTheReferencesIDs(t *testing.T) {
	for name, path := range map[string]string{
		"real-qwen3": "tokenizers/qwen3", "real-phi35": "tokenizers/phi35", "real-stories260K": "models/stories260K",
	} {
		t.Run(name, func(t *testing.T) {
			for _, dir := range realdata.Paths(t, path) {
				readFixture(t, name).check(t, load(t, dir))
			}
		})
	}
}

func TestRealTokenizersKnowTheirSpecialTokens(t *testing.T) {
	tests := map[string]struct {
		path                     string
		size, bos, eos, pad, unk int
		template                 string
	}{
		"Qwen3":       {"tokenizers/qwen3/tokenizer.json", 151669, -1, 151645, 151643, -1, "<|im_start|>"},
		"Phi-3.5":     {"tokenizers/phi35", 32011, 1, 32000, 32000, 0, "<|assistant|>"},
		"stories260K": {"models/stories260K", 512, 1, 2, -1, 0, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tok := load(t, realdata.Path(t, tt.path))
			if tok.Size() != tt.size || tok.BOS() != tt.bos || tok.EOS() != tt.eos || tok.PAD() != tt.pad || tok.UNK() != tt.unk {
				t.Errorf("size %d, bos %d, eos %d, pad %d, unk %d", tok.Size(), tok.BOS(), tok.EOS(), tok.PAD(), tok.UNK())
			}
			if got := tok.ChatTemplate(); !strings.Contains(got, tt.template) || tt.template == "" && got != "" {
				t.Errorf("chat template %q", got)
			}
			if len(tok.Hash()) != 64 {
				t.Errorf("hash %q", tok.Hash())
			}
		})
	}
}

func TestTheGoldenStoryDecodes(t *testing.T) {
	tok := load(t, realdata.Path(t, "models/stories260K"))
	raw, err := os.ReadFile(realdata.Path(t, "models/stories260K/golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		IDs  []int  `json:"greedy_ids"`
		Text string `json:"greedy_text"`
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	// The file was made by joining pieces, which leaves the byte token spelled.
	want := strings.ReplaceAll(golden.Text, "<0x0A>", "\n")
	if got := tok.Decode(golden.IDs, true); got != want || len(golden.IDs) < 100 {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestRealTextSurvivesTheRoundTrip(t *testing.T) {
	for _, path := range []string{"tokenizers/qwen3", "tokenizers/phi35", "models/stories260K"} {
		for i, dir := range realdata.Paths(t, path) {
			tok := load(t, dir)
			for _, lang := range []string{"en", "ja"} {
				texts := realdata.Paths(t, "data/xsafety/four_class_xsafety_"+lang+".jsonl")
				raw, err := os.ReadFile(texts[min(i, len(texts)-1)]) // an extract knows the extracted texts' tokens
				if err != nil {
					t.Fatal(err)
				}
				lines := strings.Split(string(raw), "\n")
				for k, line := range lines[:min(100, len(lines))] {
					want := line
					if tok.normalize != nil && path == "tokenizers/qwen3" {
						want = tok.normalize(line) // NFC is the one thing that may change
					}
					if got := tok.Decode(tok.Encode(line, false), false); got != want {
						t.Fatalf("%s, line %d\n got %q\nwant %q", dir, k+1, got, want)
					}
				}
			}
		}
	}
}

func TestEncodeIsSafeForConcurrentUse(t *testing.T) {
	f := readFixture(t, "qwen2")
	tok, err := parse(f.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range f.Cases {
				c := f.Cases[(i+g*7)%len(f.Cases)]
				if c.Text != nil && !slices.Equal(tok.Encode(*c.Text, false), c.IDs) {
					t.Errorf("goroutine %d: %q differs", g, *c.Text)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkEncode(b *testing.B) {
	paths := realdata.Paths(b, "tokenizers/qwen3")
	tok := load(b, paths[len(paths)-1])
	texts := realdata.Paths(b, "data/xsafety/four_class_xsafety_en.jsonl")
	raw, err := os.ReadFile(texts[len(texts)-1])
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		for _, l := range lines {
			tok.Encode(l, false)
		}
	}
}
