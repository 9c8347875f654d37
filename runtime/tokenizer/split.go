package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitter cuts text into words as one of the regular expressions that byte-level
// tokenizers carry would. Go's regexp has no look-ahead, so each alternative is
// written out; the fields say in which ways the families differ.
type splitter struct {
	// foldCase: contractions ('s 't 're 've 'm 'll 'd) in any case.
	foldCase bool
	// anyLead: a word of letters may begin with any one character that is not a
	// letter, a number or a line end; otherwise only with one space.
	anyLead bool
	// digits: the most characters in a word of numbers, which then takes no
	// leading space; 0 means any number of them after an optional space.
	digits int
	// lines: line ends belong to the punctuation before them, and white space up
	// to its last line end is a word of its own.
	lines bool
	// byCase: a word of letters is capitals, then small letters, and marks are of it; suffix: a contraction
	// then ends a word of letters instead of being one; slashes follow punctuation as line ends do.
	byCase, suffix bool
}

// gpt2Pattern is ByteLevel's own.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// The patterns that cut text into words, as a Split of tokenizer.json spells them.
const (
	Llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	Qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// GPT-4o's, which Phi-4-mini has, and Mistral's Tekken.
	GPT4oPattern  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	TekkenPattern = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var splitters = map[string]splitter{
	gpt2Pattern:   {},
	Llama3Pattern: {foldCase: true, anyLead: true, digits: 3, lines: true},
	Qwen2Pattern:  {foldCase: true, anyLead: true, digits: 1, lines: true},
	GPT4oPattern:  {foldCase: true, byCase: true, suffix: true, digits: 3, lines: true},
	TekkenPattern: {byCase: true, digits: 1, lines: true},
}

// class is what the patterns tell characters apart by.
type class uint8

const (
	other   class = iota // [^\s\p{L}\p{N}]
	letter               // \p{L}
	number               // \p{N}
	space                // \s but not a line end
	lineEnd              // [\r\n]
	none                 // past the end
)

// classAt is the class and the size in bytes of the first character of s.
func classAt(s string) (class, int) {
	if s == "" {
		return none, 0
	}
	if c := s[0]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case isLetter(r):
		return letter, n
	case isNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return other, n
}

var asciiClass = func() (t [utf8.RuneSelf]class) {
	for c := range t {
		switch r := rune(c); {
		case r == '\r' || r == '\n':
			t[c] = lineEnd
		case unicode.IsSpace(r):
			t[c] = space
		case unicode.IsLetter(r):
			t[c] = letter
		case unicode.IsDigit(r):
			t[c] = number
		}
	}
	return t
}()

// run is the length in bytes of the longest prefix of s whose characters are all
// of class c, and at most max of them (no limit where max is 0).
func run(s string, c class, max int) int {
	end := 0
	for count := 0; max == 0 || count < max; count++ {
		got, n := classAt(s[end:])
		if got != c {
			break
		}
		end += n
	}
	return end
}

// next is the length in bytes of the first word of s, which is not empty. The
// alternatives are tried in the pattern's order, the first that matches wins.
func (p splitter) next(s string) int {
	if n := p.letters(s); n > 0 {
		return n
	}
	blank := 0 // the optional space before numbers (GPT-2) and punctuation
	if s[0] == ' ' {
		blank = 1
	}
	if p.digits > 0 {
		if n := run(s, number, p.digits); n > 0 {
			return n
		}
	} else if n := run(s[blank:], number, 0); n > 0 {
		return blank + n
	}
	if n := run(s[blank:], other, 0); n > 0 {
		n += blank
		for p.lines && n < len(s) && (s[n] == '\r' || s[n] == '\n' || p.byCase && s[n] == '/') {
			n++
		}
		return n
	}
	return p.blanks(s)
}

// letters is next for a contraction or a word of letters.
func (p splitter) letters(s string) int {
	if p.byCase {
		return p.cased(s)
	}
	if n := p.contraction(s); n > 0 {
		return n
	}
	first, size := classAt(s)
	// lead is the size of the optional one character before letters.
	lead := 0
	if p.anyLead && (first == other || first == space) || s[0] == ' ' {
		lead = size
	}
	if n := run(s[lead:], letter, 0); n > 0 {
		return lead + n
	}
	return 0
}

// blanks is next for white space: every other character was matched before.
func (p splitter) blanks(s string) int {
	end, last, lastLine := 0, 0, 0
	for {
		c, n := classAt(s[end:])
		if c != space && c != lineEnd {
			break
		}
		last = end
		end += n
		if c == lineEnd {
			lastLine = end
		}
	}
	switch {
	case p.lines && lastLine > 0: // \s*[\r\n]+
		return lastLine
	case end == len(s) || last == 0: // \s+(?!\S) to the end of the text; \s+
		return end
	}
	return last // \s+(?!\S) leaves the last one to the next word
}

// contraction is the length of an English contraction at the start of s, or 0.
func (p splitter) contraction(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	for _, suffix := range []string{"s", "t", "re", "ve", "m", "ll", "d"} {
		if n := 1 + len(suffix); len(s) >= n {
			if got := s[1:n]; got == suffix || p.foldCase && strings.EqualFold(got, suffix) {
				return n
			}
		}
	}
	// ſ (U+017F) is a lower-case form of S, the one non-ASCII letter that folds
	// to a letter of these.
	if p.foldCase && strings.HasPrefix(s[1:], "ſ") {
		return 1 + len("ſ")
	}
	return 0
}
