package printable_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"triality/runtime/printable"
)

// vectors are texts and how they are shown. The web pages' own function is held
// to those of the file, too; JSON has no bytes that are no UTF-8.
func vectors(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Text, Shown string }
	if err := json.Unmarshal(b, &list); err != nil || len(list) < 20 {
		t.Fatal(len(list), err)
	}
	out := map[string]string{
		"\x9b31m":  `\x9b31m`, // a byte that some terminals obey
		"\xff\xfe": `\xff\xfe`,
	}
	for _, v := range list {
		out[v.Text] = v.Shown
	}
	return out
}

func TestWhatActsOrHidesIsShownEscaped(t *testing.T) {
	for in, want := range vectors(t) {
		if got := printable.Line(in); got != want {
			t.Errorf("Line(%+q) = %+q, want %+q", in, got, want)
		}
		if got := printable.Text(in); got != want {
			t.Errorf("Text(%+q) = %+q, want %+q", in, got, want)
		}
		var parts strings.Builder
		w := printable.NewWriter(&parts)
		for i := range len(in) {
			if n, err := w.Write([]byte{in[i]}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.Flush(); err != nil || parts.String() != want {
			t.Errorf("byte by byte %+q gives %+q, want %+q", in, parts.String(), want)
		}
	}
	const lines = "a\tb\r\nc\n"
	if got := printable.Line(lines); got != `a\tb\r\nc\n` {
		t.Errorf("Line: %q", got)
	}
	if got := printable.Text(lines); got != "a\tb"+`\r`+"\nc\n" {
		t.Errorf("Text: %q", got)
	}
}

func TestNoControlCharacterIsEverLeft(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		got := printable.Line("a" + string(r) + "b")
		if strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.In(r, unicode.Zl, unicode.Zp) || r >= 0x200b && r <= 0x200f
		}) {
			t.Errorf("%U is left in %+q", r, got)
		}
	}
}

func TestJSONEscapedMeansWhatItDid(t *testing.T) {
	in := map[string]string{"a": "\u202e\u200b\U000e0041\u0085\x7f\"\\ 日本"}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]string
	if err := json.Unmarshal([]byte(printable.Text(string(b))), &out); err != nil || out["a"] != in["a"] {
		t.Errorf("%+q %v", out, err)
	}
}

func FuzzEscaping(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff", 3)
	f.Fuzz(func(t *testing.T, s string, cut int) {
		whole := printable.Text(s)
		if !utf8.ValidString(whole) {
			t.Errorf("%q is not UTF-8", whole)
		}
		if again := printable.Text(whole); again != whole {
			t.Errorf("%q escapes to %q", whole, again)
		}
		var b strings.Builder
		w := printable.NewWriter(&b)
		cut = min(max(cut, 0), len(s))
		for _, part := range []string{s[:cut], s[cut:]} {
			if _, err := w.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil || b.String() != whole {
			t.Errorf("in two parts %q, as one %q", b.String(), whole)
		}
	})
}
