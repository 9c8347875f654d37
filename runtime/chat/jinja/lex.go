package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	kEnd   kind = iota // of the template
	kData              // text outside tags
	kOpen              // {{
	kClose             // }}
	kBegin             // {%
	kStop              // %}
	kName
	kString
	kInt
	kFloat
	kOp
)

type token struct {
	kind kind
	text string
	line int
}

func (t token) String() string {
	switch t.kind {
	case kEnd:
		return "the end of the template"
	case kData:
		return "text"
	case kString:
		return strconv.Quote(t.text)
	}
	return "'" + t.text + "'"
}

// lexer cuts a template into tokens as jinja2's does with trim_blocks and lstrip_blocks on.
type lexer struct {
	src       string
	pos, line int
	lineStart bool // the last token ended with a line break
	out       []token
}

// Error is what is wrong with a template, or what it does that the engine refuses.
type Error struct {
	Line   int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

func fail(line int, format string, args ...any) error {
	return &Error{line, fmt.Sprintf(format, args...)}
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func lex(src string) ([]token, error) {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.root(); err != nil {
			return nil, err
		}
	}
	l.emit(kEnd, "")
	return l.out, nil
}

func (l *lexer) emit(k kind, text string) { l.out = append(l.out, token{k, text, l.line}) }

// advance passes n bytes.
func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.pos:l.pos+n], "\n")
	l.pos += n
}

func (l *lexer) rest() string { return l.src[l.pos:] }

// tagAt is the first {{, {% or {# of s.
func tagAt(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			return i
		}
	}
	return -1
}

// root takes text and the tag after it.
func (l *lexer) root() error {
	i := tagAt(l.rest())
	if i < 0 {
		l.emit(kData, l.rest())
		l.advance(len(l.rest()))
		return nil
	}
	text, tag := l.rest()[:i], l.rest()[i+1]
	sign := byte(0)
	if i+2 < len(l.rest()) && (l.rest()[i+2] == '-' || l.rest()[i+2] == '+' && tag != '{') {
		sign = l.rest()[i+2]
	}
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, isSpace)
	case sign != '+' && tag != '{':
		if at := strings.LastIndexByte(text, '\n') + 1; (at > 0 || l.lineStart) && strings.TrimLeftFunc(text[at:], isSpace) == "" {
			text = text[:at]
		}
	}
	if text != "" {
		l.emit(kData, text)
	}
	l.advance(i + 2)
	if sign != 0 {
		l.advance(1)
	}
	l.lineStart = false
	switch tag {
	case '#':
		end := strings.Index(l.rest(), "#}")
		if end < 0 {
			return fail(l.line, "a comment is not closed")
		}
		if end > 0 && (l.rest()[end-1] == '-' || l.rest()[end-1] == '+') {
			end--
		}
		l.advance(end)
		l.close("#}", true)
		return nil
	case '{':
		l.emit(kOpen, "{{")
		return l.inside("}}", kClose)
	}
	l.emit(kBegin, "{%")
	return l.inside("%}", kStop)
}

// close takes the end of a tag with its sign and the white space that it takes along. ok says whether
// one is here.
func (l *lexer) close(end string, trim bool) (ok bool) {
	start, rest := l.pos, l.rest()
	switch {
	case strings.HasPrefix(rest, "-"+end):
		tail := rest[len(end)+1:]
		l.advance(len(end) + 1 + len(tail) - len(strings.TrimLeftFunc(tail, isSpace)))
	case trim && strings.HasPrefix(rest, "+"+end):
		l.advance(len(end) + 1)
	case strings.HasPrefix(rest, end):
		l.advance(len(end))
		if trim && strings.HasPrefix(l.rest(), "\n") {
			l.advance(1)
		}
	default:
		return false
	}
	l.lineStart = l.src[l.pos-1] == '\n' && l.pos > start
	return true
}

// inside takes the tokens of a tag up to its end.
func (l *lexer) inside(end string, k kind) error {
	var open []byte // brackets
	for {
		l.advance(len(l.rest()) - len(strings.TrimLeftFunc(l.rest(), isSpace)))
		if len(open) == 0 {
			if line := l.line; l.close(end, k == kStop) {
				l.out = append(l.out, token{k, end, line})
				return nil
			}
		}
		if l.pos == len(l.src) {
			return fail(l.line, "a tag is not closed by %s", end)
		}
		c := l.rest()[0]
		switch {
		case c == '"' || c == '\'':
			if err := l.str(c); err != nil {
				return err
			}
			continue
		case c >= '0' && c <= '9':
			if err := l.number(); err != nil {
				return err
			}
			continue
		}
		if n := nameLength(l.rest()); n > 0 {
			l.emit(kName, l.rest()[:n])
			l.advance(n)
			continue
		}
		op := operatorAt(l.rest())
		if op == "" {
			r, _ := utf8.DecodeRuneInString(l.rest())
			return fail(l.line, "unexpected character %q", r)
		}
		switch op {
		case "(", "[", "{":
			open = append(open, map[string]byte{"(": ')', "[": ']', "{": '}'}[op])
		case ")", "]", "}":
			if len(open) == 0 || open[len(open)-1] != op[0] {
				return fail(l.line, "unexpected '%s'", op)
			}
			open = open[:len(open)-1]
		}
		l.emit(kOp, op)
		l.advance(len(op))
	}
}

var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ","}

func operatorAt(s string) string {
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

func nameLength(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return i
		}
	}
	return len(s)
}

func (l *lexer) number() error {
	s, i := l.rest(), 0
	digits := func() {
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '_') {
			i++
		}
	}
	digits()
	k := kInt
	if i+1 < len(s) && s[i] == '.' && s[i+1] >= '0' && s[i+1] <= '9' {
		k = kFloat
		i++
		digits()
	}
	if j := i; i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if at := i; true {
			if digits(); i == at {
				i = j
			} else {
				k = kFloat
			}
		}
	}
	if i < len(s) && nameLength(s[i:]) > 0 {
		return fail(l.line, "a number runs into a name: %q", s[:i+nameLength(s[i:])])
	}
	l.emit(k, strings.ReplaceAll(s[:i], "_", ""))
	l.advance(i)
	return nil
}

// str takes a string literal with Python's escapes.
func (l *lexer) str(quote byte) error {
	s := l.rest()
	end := 1
	for end < len(s) && s[end] != quote {
		if s[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(s) {
		return fail(l.line, "a string is not closed")
	}
	text, err := unescape(s[1:end])
	if err != nil {
		return fail(l.line, "%v", err)
	}
	l.emit(kString, text)
	l.advance(end + 1)
	return nil
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		if at := strings.IndexByte("abfnrtv\\'\"\n", c); at >= 0 {
			b.WriteString([]string{"\a", "\b", "\f", "\n", "\r", "\t", "\v", "\\", "'", "\"", ""}[at])
			continue
		}
		width, base := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c], 16
		from := i + 1
		if c >= '0' && c <= '7' {
			from, base = i, 8
			for width < 3 && i+width < len(s) && s[i+width] >= '0' && s[i+width] <= '7' {
				width++
			}
		}
		switch {
		case c == 'N':
			return "", fmt.Errorf(`the escape \N{name} in a string is not supported; write \u and the number`)
		case width == 0: // Python keeps the backslash of what is no escape
			b.WriteByte('\\')
			b.WriteByte(c)
			continue
		case from+width > len(s):
			return "", fmt.Errorf("a string ends within the escape %q", s[i-1:])
		}
		n, err := strconv.ParseUint(s[from:from+width], base, 32)
		if err != nil || n > unicode.MaxRune || n >= 0xd800 && n < 0xe000 {
			return "", fmt.Errorf("%q in a string is no character", s[i-1:from+width])
		}
		b.WriteRune(rune(n))
		i = from + width - 1
	}
	return b.String(), nil
}
