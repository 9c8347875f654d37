package jinja

import (
	"errors"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

type filterFunc func(r *run, line int, v any, a args) (any, error)

var filters map[string]filterFunc

func (r *run) filter(line int, id string, v any, a args) (any, error) {
	f := filters[id]
	if f == nil {
		return nil, fail(line, "the filter %s is not supported", id)
	}
	return f(r, line, v, a)
}

// onText is a filter that takes the text of any value to a string method.
func onText(id string) filterFunc {
	return func(r *run, line int, v any, a args) (any, error) {
		s, err := r.str(line, v)
		if err != nil {
			return nil, err
		}
		return stringMethods[id](r, line, s, a)
	}
}

// titleWords is the filter title: unlike the method, words end at white space and brackets only.
func titleWords(s string) string {
	var b strings.Builder
	start := true
	for _, c := range s {
		if start {
			b.WriteString(strings.ToUpper(string(c)))
		} else {
			b.WriteRune(unicode.ToLower(c))
		}
		start = isSpace(c) || strings.ContainsRune("-({[<", c)
	}
	return b.String()
}

// onList is a filter of what can be gone through.
func onList(id string, least int, params []string, f func(r *run, line int, items, in []any) (any, error)) filterFunc {
	return func(r *run, line int, v any, a args) (any, error) {
		in, err := a.want(line, id, least, params...)
		if err != nil {
			return nil, err
		}
		items, err := r.iterate(line, v)
		if err != nil {
			return nil, err
		}
		return f(r, line, items, in)
	}
}

func init() {
	filters = map[string]filterFunc{
		"trim": onText("strip"), "upper": onText("upper"), "lower": onText("lower"), "capitalize": onText("capitalize"),
		"replace": onText("replace"),
		"title": func(r *run, line int, v any, a args) (any, error) {
			s, err := r.str(line, v)
			if err != nil {
				return nil, err
			}
			return mapped("title", titleWords)(r, line, s, a)
		},
		"length": length, "count": length,
		"string": func(r *run, line int, v any, a args) (any, error) {
			if _, err := a.want(line, "string", 0); err != nil {
				return nil, err
			}
			return r.str(line, v)
		},
		"safe": func(r *run, line int, v any, a args) (any, error) {
			if _, err := a.want(line, "safe", 0); err != nil {
				return nil, err
			}
			return r.str(line, v)
		},
		"escape": escaped, "e": escaped,
		"default": otherwise, "d": otherwise,
		"tojson": toJSON,
		"list": onList("list", 0, nil, func(_ *run, _ int, items, _ []any) (any, error) {
			return List(items), nil
		}),
		"first": onList("first", 0, nil, func(_ *run, _ int, items, _ []any) (any, error) {
			if len(items) == 0 {
				return undefined("the first of nothing"), nil
			}
			return items[0], nil
		}),
		"last": onList("last", 0, nil, func(_ *run, _ int, items, _ []any) (any, error) {
			if len(items) == 0 {
				return undefined("the last of nothing"), nil
			}
			return items[len(items)-1], nil
		}),
		"reverse": func(r *run, line int, v any, a args) (any, error) {
			items, err := r.iterate(line, v)
			if err != nil {
				return nil, err
			}
			items = slices.Clone(items)
			slices.Reverse(items)
			if _, ok := v.(string); ok {
				return r.joined(line, items, "")
			}
			return List(items), a.none(line, "reverse")
		},
		"join": onList("join", 0, []string{"d", "attribute"}, func(r *run, line int, items, in []any) (any, error) {
			sep, err := textArg(line, "join", in[0], "")
			if err != nil {
				return nil, err
			}
			if in[1] != any(absent) && in[1] != nil {
				if items, err = r.pick(line, items, in[1]); err != nil {
					return nil, err
				}
			}
			return r.joined(line, items, sep)
		}),
		"items": func(r *run, line int, v any, a args) (any, error) {
			if _, ok := v.(undefined); ok {
				return List{}, nil
			}
			d, ok := v.(*Dict)
			if !ok {
				return nil, fail(line, "items wants a dict, not %s", describe(v))
			}
			return d.items(), a.none(line, "items")
		},
		"int": toInt, "float": toFloat, "abs": absolute,
		"map":        mapFilter,
		"select":     chosen("select", false, true),
		"reject":     chosen("reject", false, false),
		"selectattr": chosen("selectattr", true, true),
		"rejectattr": chosen("rejectattr", true, false),
		"unique":     onList("unique", 0, nil, unique),
		"indent":     indent,
		"sort": onList("sort", 0, []string{"reverse", "case_sensitive", "attribute"}, func(r *run, line int, items, in []any) (any, error) {
			return r.sorted(line, "sort", items, in)
		}),
		"dictsort": func(r *run, line int, v any, a args) (any, error) {
			d, ok := v.(*Dict)
			in, err := a.want(line, "dictsort", 0, "case_sensitive")
			if !ok || err != nil {
				return nil, or(err, fail(line, "dictsort wants a dict, not %s", describe(v)))
			}
			return r.sorted(line, "dictsort", d.items(), []any{absent, in[0], int64(0)})
		},
		"min": extreme("min", -1), "max": extreme("max", 1),
		"sum": onList("sum", 0, []string{"attribute", "start"}, func(r *run, line int, items, in []any) (any, error) {
			var err error
			if in[0] != any(absent) && in[0] != nil {
				if items, err = r.pick(line, items, in[0]); err != nil {
					return nil, err
				}
			}
			total := in[1]
			if total == any(absent) {
				total = int64(0)
			}
			for _, v := range items {
				if total, err = r.arithmetic(line, "+", total, v); err != nil {
					return nil, err
				}
			}
			return total, nil
		}),
	}
}

func length(r *run, line int, v any, a args) (any, error) {
	if _, err := a.want(line, "length", 0); err != nil {
		return nil, err
	}
	items, err := r.iterate(line, v)
	if err != nil {
		return nil, fail(line, "%s has no length", describe(v))
	}
	return int64(len(items)), nil
}

// escaped is jinja2's escape: html's, with its numbers for quotes.
func escaped(r *run, line int, v any, a args) (any, error) {
	if _, err := a.want(line, "escape", 0); err != nil {
		return nil, err
	}
	s, err := r.str(line, v)
	if err != nil {
		return nil, err
	}
	return html.EscapeString(s), r.produce(line, 5*len(s))
}

func otherwise(r *run, line int, v any, a args) (any, error) {
	in, err := a.want(line, "default", 0, "default_value", "boolean")
	if err != nil {
		return nil, err
	}
	_, missing := v.(undefined)
	if !missing && !(truth(in[1]) && !truth(v)) {
		return v, nil
	}
	if in[0] == any(absent) {
		return "", nil
	}
	return in[0], nil
}

func toInt(r *run, line int, v any, a args) (any, error) {
	in, err := a.want(line, "int", 0, "default", "base")
	if err != nil {
		return nil, err
	}
	def, err := intArg(line, "int", in[0], 0)
	if err != nil {
		return nil, err
	}
	base, err := intArg(line, "int", in[1], 10)
	if err != nil || base < 2 || base > 36 {
		return nil, or(err, fail(line, "int: base %d is not supported", base))
	}
	i, f, isFloat, ok := number(v)
	if s, isText := v.(string); isText {
		s = strings.TrimFunc(s, isSpace)
		if n, err := strconv.ParseInt(s, int(base), 64); err == nil {
			return n, nil
		} else if errors.Is(err, strconv.ErrRange) {
			return nil, fail(line, "int: the number does not fit in 64 bits")
		}
		if f, err = strconv.ParseFloat(s, 64); err == nil {
			isFloat, ok = true, true
		}
	}
	switch {
	case ok && isFloat && math.Abs(f) < 1<<63:
		return int64(f), nil
	case ok && !isFloat:
		return i, nil
	}
	return def, nil
}

func toFloat(r *run, line int, v any, a args) (any, error) {
	in, err := a.want(line, "float", 0, "default")
	if err != nil {
		return nil, err
	}
	if _, f, _, ok := number(v); ok {
		return f, nil
	}
	if s, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimFunc(s, isSpace), 64); err == nil {
			return f, nil
		}
	}
	if in[0] == any(absent) {
		return 0.0, nil
	}
	return in[0], nil
}

func absolute(r *run, line int, v any, a args) (any, error) {
	i, f, isFloat, ok := number(v)
	switch {
	case !ok || i == math.MinInt64:
		return nil, fail(line, "abs wants a number, not %s", describe(v))
	case isFloat:
		return math.Abs(f), nil
	case i < 0:
		i = -i
	}
	return i, a.none(line, "abs")
}

func indent(r *run, line int, v any, a args) (any, error) {
	in, err := a.want(line, "indent", 0, "width", "first", "blank")
	if err != nil {
		return nil, err
	}
	s, err := r.str(line, v)
	if err != nil {
		return nil, err
	}
	pad, ok := in[0].(string)
	if !ok {
		width, err := intArg(line, "indent", in[0], 4)
		if err != nil || width > 1000 {
			return nil, or(err, fail(line, "indent of %d", width))
		}
		pad = strings.Repeat(" ", int(max(width, 0)))
	}
	first, blank := in[1] != any(absent) && truth(in[1]), in[2] != any(absent) && truth(in[2])
	if err := r.produce(line, len(s)+(1+strings.Count(s, "\n"))*len(pad)); err != nil {
		return nil, err
	}
	lines := strings.Split(s, "\n")
	for i := range lines {
		if i == 0 && first || i > 0 && (blank || lines[i] != "") {
			lines[i] = pad + lines[i]
		}
	}
	return strings.Join(lines, "\n"), nil
}
