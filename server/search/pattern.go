package search

import (
	"strings"
	"unicode"
)

// pattern is one of LIKE: % stands for any text, _ for one character, everything else for itself.
type pattern struct {
	want   []rune
	folded bool
}

func newPattern(text string, folded bool) pattern {
	if folded {
		text = fold(text)
	}
	return pattern{[]rune(text), folded}
}

// Like says whether text is like a pattern, in any case where folded says so.
func Like(text, pattern string, folded bool) bool { return newPattern(pattern, folded).matches(text) }

func fold(text string) string { return strings.Map(unicode.ToLower, text) }

// matches takes at most as many steps as both lengths multiplied.
func (p pattern) matches(text string) bool {
	if p.folded {
		text = fold(text)
	}
	in := []rune(text)
	i, j := 0, 0
	star, from := -1, 0 // the last %, and how far it reached
	for i < len(in) {
		switch {
		case j < len(p.want) && p.want[j] == '%':
			star, from = j, i
			j++
		case j < len(p.want) && (p.want[j] == '_' || p.want[j] == in[i]):
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = from, star+1
		default:
			return false
		}
	}
	for j < len(p.want) && p.want[j] == '%' {
		j++
	}
	return j == len(p.want)
}
