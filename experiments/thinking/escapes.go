package thinking

import (
	"html"
	"unicode/utf8"
)

// escapes resolves HTML's character references, however often one is in the other, with or without the semicolon.
type escapes struct {
	sink func(raw, decoded []byte) // gets characters with what they stand for
	raw  []byte                    // of a reference that may go on
	text []byte                    // what it is so far, inner ones resolved
	buf  [utf8.UTFMax]byte
}

// longestEscape is from which length on a reference is taken as it stands. HTML's longest name has 32 bytes.
const longestEscape = 64

func (e *escapes) add(r rune) {
	if len(e.raw) > 0 {
		alnum := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		switch {
		case (alnum || r == '#') && len(e.raw) < longestEscape:
			e.raw, e.text = append(e.raw, byte(r)), append(e.text, byte(r))
			return
		case r == ';':
			e.raw, e.text = append(e.raw, ';'), resolved(append(e.text, ';'))
			if string(e.text) != "&" { // which another may begin with
				e.end()
			}
			return
		}
		e.end()
	}
	if r == '&' || r == '＆' || r == '﹠' {
		e.raw, e.text = utf8.AppendRune(e.raw[:0], r), append(e.text[:0], '&')
		return
	}
	c := e.buf[:utf8.EncodeRune(e.buf[:], r)]
	e.sink(c, c)
}

// end takes a reference that does not go on.
func (e *escapes) end() {
	if len(e.raw) == 0 {
		return
	}
	raw := e.raw
	e.raw = e.raw[:0]
	e.sink(raw, resolved(e.text))
}

func resolved(text []byte) []byte {
	for {
		next := html.UnescapeString(string(text))
		if next == string(text) {
			return text
		}
		text = []byte(next)
	}
}
