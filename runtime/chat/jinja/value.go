package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Values are, as in Python: nil, bool, int64, float64, string, List, Tuple, *Dict, view, undefined,
// *namespace, *loopState and callable.
type (
	// List is a Python list. Nothing changes one after it is made.
	List []any
	// Tuple is a Python tuple.
	Tuple []any
	// view is what a dict's keys, values and items, and range, give; text is its type's name.
	view struct {
		text  string
		items []any
	}
	// undefined is what a missing name or key gives; it says which.
	undefined string
	// namespace is the one thing whose attributes a template sets.
	namespace struct{ d *Dict }
	// callable is a function, a macro or a bound method.
	callable struct {
		id   string
		call func(r *run, line int, a args) (any, error)
	}
)

// Dict is a Python dict: its keys keep their order.
type Dict struct {
	keys   []any
	values map[any]any
}

// NewDict is an empty dict.
func NewDict() *Dict { return &Dict{values: map[any]any{}} }

// Set puts a value at a key, which must be nil, bool, int64, float64 or string.
func (d *Dict) Set(key, v any) {
	k := hash(key)
	if _, ok := d.values[k]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[k] = v
}

// Get gives the value at a key.
func (d *Dict) Get(key any) (any, bool) {
	v, ok := d.values[hash(key)]
	return v, ok
}

// hash makes equal keys the same key of a Go map: 1, 1.0 and True are one.
func hash(key any) any {
	switch k := key.(type) {
	case bool:
		if k {
			return int64(1)
		}
		return int64(0)
	case float64:
		if k == math.Trunc(k) && math.Abs(k) < 1<<53 {
			return int64(k)
		}
	}
	return key
}

func hashable(v any) bool {
	switch v.(type) {
	case nil, bool, int64, float64, string:
		return true
	}
	return false
}

// kindOf is the Python name of a value's type.
func kindOf(v any) string {
	switch x := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case List:
		return "list"
	case Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case view:
		return strings.TrimSuffix(x.text, ")")
	case undefined:
		return "undefined value"
	case callable:
		return "function"
	case *namespace:
		return "namespace"
	}
	return "loop"
}

func truth(v any) bool {
	switch x := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case List:
		return len(x) > 0
	case Tuple:
		return len(x) > 0
	case *Dict:
		return len(x.keys) > 0
	case view:
		return len(x.items) > 0
	}
	return true
}

// number gives a value as a number, as Python counts booleans.
func number(v any) (i int64, f float64, isFloat, ok bool) {
	switch x := v.(type) {
	case bool:
		if x {
			return 1, 1, false, true
		}
		return 0, 0, false, true
	case int64:
		return x, float64(x), false, true
	case float64:
		return 0, x, true, true
	}
	return 0, 0, false, false
}

func elements(v any) ([]any, bool) {
	switch x := v.(type) {
	case List:
		return x, true
	case Tuple:
		return x, true
	}
	return nil, false
}

// equal is Python's ==.
func (r *run) equal(line int, a, b any) (bool, error) {
	if err := r.enter(line); err != nil {
		return false, err
	}
	defer r.leave()
	if ai, af, aIsFloat, ok := number(a); ok {
		bi, bf, bIsFloat, ok := number(b)
		if aIsFloat || bIsFloat {
			return ok && af == bf, nil
		}
		return ok && ai == bi, nil
	}
	switch x := a.(type) {
	case nil:
		return b == nil, nil
	case string:
		y, ok := b.(string)
		return ok && x == y, nil
	case undefined:
		_, ok := b.(undefined)
		return ok, nil
	case List, Tuple:
		_, aTuple := a.(Tuple)
		_, bTuple := b.(Tuple)
		xs, _ := elements(a)
		ys, ok := elements(b)
		if !ok || aTuple != bTuple || len(xs) != len(ys) {
			return false, nil
		}
		for i := range xs {
			if same, err := r.equal(line, xs[i], ys[i]); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || len(x.keys) != len(y.keys) {
			return false, nil
		}
		for _, k := range x.keys {
			v, _ := x.Get(k)
			w, ok := y.Get(k)
			if !ok {
				return false, nil
			}
			if same, err := r.equal(line, v, w); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	case *namespace:
		y, ok := b.(*namespace)
		return ok && x == y, nil
	case *loopState:
		y, ok := b.(*loopState)
		return ok && x == y, nil
	}
	return false, fail(line, "comparing a %s is not supported", kindOf(a))
}

// order is negative, zero or positive as Python orders two values.
func (r *run) order(line int, a, b any) (int, error) {
	if err := r.enter(line); err != nil {
		return 0, err
	}
	defer r.leave()
	if ai, af, aIsFloat, ok := number(a); ok {
		if bi, bf, bIsFloat, ok := number(b); ok {
			if aIsFloat || bIsFloat {
				if af != af || bf != bf {
					return 0, fail(line, "ordering nan is not supported")
				}
				return sign(af < bf, af > bf), nil
			}
			return sign(ai < bi, ai > bi), nil
		}
	}
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return strings.Compare(x, y), nil
		}
	}
	xs, aok := elements(a)
	ys, bok := elements(b)
	if aok && bok && kindOf(a) == kindOf(b) {
		for i := range min(len(xs), len(ys)) {
			if same, err := r.equal(line, xs[i], ys[i]); err != nil {
				return 0, err
			} else if !same {
				return r.order(line, xs[i], ys[i])
			}
		}
		return sign(len(xs) < len(ys), len(xs) > len(ys)), nil
	}
	return 0, fail(line, "cannot order %s and %s", describe(a), describe(b))
}

func sign(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
}

// describe names a value in errors.
func describe(v any) string {
	if u, ok := v.(undefined); ok {
		return string(u)
	}
	return "a value of type " + kindOf(v)
}

// str appends Python's str of a value.
func (r *run) str(line int, v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	if _, ok := v.(undefined); ok {
		return "", nil
	}
	var b strings.Builder
	err := r.repr(line, &b, v)
	return b.String(), err
}

// repr appends Python's repr of a value.
func (r *run) repr(line int, b *strings.Builder, v any) error {
	if err := r.enter(line); err != nil {
		return err
	}
	defer r.leave()
	switch x := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		b.WriteString(map[bool]string{true: "True", false: "False"}[x])
	case int64:
		b.WriteString(strconv.FormatInt(x, 10))
	case float64:
		b.WriteString(floatText(x))
	case string:
		if err := r.produce(line, len(x)); err != nil {
			return err
		}
		quote(b, x)
	case List:
		return r.reprAll(line, b, "[", x, "]")
	case Tuple:
		if len(x) == 1 {
			return r.reprAll(line, b, "(", x, ",)")
		}
		return r.reprAll(line, b, "(", x, ")")
	case *Dict:
		b.WriteByte('{')
		for i, k := range x.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			if err := r.repr(line, b, k); err != nil {
				return err
			}
			b.WriteString(": ")
			w, _ := x.Get(k)
			if err := r.repr(line, b, w); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case view:
		if strings.HasSuffix(x.text, ")") { // a range spells itself
			b.WriteString(x.text)
			return nil
		}
		return r.reprAll(line, b, x.text+"([", x.items, "])")
	case undefined:
		b.WriteString("Undefined")
	default:
		return fail(line, "a %s has no text", kindOf(v))
	}
	return nil
}

func (r *run) reprAll(line int, b *strings.Builder, open string, items []any, end string) error {
	b.WriteString(open)
	for i, v := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := r.repr(line, b, v); err != nil {
			return err
		}
	}
	b.WriteString(end)
	return nil
}

// floatText is Python's repr of a float: the shortest digits that give it back, with an exponent
// below 1e-4 and from 1e16 on.
func floatText(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 0):
		return strings.TrimPrefix(fmt.Sprintf("%+v", x)[:1], "+") + "inf"
	case x != 0 && (math.Abs(x) < 1e-4 || math.Abs(x) >= 1e16):
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quote writes Python's repr of a string.
func quote(b *strings.Builder, s string) {
	mark := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		mark = '"'
	}
	b.WriteByte(mark)
	for _, c := range s {
		switch {
		case c == rune(mark) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == ' ' || unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			fmt.Fprintf(b, `\U%08x`, c)
		}
	}
	b.WriteByte(mark)
}
