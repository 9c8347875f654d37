package thinking

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold is text as its repetition is looked for: letters and digits alone, without case, width, accents and the
// difference of hiragana and katakana.
type fold struct {
	text  []byte
	units int
	buf   []byte
	norm  []byte
}

// folded folds a whole text as a final is folded.
func folded(text string) fold {
	var f fold
	e := escapes{sink: func(_, decoded []byte) {
		for _, r := range string(decoded) {
			f.add(r, nil)
		}
	}}
	for _, r := range text {
		e.add(r)
	}
	e.end()
	return f
}

// add folds a character and gives the units that it has. each, where not nil, gets every character that it decomposes
// into, compatibility forms resolved, when its folded form has joined the text; 0 is that of what is neither letter nor
// digit.
func (f *fold) add(r rune, each func(r, folded rune)) (units int) {
	if r < utf8.RuneSelf {
		return f.one(r, each)
	}
	f.buf = utf8.AppendRune(f.buf[:0], r)
	f.norm = norm.NFKD.Append(f.norm[:0], f.buf...)
	for b := f.norm; len(b) > 0; {
		d, n := utf8.DecodeRune(b)
		units += f.one(d, each)
		b = b[n:]
	}
	return units
}

func (f *fold) one(r rune, each func(r, folded rune)) int {
	low := simple(r)
	if low == 'ß' { // whose capital is two letters
		return f.one('S', each) + f.one('S', each)
	}
	n := 0
	if low != 0 {
		f.text = utf8.AppendRune(f.text, low)
		n = units(low)
		f.units += n
	}
	if each != nil {
		each(r, low)
	}
	return n
}

// simple folds a character without a decomposition; one that is neither letter nor digit is 0.
func simple(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return r - 'a' + 'A'
	case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return r
	case r < utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsNumber(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return 0
	case 0x30a1 <= r && r <= 0x30f6: // katakana as hiragana
		return r - 0x60
	case r == 'ı':
		return 'I'
	}
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	return least
}

// units of a folded character.
func units(r rune) int {
	if r >= 0x2e80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) {
		return 2
	}
	return 1
}
