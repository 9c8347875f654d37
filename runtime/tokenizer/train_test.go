package tokenizer

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTrainMergesTheMostFrequentPairs(t *testing.T) {
	// Words: "aa" once; " ab" three times; " b" twice. Pairs: (a,b) 3, (" ",a) 3,
	// (" ",b) 2, (a,a) 1. The tie at 3 goes to the smaller left byte: (" ",a).
	// Then (" a",b) 3, (" ",b) 2.
	tok, err := Train(slices.Values([]string{"aa ab ab ab b b"}), 300, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	var learned []string
	for id := 256; id < tok.Size(); id++ {
		learned = append(learned, tok.Token(id))
	}
	if want := []string{"Ġa", "Ġab", "Ġb", "<|endoftext|>"}; !slices.Equal(learned, want) {
		t.Errorf("learned %q, want %q", learned, want)
	}
	if got := tok.Encode(" ab aa<|endoftext|>", false); !slices.Equal(got, []int{257, 256, 'a', 259}) {
		t.Errorf("encoded %v", got)
	}
}

func corpus(t testing.TB) []string {
	t.Helper()
	var texts []string
	for _, name := range []string{"sentencepiece", "qwen2"} {
		for _, c := range readFixture(t, name).Cases {
			if c.Text != nil {
				texts = append(texts, *c.Text)
			}
		}
	}
	return texts
}

func TestTrainDoesNotDependOnTheOrder(t *testing.T) {
	texts := corpus(t)
	special := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	a, err := Train(slices.Values(texts), 500, special)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(texts)
	b, err := Train(slices.Values(texts), 500, special)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.files.tokenizer, b.files.tokenizer) || a.Hash() != b.Hash() || a.Size() <= 300 {
		t.Errorf("the trainings differ, or learned little: sizes %d and %d", a.Size(), b.Size())
	}
}

func TestATrainedTokenizerLoadsAndRoundTrips(t *testing.T) {
	special := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	trained, err := Train(slices.Values(corpus(t)), 400, special)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := trained.Save(dir); err != nil {
		t.Fatal(err)
	}
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Size() != 400 || tok.EOS() != 399 || tok.PAD() != 397 || tok.BOS() != -1 || tok.Hash() != trained.Hash() {
		t.Errorf("size %d, eos %d, pad %d, bos %d", tok.Size(), tok.EOS(), tok.PAD(), tok.BOS())
	}
	if !strings.Contains(tok.ChatTemplate(), "<|im_start|>") {
		t.Errorf("chat template %q", tok.ChatTemplate())
	}
	for _, text := range []string{"日本語のテキスト、改行\nあり。", "never seen: ☃ \x00\x7f", "", "<|im_start|>user\nhi<|im_end|>"} {
		if got := tok.Decode(tok.Encode(text, true), false); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	if got := tok.Decode(tok.Encode("<|im_start|>hi<|im_end|>", false), true); got != "hi" {
		t.Errorf("without special tokens %q", got)
	}
}

func TestTrainGivesRolesByName(t *testing.T) {
	for name, tt := range map[string]struct {
		special       []string
		bos, eos, pad int // index into special, -1 for none
	}{
		"none":        {nil, -1, -1, -1},
		"llama":       {[]string{"<s>", "</s>", "<pad>"}, 0, 1, 2},
		"only an end": {[]string{"</s>"}, -1, 0, 0},
		"gpt-2":       {[]string{"<|endoftext|>"}, -1, 0, 0},
		"other names": {[]string{"<x>"}, -1, -1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := Train(slices.Values([]string{"ab"}), 300, tt.special)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range []struct {
				role      string
				got, want int
			}{{"bos", tok.BOS(), tt.bos}, {"eos", tok.EOS(), tt.eos}, {"pad", tok.PAD(), tt.pad}} {
				if r.want >= 0 {
					r.want += 256
				}
				if r.got != r.want {
					t.Errorf("%s is %d, want %d", r.role, r.got, r.want)
				}
			}
		})
	}
}

func TestTrainRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		texts   []string
		size    int
		special []string
		says    string
	}{
		"a size below the bytes":    {[]string{"a"}, 257, []string{"<a>", "<b>"}, "258"},
		"no text":                   {[]string{"", "<a>"}, 300, []string{"<a>"}, "empty"},
		"an empty special token":    {[]string{"a"}, 300, []string{""}, "empty"},
		"a special token twice":     {[]string{"a"}, 300, []string{"<a>", "<a>"}, "twice"},
		"a special token of a byte": {[]string{"ab"}, 300, []string{"a"}, "learned"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Train(slices.Values(tt.texts), tt.size, tt.special); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func BenchmarkTrain(b *testing.B) {
	var texts []string
	for _, lang := range []string{"en", "ja"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "xsafety", "four_class_xsafety_"+lang+".jsonl"))
		if err != nil {
			b.Skipf("the real text is not here: %v", err)
		}
		texts = append(texts, string(raw[:512<<10]))
	}
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := Train(slices.Values(texts), 4096, nil); err != nil {
			b.Fatal(err)
		}
	}
}
