package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// The byte-level alphabet of GPT-2 (openai/gpt-2, encoder.py, bytes_to_unicode):
// a printable Latin-1 byte stands for itself, every other byte for the next code
// point from U+0100 on, so that any bytes become printable text.
var byteChar, charByte = byteAlphabet()

func byteAlphabet() (fwd [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if printable := b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae; !printable {
			r = next
			next++
		}
		fwd[b] = r
		back[r] = byte(b)
	}
	return fwd, back
}

// mapBytes writes the bytes of s in the byte-level alphabet.
func mapBytes(s string) string {
	var b strings.Builder
	b.Grow(2 * len(s))
	for i := range len(s) {
		b.WriteRune(byteChar[s[i]])
	}
	return b.String()
}

// appendUnmapped appends the bytes that token stands for in the byte-level
// alphabet. A token with any character outside the alphabet stands for itself.
func appendUnmapped(dst []byte, token string) []byte {
	start := len(dst)
	for _, r := range token {
		b, ok := charByte[r]
		if !ok {
			return append(dst[:start], token...)
		}
		dst = append(dst, b)
	}
	return dst
}

// lossy turns bytes into valid UTF-8: each longest prefix of a valid sequence
// that is cut short, and each other invalid byte, becomes one U+FFFD (Unicode
// Standard, section 3.9, "substitution of maximal subparts").
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	out.Grow(len(b) + 8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = cutShort(b)
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// cutShort is the length of the invalid piece at the start of b that one U+FFFD
// stands for (Unicode Standard, table 3-7).
func cutShort(b []byte) int {
	lo, hi, want := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		want = 2
	case c >= 0xe0 && c <= 0xef:
		want = 3
		if c == 0xe0 {
			lo = 0xa0
		} else if c == 0xed {
			hi = 0x9f
		}
	case c >= 0xf0 && c <= 0xf4:
		want = 4
		if c == 0xf0 {
			lo = 0x90
		} else if c == 0xf4 {
			hi = 0x8f
		}
	}
	n := 1
	for n < want && n < len(b) && b[n] >= lo && b[n] <= hi {
		n++
		lo, hi = 0x80, 0xbf
	}
	return n
}
