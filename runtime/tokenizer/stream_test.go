package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"triality/runtime/realdata"
)

// The decoders' definitions over whole lists of tokens, which the streaming form is held to.
type definition func([]string) []string

func fused(sep string) definition {
	return func(toks []string) []string { return []string{strings.Join(toks, sep)} }
}

func each(f func(string) string) definition {
	return func(toks []string) []string {
		out := make([]string, len(toks))
		for i, t := range toks {
			out[i] = f(t)
		}
		return out
	}
}

func byteLevelByDefinition(toks []string) []string {
	var b []byte
	for _, t := range toks {
		b = appendUnmapped(b, t)
	}
	return []string{lossy(b)}
}

func byteFallbackByDefinition(toks []string) []string {
	var out []string
	for i := 0; i < len(toks); {
		var run []byte
		for i < len(toks) {
			b, ok := hexByte(toks[i])
			if !ok {
				break
			}
			run = append(run, b)
			i++
		}
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			for range run {
				out = append(out, "\ufffd")
			}
		}
		if i < len(toks) {
			out = append(out, toks[i])
			i++
		}
	}
	return out
}

func stripByDefinition(content string, start, stop int) definition {
	return each(func(s string) string {
		for i := 0; i < start && strings.HasPrefix(s, content); i++ {
			s = s[len(content):]
		}
		for i := 0; i < stop && strings.HasSuffix(s, content); i++ {
			s = s[:len(s)-len(content)]
		}
		return s
	})
}

func metaspaceByDefinition(toks []string) []string {
	out := make([]string, len(toks))
	for i, t := range toks {
		to := " "
		if i == 0 {
			to = ""
		}
		out[i] = strings.ReplaceAll(t, "▁", to)
	}
	return out
}

var stages = []struct {
	name   string
	stage  stage
	define definition
}{
	{"spaced", spaced, fused(" ")},
	{"Fuse", fuse, fused("")},
	{"ByteLevel", byteLevel, byteLevelByDefinition},
	{"ByteFallback", byteFallback, byteFallbackByDefinition},
	{"Replace ▁", replace("▁", " "), each(func(s string) string { return strings.ReplaceAll(s, "▁", " ") })},
	{"Replace aab", replace("aab", "ab"), each(func(s string) string { return strings.ReplaceAll(s, "aab", "ab") })},
	{"Strip 1 in front", strip(" ", 1, 0), stripByDefinition(" ", 1, 0)},
	{"Strip 2 and 2", strip("a", 2, 2), stripByDefinition("a", 2, 2)},
	{"Strip at the end", strip("日", 0, 3), stripByDefinition("日", 0, 3)},
	{"Metaspace", metaspace("▁", true), metaspaceByDefinition},
}

var someTokens = []string{
	"a", "aa", "aab", "b", " ", "  a ", "▁", "▁a", "▁▁", "日", "a日日", "<0x0A>", "<0xE6>", "<0x97>", "<0xA5>", "<0xFF>", "<0x41>", "<0xZZ>",
	"æ", "Ĺ", "¥", "Ġa", "ðŁĺ", "Ģ", "<s>", "",
}

// hold checks the streamed text of every prefix of toks against the definition.
func hold(t *testing.T, kinds []int, toks []string) {
	t.Helper()
	var list []stage
	var names []string
	for _, k := range kinds {
		list, names = append(list, stages[k].stage), append(names, stages[k].name)
	}
	for n := range len(toks) + 1 {
		want := toks[:n]
		for _, k := range kinds {
			want = stages[k].define(want)
		}
		whole, said := strings.Join(want, ""), ""
		push, flush := sequence(list)(func(piece string, _ bool) {
			if !utf8.ValidString(piece) {
				t.Fatalf("%q through %q: %q is not UTF-8", toks[:n], names, piece)
			}
			said += piece
		})
		for _, tok := range toks[:n] {
			push(tok, true)
		}
		before := said
		if flush(); said != whole {
			t.Fatalf("%q through %q gives %q, by definition %q", toks[:n], names, said, whole)
		}
		if n < len(toks) { // what was said before the end holds with any other end
			other := append(append([]string{}, toks[:n]...), toks[n:]...)
			for _, k := range kinds {
				other = stages[k].define(other)
			}
			if !strings.HasPrefix(strings.Join(other, ""), before) {
				t.Fatalf("%q through %q said %q too early", toks[:n], names, before)
			}
		}
	}
}

func TestEveryDecoderStreamsWhatItsDefinitionGives(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		kinds := make([]int, 1+r.IntN(4))
		for i := range kinds {
			kinds[i] = r.IntN(len(stages))
		}
		toks := make([]string, r.IntN(14))
		for i := range toks {
			toks[i] = someTokens[r.IntN(len(someTokens))]
		}
		hold(t, kinds, toks)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{3, 1, 6}, []byte{12, 13, 14, 7, 11})
	f.Fuzz(func(t *testing.T, kinds, toks []byte) {
		if len(kinds) > 6 || len(toks) > 40 {
			return
		}
		var k []int
		for _, b := range kinds {
			k = append(k, int(b)%len(stages))
		}
		var s []string
		for _, b := range toks {
			s = append(s, someTokens[int(b)%len(someTokens)])
		}
		hold(t, k, s)
	})
}

// The reference's text of every case, streamed; and of every prefix, decoded at once.
func TestStreamedTextIsDecodedText(t *testing.T) {
	stream := func(t *testing.T, tok *Tokenizer, f fixture) {
		for _, c := range f.Cases {
			if len(c.IDs) > 300 {
				continue // every prefix of it is decoded
			}
			for _, skip := range []bool{false, true} {
				ids, want := c.IDs, c.Dec
				if skip {
					if c.Text != nil {
						ids = c.Special
					}
					want = c.Skip
				}
				d, said := tok.NewDecoder(skip), ""
				for n, id := range ids {
					piece := d.Add(id)
					if said += piece; !utf8.ValidString(piece) || !strings.HasPrefix(want, said) {
						t.Fatalf("%v: %q was said after token %d, the text is %q", ids, said, n, want)
					}
					if whole := tok.Decode(ids[:n+1], skip); !strings.HasPrefix(whole, said) {
						t.Fatalf("%v: said %q, that prefix is %q", ids[:n+1], said, whole)
					}
				}
				if said += d.Flush(); said != want {
					t.Fatalf("%v: streamed %q, want %q", ids, said, want)
				}
			}
		}
	}
	for _, name := range []string{"qwen2", "llama3", "gpt2", "gpt2-prefix-space", "digits", "sentencepiece", "metaspace-always", "metaspace-first", "metaspace-never", "metaspace-legacy"} {
		t.Run(name, func(t *testing.T) {
			f := readFixture(t, name)
			tok, err := parse(f.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			stream(t, tok, f)
		})
	}
	for name, path := range map[string]string{"real-qwen3": "tokenizers/qwen3", "real-phi35": "tokenizers/phi35"} {
		t.Run(name, func(t *testing.T) {
			for _, dir := range realdata.Paths(t, path) {
				stream(t, load(t, dir), readFixture(t, name))
			}
		})
	}
}

func TestTextIsSaidAsSoonAsItIsFinal(t *testing.T) {
	for name, c := range map[string]struct {
		stage  stage
		tokens []string
		want   []string // after each token, then at the end
	}{
		"byte-level: a character in three tokens": {byteLevel, []string{"a", "æ", "Ĺ", "¥", "b"}, []string{"a", "", "", "日", "b", ""}},
		"byte-level: a character that is cut":     {byteLevel, []string{"æ", "a", "æĹ"}, []string{"", "\ufffda", "", "\ufffd"}},
		"byte fallback: a run is one decision":    {sequence([]stage{byteFallback, fuse}), []string{"<0xE6>", "<0x97>", "<0xA5>", "a"}, []string{"", "", "", "日a", ""}},
		"byte fallback: a run at the end":         {byteFallback, []string{"a", "<0x0A>"}, []string{"a", "", "\n"}},
		"llama: the first space goes": {
			sequence([]stage{replace("▁", " "), byteFallback, fuse, strip(" ", 1, 0)}),
			[]string{"▁a", "▁b", "<0x0A>", "▁▁c"}, []string{"a", " b", "", "\n  c", ""},
		},
		"fused text whose end may be stripped": {sequence([]stage{fuse, strip(" ", 0, 1)}), []string{"a ", "b ", " "}, []string{"a", " b", " ", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			said := ""
			push, flush := c.stage(func(piece string, _ bool) { said += piece })
			for i, want := range c.want {
				if said = ""; i < len(c.tokens) {
					push(c.tokens[i], true)
				} else {
					flush()
				}
				if said != want {
					t.Errorf("step %d says %q, want %q", i, said, want)
				}
			}
		})
	}
}

func TestADecoderStartsAnewAfterItsEnd(t *testing.T) {
	f := readFixture(t, "metaspace-first")
	tok, err := parse(f.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode("a b", false)
	d := tok.NewDecoder(true)
	for range 2 {
		said := ""
		for _, id := range ids {
			said += d.Add(id)
		}
		if said += d.Flush(); said != "a b" {
			t.Errorf("said %q", said)
		}
	}
}
