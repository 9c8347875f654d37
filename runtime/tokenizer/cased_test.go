package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestWordsAreCutByCase(t *testing.T) {
	for _, c := range []struct{ text, tekken, gpt4o string }{
		{"HelloWorld fooBar", "Hello|World| foo|Bar", ""},
		{"HTTPServer API", "HTTPServer| API", ""},
		{"don't I'M", "don|'t| I|'M", "don't| I'M"},
		{"the dogs' day", "the| dogs|'| day", ""},
		{"naïve e\u0301a", "naïve| e\u0301a", ""},
		{"日本語 ABC日本d", "日本語| ABC日本d", ""},
		{"ABC日D", "ABC日|D", ""},
		{"(a) -B", "(a|)| -|B", "(a|)| -|B"},
		{"a/b ://\n\nx", "a|/b| ://\n\n|x", ""},
		{"a 1234", "a| |1|2|3|4", "a| |123|4"},
		{"a   b \n c", "a|  | b| \n| c", ""},
		{"\u0301a", "\u0301a", ""},
	} {
		for name, p := range map[string]string{"tekken": TekkenPattern, "gpt-4o": GPT4oPattern} {
			want := c.tekken
			if name == "gpt-4o" && c.gpt4o != "" {
				want = c.gpt4o
			}
			if got := pieces(p, c.text); !slices.Equal(got, slow(c.text, p)) {
				t.Errorf("%s: %q is cut into %q, by backtracking into %q", name, c.text, got, slow(c.text, p))
			} else if s := strings.Join(got, "|"); s != want {
				t.Errorf("%s: %q is cut into %q, want %q", name, c.text, s, want)
			}
		}
	}
}

// slow cuts by trying every division that the pattern allows, in its order.
func slow(text, pattern string) []string {
	r := []rune(text)
	is := func(i int, tables ...*unicode.RangeTable) bool { return i < len(r) && unicode.In(r[i], tables...) }
	x := func(i int) bool { return is(i, unicode.Lu, unicode.Lt, unicode.Lm, unicode.Lo, unicode.M) }
	y := func(i int) bool { return is(i, unicode.Ll, unicode.Lm, unicode.Lo, unicode.M) }
	long := func(i int, in func(int) bool) int {
		for in(i) {
			i++
		}
		return i
	}
	isSpace := func(i int) bool { return i < len(r) && unicode.IsSpace(r[i]) }
	isLine := func(i int) bool { return i < len(r) && (r[i] == '\r' || r[i] == '\n') }
	isPunct := func(i int) bool { return i < len(r) && !isSpace(i) && !is(i, unicode.L, unicode.N) }
	suffix := func(i int) int {
		if pattern == GPT4oPattern {
			for _, s := range []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
				if i+len(s) <= len(r) && strings.EqualFold(string(r[i:i+len(s)]), s) {
					return i + len(s)
				}
			}
		}
		return i
	}
	word := func(i, least1, least2 int) int {
		starts := []int{i}
		if i < len(r) && !isLine(i) && !is(i, unicode.L, unicode.N) {
			starts = []int{i + 1, i}
		}
		for _, from := range starts {
			for mid := long(from, x); mid >= from+least1; mid-- {
				if end := long(mid, y); end >= mid+least2 {
					return suffix(end)
				}
			}
		}
		return i
	}
	next := func(i int) int {
		if end := word(i, 0, 1); end > i {
			return end
		}
		if end := word(i, 1, 0); end > i {
			return end
		}
		most := 1
		if pattern == GPT4oPattern {
			most = 3
		}
		end := i
		for is(end, unicode.N) && end < i+most {
			end++
		}
		if end > i {
			return end
		}
		from := i
		if r[i] == ' ' {
			from++
		}
		if end = long(from, isPunct); end > from {
			return long(end, func(j int) bool { return isLine(j) || j < len(r) && r[j] == '/' })
		}
		end = long(i, isSpace)
		for line := end; line > i; line-- {
			if isLine(line - 1) {
				return line
			}
		}
		if end < len(r) && end > i+1 {
			return end - 1
		}
		return end
	}
	var out []string
	for i := 0; i < len(r); {
		end := next(i)
		out = append(out, string(r[i:end]))
		i = end
	}
	return out
}

func TestWordsAreCutByCaseAsBacktrackingCutsThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("aAbBéÉǅªʰ日ا\u0301\u0300'sStT1½ \t\n\r/-.!\u00a0")
	for range 20000 {
		text := make([]rune, 1+rng.IntN(14))
		for i := range text {
			text[i] = alphabet[rng.IntN(len(alphabet))]
		}
		for _, p := range []string{TekkenPattern, GPT4oPattern} {
			if got, want := pieces(p, string(text)), slow(string(text), p); !slices.Equal(got, want) {
				t.Fatalf("%q is cut into %q, by backtracking into %q", string(text), got, want)
			}
		}
	}
}
