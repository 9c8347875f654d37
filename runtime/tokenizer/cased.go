package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// casing is how a word of letters may go on in the patterns that tell case apart.
type casing uint8

const (
	uncased casing = iota // no letter and no mark
	upper                 // [\p{Lu}\p{Lt}]
	lower                 // \p{Ll}
	both                  // [\p{Lm}\p{Lo}\p{M}], which counts as either
)

// casingAt is the casing and the size in bytes of the first character of s. Marks that Unicode 15.1 and
// 16 added count as none.
func casingAt(s string) (casing, int) {
	if s == "" {
		return uncased, 0
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && n == 1:
		return uncased, n
	case unicode.In(r, unicode.Lu, unicode.Lt, newUpper):
		return upper, n
	case unicode.In(r, unicode.Ll, newLower):
		return lower, n
	case isLetter(r), unicode.Is(unicode.M, r):
		return both, n
	}
	return uncased, n
}

// cased is the length of a word that is at most once cut by case, 0 where s does not begin with one: any
// one character but a letter, a number or a line end may come first, then
//
//	[upper both]* [lower both]+   or else   [upper both]+ [lower both]*
//
// of which the first is tried with and without that character before the second, as the pattern's
// alternatives are.
func (p splitter) cased(s string) int {
	lead := 0
	if first, size := classAt(s); first == other || first == space {
		lead = size
	}
	for _, word := range []func(string) int{endsLower, beginsUpper} {
		for _, from := range []int{lead, 0} {
			if n := word(s[from:]); n > 0 {
				n += from
				if p.suffix {
					n += p.contraction(s[n:])
				}
				return n
			}
			if lead == 0 {
				break
			}
		}
	}
	return 0
}

// endsLower is [upper both]* [lower both]+, both as long as they can be: where nothing lower follows the
// first part, that gives back what comes after its last character that is either, and that character.
func endsLower(s string) int {
	end, last := 0, 0
	for {
		c, n := casingAt(s[end:])
		if c != upper && c != both {
			break
		}
		end += n
		if c == both {
			last = end
		}
	}
	from := end
	for {
		c, n := casingAt(s[end:])
		if c != lower && c != both {
			break
		}
		end += n
	}
	if end > from {
		return end
	}
	return last
}

// beginsUpper is [upper both]+ [lower both]* where endsLower does not match: no lower character follows.
func beginsUpper(s string) int {
	end := 0
	for {
		c, n := casingAt(s[end:])
		if c != upper && c != both {
			return end
		}
		end += n
	}
}

// Letters with case that Unicode 15.1 and 16 added, beside newLetters.
var (
	newUpper = &unicode.RangeTable{
		R16: []unicode.Range16{
			{Lo: 0x1C89, Hi: 0x1C89, Stride: 1}, {Lo: 0xA7CB, Hi: 0xA7CC, Stride: 1}, {Lo: 0xA7DA, Hi: 0xA7DC, Stride: 2},
		},
		R32: []unicode.Range32{{Lo: 0x10D50, Hi: 0x10D65, Stride: 1}},
	}
	newLower = &unicode.RangeTable{
		R16: []unicode.Range16{
			{Lo: 0x1C8A, Hi: 0x1C8A, Stride: 1}, {Lo: 0xA7CD, Hi: 0xA7CD, Stride: 1}, {Lo: 0xA7DB, Hi: 0xA7DB, Stride: 1},
		},
		R32: []unicode.Range32{{Lo: 0x10D70, Hi: 0x10D85, Stride: 1}},
	}
)
