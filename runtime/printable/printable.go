// Package printable shows text that somebody else wrote (a metric module, a
// data set, a model, a file's name) without letting it act on a terminal or
// pass for other text on a page: what cannot be seen, or moves or reorders
// what is around it, is shown as an escape.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line escapes text for a place on a line: besides what Text escapes, line
// breaks and tabs, as \n, \r and \t.
func Line(s string) string { return escape(s, false) }

// Text escapes running text, which keeps its line feeds and tabs:
//
//   - control characters (C0, DEL and C1, so every escape sequence) and bytes
//     that are no UTF-8, some of which a terminal takes for C1;
//   - what orders text from right to left or back (embeddings, overrides,
//     isolates, marks), though not letters that run so by themselves;
//   - what has no width: spaces, joiners, fillers, tags, byte order marks;
//   - line and paragraph separators, and characters of no meaning.
//
// Joiners stay where a script or an emoji needs them, and so does one variation
// selector behind a character. An escape is \uXXXX as JSON has it (two for a
// character beyond U+FFFF), so that JSON escaped here means what it did; a byte
// that is no UTF-8 is \xXX.
func Text(s string) string { return escape(s, true) }

func escape(s string, lines bool) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] < 0x7f || lines && (s[i] == '\n' || s[i] == '\t')
	}
	if clean {
		return s
	}
	out, _ := escapeAfter(escaper{lines: lines}, s)
	return out
}

// escapeAfter goes on where e is, and returns its last character, too.
func escapeAfter(e escaper, s string) (string, rune) {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		after, _ := utf8.DecodeRuneInString(s[n:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
			e.before = 0
		} else {
			e.write(&b, r, after)
		}
		s = s[n:]
	}
	return b.String(), e.before
}

// escaper writes characters; before is the last one that was written as it is.
type escaper struct {
	lines  bool
	before rune
}

func (e *escaper) write(b *strings.Builder, r, after rune) {
	if e.shown(r, after) {
		b.WriteRune(r)
		e.before = r
		return
	}
	e.before = 0
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
	default:
		fmt.Fprintf(b, `\u%04x`, r)
	}
}

const nonJoiner, joiner = 0x200c, 0x200d

// shown reports whether a character may stand as it is behind the last one.
func (e *escaper) shown(r, after rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return e.lines
	case r == nonJoiner:
		return unicode.In(e.before, joining...) && unicode.In(after, joining...)
	case r == joiner:
		return unicode.In(e.before, joining...) || pictorial(e.before) && pictorial(after)
	case unicode.Is(unicode.Variation_Selector, r):
		return e.before > ' ' && !unicode.Is(unicode.Variation_Selector, e.before)
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // format characters that are seen
		return true
	}
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point)
}

// joining are the scripts whose words may need a joiner or a non-joiner.
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Nko, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi,
	unicode.Gujarati, unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala,
	unicode.Khmer, unicode.Myanmar, unicode.Tibetan,
}

// pictorial reports whether a character may be a part of a joined emoji.
func pictorial(r rune) bool {
	return unicode.Is(unicode.So, r) || unicode.Is(unicode.Sk, r) && r > 0xffff || unicode.Is(unicode.Variation_Selector, r) || r == '♂' || r == '♀'
}
