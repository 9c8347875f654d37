package query

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kindOf a token.
type tokenKind int

const (
	end tokenKind = iota
	word
	quoted
	operator
	open
	closing
	comma
)

type token struct {
	kind  tokenKind
	text  string // a quoted one's without its quotes; an operator's as the Op it is
	at    int    // in characters, from 1
	glued bool   // nothing stands between it and the token before
}

func (t token) is(keyword string) bool { return t.kind == word && strings.EqualFold(t.text, keyword) }

// String is the token as an error shows it.
func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%.40q", t.text)
}

// Error says what is wrong with a filter, an order or a key, and where.
type Error struct {
	At   int // in characters, from 1
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("at character %d: %s", e.At, e.Text) }

func errorAt(at int, format string, args ...any) error {
	return &Error{at, fmt.Sprintf(format, args...)}
}

// lex cuts a text into tokens, the last of which is the end.
func lex(text string) ([]token, error) {
	if !utf8.ValidString(text) {
		return nil, errorAt(utf8.RuneCountInString(text[:invalidAt(text)])+1, "it is not UTF-8")
	}
	l := lexer{in: []rune(text)}
	for {
		before := l.i
		for l.i < len(l.in) && unicode.IsSpace(l.in[l.i]) {
			l.i++
		}
		glued := before == l.i && l.i > 0
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		t.glued = glued
		l.out = append(l.out, t)
		if t.kind == end {
			return l.out, nil
		}
	}
}

func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return i
			}
		}
	}
	return len(text)
}

type lexer struct {
	in  []rune
	i   int
	out []token
}

func (l *lexer) at(i int) rune {
	if i < len(l.in) {
		return l.in[i]
	}
	return 0
}

func (l *lexer) next() (token, error) {
	start := l.i
	t := token{at: start + 1}
	if start == len(l.in) {
		return t, nil
	}
	take := func(kind tokenKind, n int, text string) (token, error) {
		l.i += n
		t.kind, t.text = kind, text
		return t, nil
	}
	two := string(l.in[start:min(start+2, len(l.in))])
	switch c := l.in[start]; {
	case c == '(':
		return take(open, 1, "(")
	case c == ')':
		return take(closing, 1, ")")
	case c == ',':
		return take(comma, 1, ",")
	case two == "==":
		return take(operator, 2, "=")
	case two == "<>":
		return take(operator, 2, "!=")
	case two == "<=" || two == ">=" || two == "!=":
		return take(operator, 2, two)
	case c == '=' || c == '<' || c == '>':
		return take(operator, 1, string(c))
	case c == '\'' || c == '"' || c == '`':
		return l.quoted(c)
	case unicode.IsControl(c):
		return t, errorAt(t.at, "a control character")
	}
	for l.i < len(l.in) && !l.ends() {
		l.i++
	}
	return token{kind: word, text: string(l.in[start:l.i]), at: t.at}, nil
}

// ends says that the word under way does. A quote inside a word (don't) belongs to it, but for one after a dot,
// which begins a name (metrics."a b").
func (l *lexer) ends() bool {
	switch c := l.in[l.i]; c {
	case '(', ')', ',', '=', '<', '>':
		return true
	case '!':
		return l.at(l.i+1) == '='
	case '\'', '"', '`':
		return l.at(l.i-1) == '.'
	default:
		return unicode.IsSpace(c) || unicode.IsControl(c)
	}
}

func (l *lexer) quoted(q rune) (token, error) {
	t := token{kind: quoted, at: l.i + 1}
	var text strings.Builder
	for l.i++; l.i < len(l.in); l.i++ {
		if l.in[l.i] == q {
			if l.at(l.i+1) != q {
				l.i++
				t.text = text.String()
				return t, nil
			}
			l.i++
		}
		text.WriteRune(l.in[l.i])
	}
	return t, errorAt(t.at, "the quote %c that begins here has no end", q)
}
