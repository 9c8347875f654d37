package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func pieces(pattern, text string) []string {
	var got []string
	splitters[pattern].cut(text, true, func(s string, _ bool) { got = append(got, s) })
	return got
}

// TestSplit holds each alternative of the patterns, derived by hand from them.
func TestSplit(t *testing.T) {
	tests := []struct {
		name, text string
		// Words by | in the families' results; same as qwen where empty.
		qwen, llama, gpt2 string
	}{
		{"contractions leave the word", "I'm we're", "I|'m| we|'re", "", ""},
		{"in capitals only with (?i:)", "I'M WE'LL", "I|'M| WE|'LL", "", "I|'|M| WE|'|LL"},
		{"the long s folds to s", "it'ſ", "it|'ſ", "", "it|'|ſ"},
		{"a contraction wins over a quoted word", "'test'", "'t|est|'", "", ""},
		{"an apostrophe leads a word that is no contraction", "'cause", "'cause", "", "'|cause"},
		{"re needs both letters", "'r 're", "'r| '|re", "", "'|r| '|re"},
		{"one space goes to the word after it", "a b", "a| b", "", ""},
		{"the last of several spaces does", "a   b", "a|  | b", "", ""},
		{"spaces at the end stay together", "a   ", "a|   ", "", ""},
		{"a tab leads letters", "a\tb", "a|\tb", "", "a|\t|b"},
		{"the last white space leads letters", "a \tb", "a| |\tb", "", "a| |\t|b"},
		{"any mark leads letters", "(a) -b", "(a|)| -|b", "", "(|a|)| -|b"},
		{"a combining mark is no letter", "e\u0301a", "e|\u0301a", "", "e|\u0301|a"},
		{"numbers", "a1234567", "a|1|2|3|4|5|6|7", "a|123|456|7", "a|1234567"},
		{"a space before a number", "a 12", "a| |1|2", "a| |12", "a| 12"},
		{"number letters and fractions are numbers", "Ⅷ½٣", "Ⅷ|½|٣", "Ⅷ½٣", "Ⅷ½٣"},
		{"punctuation takes line ends", "!!\n\nx", "!!\n\n|x", "", "!!|\n|\n|x"},
		{"but not the spaces before them", "! \nx", "!| \n|x", "", "!| |\n|x"},
		{"punctuation takes one space", "a  !!", "a| | !!", "", ""},
		{"white space up to its last line end", "a \n \n  b", "a| \n \n| | b", "", "a| \n \n | b"},
		{"a carriage return is a line end", "a\r\nb", "a|\r\n|b", "", "a|\r|\n|b"},
		{"a line end leads no letters", "\na", "\n|a", "", ""},
		{"a no-break space is white space", "a\u00a0\u00a0b", "a|\u00a0|\u00a0b", "", "a|\u00a0|\u00a0|b"},
		{"an ideographic space leads letters", "日\u3000本", "日|\u3000本", "", "日|\u3000|本"},
		{"kana and kanji run together", "日本のこと。次", "日本のこと|。次", "", "日本のこと|。|次"},
		{"a next-line is white space and no line end", "a\u0085b", "a|\u0085b", "", "a|\u0085|b"},
		{"a zero-width joiner is punctuation", "👨\u200d👩", "👨\u200d👩", "", ""},
		{"a letter of Unicode 16 is a letter", "\u1c89b", "\u1c89b", "", ""},
		{"a number of Unicode 16 is a number", "1\U000116d01", "1|\U000116d0|1", "1\U000116d01", "1\U000116d01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, f := range []struct{ name, pattern, want string }{
				{"qwen", Qwen2Pattern, tt.qwen}, {"llama", Llama3Pattern, tt.llama}, {"gpt2", gpt2Pattern, tt.gpt2},
			} {
				want := f.want
				if want == "" {
					want = tt.qwen
				}
				if got := pieces(f.pattern, tt.text); !slices.Equal(got, strings.Split(want, "|")) {
					t.Errorf("%s: got %q, want %q", f.name, got, strings.Split(want, "|"))
				}
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("I'll  have\n 3 ½ cafés。")
	f.Fuzz(func(t *testing.T, s string) {
		for pattern := range splitters {
			got := pieces(pattern, s)
			if strings.Join(got, "") != s {
				t.Fatalf("%q became %q", s, got)
			}
			for _, p := range got {
				if p == "" || utf8.ValidString(s) && !utf8.ValidString(p) {
					t.Fatalf("%q has the piece %q", s, p)
				}
			}
		}
	})
}
