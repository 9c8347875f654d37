package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// method gives the method of a value, bound to it; nil where its type has none of that name.
func method(line int, of any, id string) (any, error) {
	switch x := of.(type) {
	case string:
		if m := stringMethods[id]; m != nil {
			return callable{id, func(r *run, line int, a args) (any, error) { return m(r, line, x, a) }}, nil
		}
		if strings.Contains(" center encode expandtabs format format_map isalnum isascii isdecimal isidentifier isnumeric isprintable istitle ljust maketrans partition rindex rjust rpartition swapcase translate zfill casefold ", " "+id+" ") {
			return nil, fail(line, "the string method %s is not supported", id)
		}
	case *Dict:
		if m := dictMethods[id]; m != nil {
			return callable{id, func(r *run, line int, a args) (any, error) { return m(r, line, x, a) }}, nil
		}
		if strings.Contains(" clear pop popitem setdefault update fromkeys ", " "+id+" ") {
			return nil, fail(line, "the method %s changes a dict, which is not allowed", id)
		}
	case List, Tuple:
		items, _ := elements(of)
		switch id {
		case "count", "index":
			return callable{id, func(r *run, line int, a args) (any, error) { return find(r, line, id, items, a) }}, nil
		case "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort", "copy":
			return nil, fail(line, "the method %s of a list is not allowed; join lists with + and use filters", id)
		}
	}
	return nil, nil
}

func find(r *run, line int, id string, items []any, a args) (any, error) {
	in, err := a.want(line, id, 1, "value")
	if err != nil {
		return nil, err
	}
	n := int64(0)
	for i, v := range items {
		same, err := r.equal(line, v, in[0])
		if err != nil {
			return nil, err
		}
		if same && id == "index" {
			return int64(i), nil
		}
		if same {
			n++
		}
	}
	if id == "index" {
		return nil, fail(line, "index: the value is not in the list")
	}
	return n, nil
}

var dictMethods = map[string]func(r *run, line int, d *Dict, a args) (any, error){
	"get": func(r *run, line int, d *Dict, a args) (any, error) {
		in, err := a.want(line, "get", 1, "key", "default")
		if err != nil {
			return nil, err
		}
		if hashable(in[0]) {
			if v, ok := d.Get(in[0]); ok {
				return v, nil
			}
		}
		if in[1] == any(absent) {
			return nil, nil
		}
		return in[1], nil
	},
	"items": func(r *run, line int, d *Dict, a args) (any, error) {
		if _, err := a.want(line, "items", 0); err != nil {
			return nil, err
		}
		return view{"dict_items", d.items()}, r.spend(line, len(d.keys))
	},
	"keys": func(r *run, line int, d *Dict, a args) (any, error) {
		_, err := a.want(line, "keys", 0)
		return view{"dict_keys", d.keys}, err
	},
	"values": func(r *run, line int, d *Dict, a args) (any, error) {
		if _, err := a.want(line, "values", 0); err != nil {
			return nil, err
		}
		out := make([]any, len(d.keys))
		for i, k := range d.keys {
			out[i], _ = d.Get(k)
		}
		return view{"dict_values", out}, r.spend(line, len(d.keys))
	},
}

func (d *Dict) items() List {
	out := make(List, len(d.keys))
	for i, k := range d.keys {
		v, _ := d.Get(k)
		out[i] = Tuple{k, v}
	}
	return out
}

type stringMethod func(r *run, line int, s string, a args) (any, error)

// mapped is a method without arguments that gives a string.
func mapped(id string, f func(string) string) stringMethod {
	return func(r *run, line int, s string, a args) (any, error) {
		if _, err := a.want(line, id, 0); err != nil {
			return nil, err
		}
		return f(s), r.produce(line, 3*len(s)) // no case mapping more than trebles a text
	}
}

// all is a method that asks whether every character is of a kind.
func all(id string, is func(rune) bool) stringMethod {
	return func(r *run, line int, s string, a args) (any, error) {
		if _, err := a.want(line, id, 0); err != nil {
			return nil, err
		}
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !is(c) }) < 0, r.produce(line, len(s))
	}
}

// stripped is strip, lstrip or rstrip.
func stripped(id string, left, right bool) stringMethod {
	return func(r *run, line int, s string, a args) (any, error) {
		in, err := a.want(line, id, 0, "chars")
		if err != nil {
			return nil, err
		}
		out := isSpace
		if in[0] != nil && in[0] != any(absent) {
			set, err := textArg(line, id, in[0], "")
			if err != nil {
				return nil, err
			}
			if err := r.spend(line, len(set)*(1+len(s)/16)/16); err != nil {
				return nil, err
			}
			out = func(c rune) bool { return strings.ContainsRune(set, c) }
		}
		if left {
			s = strings.TrimLeftFunc(s, out)
		}
		if right {
			s = strings.TrimRightFunc(s, out)
		}
		return s, r.produce(line, len(s))
	}
}

// edge is startswith or endswith.
func edge(id string, has func(s, t string) bool) stringMethod {
	return func(r *run, line int, s string, a args) (any, error) {
		in, err := a.want(line, id, 1, "text")
		if err != nil {
			return nil, err
		}
		options := []any{in[0]}
		if t, ok := in[0].(Tuple); ok {
			options = t
		}
		for _, o := range options {
			t, ok := o.(string)
			if !ok {
				return nil, fail(line, "%s wants a string, not %s", id, describe(o))
			}
			if has(s, t) {
				return true, nil
			}
		}
		return false, r.spend(line, len(options))
	}
}

// splitter is split or rsplit.
func splitter(id string, right bool) stringMethod {
	return func(r *run, line int, s string, a args) (any, error) {
		in, err := a.want(line, id, 0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		most, err := intArg(line, id, in[1], -1)
		if err != nil {
			return nil, err
		}
		if most < 0 || most > int64(len(s)) {
			most = int64(len(s))
		}
		if err := r.produce(line, len(s)); err != nil {
			return nil, err
		}
		var out []string
		if in[0] == nil || in[0] == any(absent) {
			out = fields(s, int(most), right)
		} else {
			sep, err := textArg(line, id, in[0], "")
			if err != nil {
				return nil, err
			}
			if sep == "" {
				return nil, fail(line, "%s: the separator is empty", id)
			}
			if right {
				out = splitRight(s, sep, int(most))
			} else {
				out = strings.SplitN(s, sep, int(most)+1)
			}
		}
		list := make(List, len(out))
		for i, t := range out {
			list[i] = t
		}
		return list, r.spend(line, len(list))
	}
}

func splitRight(s, sep string, most int) []string {
	var out []string
	for ; most > 0; most-- {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		out = append(out, s[i+len(sep):])
		s = s[:i]
	}
	out = append(out, s)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// fields splits at runs of white space, at most so many times.
func fields(s string, most int, right bool) []string {
	var out []string
	if right {
		for s = strings.TrimRightFunc(s, isSpace); s != ""; s = strings.TrimRightFunc(s, isSpace) {
			i := strings.LastIndexFunc(s, isSpace)
			if i < 0 || len(out) == most {
				out = append(out, s)
				break
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			out, s = append(out, s[i+n:]), s[:i]
		}
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
		return out
	}
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		i := strings.IndexFunc(s, isSpace)
		if i < 0 || len(out) == most {
			return append(out, s)
		}
		out, s = append(out, s[:i]), s[i:]
	}
	return out
}

// position is find, rfind or index.
func position(id string, at func(s, t string) int) stringMethod {
	return func(r *run, line int, s string, a args) (any, error) {
		in, err := a.want(line, id, 1, "sub")
		if err != nil {
			return nil, err
		}
		t, ok := in[0].(string)
		if !ok {
			return nil, fail(line, "%s wants a string, not %s", id, describe(in[0]))
		}
		i := at(s, t)
		switch {
		case i > 0:
			i = utf8.RuneCountInString(s[:i])
		case i < 0 && id == "index":
			return nil, fail(line, "index: %q is not in the string", t)
		}
		return int64(i), r.produce(line, len(s))
	}
}

var stringMethods map[string]stringMethod

func init() {
	stringMethods = map[string]stringMethod{
		"strip": stripped("strip", true, true), "lstrip": stripped("lstrip", true, false), "rstrip": stripped("rstrip", false, true),
		"startswith": edge("startswith", strings.HasPrefix), "endswith": edge("endswith", strings.HasSuffix),
		"split": splitter("split", false), "rsplit": splitter("rsplit", true),
		"find": position("find", strings.Index), "rfind": position("rfind", strings.LastIndex), "index": position("index", strings.Index),
		"upper": mapped("upper", strings.ToUpper), "lower": mapped("lower", strings.ToLower),
		"capitalize": mapped("capitalize", capitalize), "title": mapped("title", title),
		"isdigit": all("isdigit", unicode.IsDigit), "isalpha": all("isalpha", unicode.IsLetter), "isspace": all("isspace", isSpace),
		"isupper": func(r *run, line int, s string, a args) (any, error) {
			return s == strings.ToUpper(s) && s != strings.ToLower(s), r.produce(line, len(s))
		},
		"islower": func(r *run, line int, s string, a args) (any, error) {
			return s == strings.ToLower(s) && s != strings.ToUpper(s), r.produce(line, len(s))
		},
		"replace":      replaced,
		"removeprefix": cutEdge("removeprefix", strings.TrimPrefix),
		"removesuffix": cutEdge("removesuffix", strings.TrimSuffix),
		"count": func(r *run, line int, s string, a args) (any, error) {
			in, err := a.want(line, "count", 1, "sub")
			if err != nil {
				return nil, err
			}
			t, err := textArg(line, "count", in[0], "")
			return int64(strings.Count(s, t)), or(err, r.produce(line, len(s)))
		},
		"join": func(r *run, line int, s string, a args) (any, error) {
			in, err := a.want(line, "join", 1, "items")
			if err != nil {
				return nil, err
			}
			items, err := r.iterate(line, in[0])
			if err != nil {
				return nil, err
			}
			for _, v := range items {
				if _, ok := v.(string); !ok {
					return nil, fail(line, "join wants strings, not %s", describe(v))
				}
			}
			return r.joined(line, items, s)
		},
		"splitlines": func(r *run, line int, s string, a args) (any, error) {
			if _, err := a.want(line, "splitlines", 0); err != nil {
				return nil, err
			}
			s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\x1c", "\n", "\x1d", "\n", "\x1e", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
			var out List
			for s != "" {
				l, rest, _ := strings.Cut(s, "\n")
				out, s = append(out, l), rest
			}
			return out, r.produce(line, len(s))
		},
	}
}

func or(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func cutEdge(id string, f func(s, t string) string) stringMethod {
	return func(r *run, line int, s string, a args) (any, error) {
		in, err := a.want(line, id, 1, "text")
		if err != nil {
			return nil, err
		}
		t, err := textArg(line, id, in[0], "")
		return f(s, t), or(err, r.produce(line, len(s)))
	}
}

// replaced is s.replace(old, new, count).
func replaced(r *run, line int, s string, a args) (any, error) {
	in, err := a.want(line, "replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	var t [2]string
	for i := range t {
		var ok bool
		if t[i], ok = in[i].(string); !ok {
			return nil, fail(line, "replace wants strings, not %s", describe(in[i]))
		}
	}
	if in[2] == nil {
		in[2] = absent // the filter's None
	}
	most, err := intArg(line, "replace", in[2], -1)
	if err != nil {
		return nil, err
	}
	n := int64(strings.Count(s, t[0]))
	if most < 0 || most > n {
		most = n
	}
	if err := r.produce(line, len(s)+int(most)*max(len(t[1])-len(t[0]), 0)); err != nil {
		return nil, err
	}
	return strings.Replace(s, t[0], t[1], int(most)), nil
}

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToTitle(s[:n]) + strings.ToLower(s[n:])
}

// title has a capital at the start of each run of letters.
func title(s string) string {
	var b strings.Builder
	inWord := false
	for _, c := range s {
		if inWord {
			b.WriteRune(unicode.ToLower(c))
		} else {
			b.WriteRune(unicode.ToTitle(c))
		}
		inWord = unicode.IsLetter(c)
	}
	return b.String()
}

func (r *run) joined(line int, items []any, sep string) (any, error) {
	parts := make([]string, len(items))
	n := 0
	for i, v := range items {
		var err error
		if parts[i], err = r.str(line, v); err != nil {
			return nil, err
		}
		if n += len(parts[i]) + len(sep); n > maxString {
			return nil, fail(line, "the template makes a text of more than %d bytes", maxString)
		}
	}
	return strings.Join(parts, sep), r.produce(line, n)
}
