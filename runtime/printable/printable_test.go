package printable_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"triality/runtime/printable"
)

func TestWhatActsOrHidesIsShownEscaped(t *testing.T) {
	for in, want := range map[string]string{
		"plain ASCII, \"quoted\" \\ and <b>":        "plain ASCII, \"quoted\" \\ and <b>",
		"日本語 العربية עברית हिन्दी émoji 👍":          "日本語 العربية עברית हिन्दी émoji 👍",
		"\x1b[31mred\x1b[0m":                        `\u001b[31mred\u001b[0m`,
		"\x1b]0;title\a":                            `\u001b]0;title\u0007`,
		"a\x00b\x7fc":                               `a\u0000b\u007fc`,
		"\u0085\u009b31m":                           `\u0085\u009b31m`, // C1: next line, and a sequence of its own
		"\x9b31m":                                   `\x9b31m`,         // as a byte, which some terminals obey
		"\xff\xfe":                                  `\xff\xfe`,
		"user\u202enimda":                           `user\u202enimda`,
		"\u202a\u202b\u202c\u202d":                  `\u202a\u202b\u202c\u202d`,
		"\u2066\u2067\u2068\u2069":                  `\u2066\u2067\u2068\u2069`,
		"\u200e\u200f\u061c":                        `\u200e\u200f\u061c`,
		"ad\u200bmin\u2060\ufeff\u00ad":             `ad\u200bmin\u2060\ufeff\u00ad`,
		"ad\u200dmin\u200c.":                        `ad\u200dmin\u200c.`,
		"a\u2028b\u2029c":                           `a\u2028b\u2029c`,
		"tag\U000e0041\U000e007f":                   `tag\udb40\udc41\udb40\udc7f`,
		"\u3164\u115f\u180e\u034f":                  `\u3164\u115f\u180e\u034f`,
		"\ufff9\ufffb\ufffe\U0001ffff":              `\ufff9\ufffb\ufffe\ud83f\udfff`,
		"می‌خواهم":                                  "می‌خواهم", // Persian spells with a non-joiner
		"क्‍ष":                                      "क्‍ष",
		"👩‍🚀 🏳️‍🌈 👨🏽‍💻 ❤️":                          "👩‍🚀 🏳️‍🌈 👨🏽‍💻 ❤️",
		"a\ufe0f\ufe0f\ufe0f":                       "a\ufe0f" + `\ufe0f` + `\ufe0f`,
		" \ufe0f":                                   ` \ufe0f`,
		"葛\U000e0100":                               "葛\U000e0100",
		"\u0600١":                                   "\u0600١", // a format character that is seen
		"combining e\u0301 and zalgo o\u0300":       "combining e\u0301 and zalgo o\u0300",
		"a replacement character, \ufffd, stays so": "a replacement character, \ufffd, stays so",
	} {
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
