package jinja

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf16"
)

// jsonStyle is how tojson writes: transformers' arguments of json.dumps.
type jsonStyle struct {
	ascii, sorted bool
	indent        string // with breaks
	breaks        bool
	comma, colon  string
}

// toJSON is transformers' tojson, which is Python's json.dumps with ensure_ascii off and no escaping
// of HTML.
func toJSON(r *run, line int, v any, a args) (any, error) {
	in, err := a.want(line, "tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	s := jsonStyle{ascii: in[0] != any(absent) && truth(in[0]), sorted: in[3] != any(absent) && truth(in[3]), comma: ", ", colon: ": "}
	if in[1] != nil && in[1] != any(absent) {
		s.breaks, s.comma = true, ","
		if t, ok := in[1].(string); ok {
			s.indent = t
		} else {
			n, err := intArg(line, "tojson", in[1], 0)
			if err != nil || n > 1000 {
				return nil, or(err, fail(line, "tojson: an indent of %d", n))
			}
			s.indent = strings.Repeat(" ", int(max(n, 0)))
		}
	}
	if in[2] != nil && in[2] != any(absent) {
		sep, ok := elements(in[2])
		if !ok || len(sep) != 2 {
			return nil, fail(line, "tojson: separators must be two strings")
		}
		if s.comma, err = textArg(line, "tojson", sep[0], ""); err != nil {
			return nil, err
		}
		if s.colon, err = textArg(line, "tojson", sep[1], ""); err != nil {
			return nil, err
		}
	}
	var b strings.Builder
	if err := s.write(r, line, &b, v, "\n"); err != nil {
		return nil, err
	}
	return b.String(), nil
}

func (s jsonStyle) write(r *run, line int, b *strings.Builder, v any, newline string) error {
	if err := r.enter(line); err != nil {
		return err
	}
	defer r.leave()
	if b.Len() > maxString {
		return fail(line, "the template makes a text of more than %d bytes", maxString)
	}
	switch x := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		fmt.Fprint(b, x)
	case int64:
		fmt.Fprint(b, x)
	case float64:
		b.WriteString(strings.NewReplacer("nan", "NaN", "inf", "Infinity").Replace(floatText(x)))
	case string:
		if err := r.produce(line, len(x)); err != nil {
			return err
		}
		s.quote(b, x)
	case List, Tuple:
		items, _ := elements(v)
		return s.all(r, line, b, "[]", len(items), newline, func(i int, inner string) error {
			return s.write(r, line, b, items[i], inner)
		})
	case *Dict:
		return s.dict(r, line, b, x, newline)
	default:
		return fail(line, "tojson cannot write %s", describe(v))
	}
	return nil
}

func (s jsonStyle) dict(r *run, line int, b *strings.Builder, d *Dict, newline string) error {
	keys := make([]string, len(d.keys))
	values := map[string]any{}
	for i, k := range d.keys {
		t, ok := k.(string)
		if !ok {
			return fail(line, "tojson of a dict with a %s as a key is not supported", kindOf(k))
		}
		keys[i] = t
		values[t], _ = d.Get(k)
	}
	if s.sorted {
		sort.Strings(keys)
	}
	return s.all(r, line, b, "{}", len(keys), newline, func(i int, inner string) error {
		s.quote(b, keys[i])
		b.WriteString(s.colon)
		return s.write(r, line, b, values[keys[i]], inner)
	})
}

// all writes n elements between brackets.
func (s jsonStyle) all(r *run, line int, b *strings.Builder, brackets string, n int, newline string, one func(i int, inner string) error) error {
	b.WriteByte(brackets[0])
	inner := newline + s.indent
	for i := range n {
		if i > 0 {
			b.WriteString(s.comma)
		}
		if s.breaks {
			b.WriteString(inner)
			if err := r.spend(line, 1+len(inner)/16); err != nil {
				return err
			}
		}
		if err := one(i, inner); err != nil {
			return err
		}
	}
	if s.breaks && n > 0 {
		b.WriteString(newline)
	}
	b.WriteByte(brackets[1])
	return nil
}

func (s jsonStyle) quote(b *strings.Builder, t string) {
	b.WriteByte('"')
	for _, c := range t {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\b':
			b.WriteString(`\b`)
		case c == '\f':
			b.WriteString(`\f`)
		case c < 0x20 || s.ascii && c >= 0x7f && c < 0x10000:
			fmt.Fprintf(b, `\u%04x`, c)
		case s.ascii && c >= 0x10000:
			hi, lo := utf16.EncodeRune(c)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}
