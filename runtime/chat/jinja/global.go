package jinja

import "fmt"

// globals are jinja2's own names.
var globals = map[string]any{
	"namespace": callable{"namespace", func(_ *run, line int, a args) (any, error) {
		d, err := dictOf(line, "namespace", a)
		return &namespace{d}, err
	}},
	"dict": callable{"dict", func(_ *run, line int, a args) (any, error) { return dictOf(line, "dict", a) }},
	"range": callable{"range", func(r *run, line int, a args) (any, error) {
		if len(a.list) == 1 {
			a.list = []any{int64(0), a.list[0]}
		}
		in, err := a.want(line, "range", 2, "start", "stop", "step")
		if err != nil {
			return nil, err
		}
		var n [3]int64
		for i := range n {
			if n[i], err = intArg(line, "range", in[i], 1); err != nil {
				return nil, err
			}
		}
		if n[2] == 0 {
			return nil, fail(line, "range: the step is 0")
		}
		var out []any
		for i := n[0]; n[2] > 0 && i < n[1] || n[2] < 0 && i > n[1]; i += n[2] {
			if len(out) == maxRange {
				return nil, fail(line, "range of more than %d", maxRange)
			}
			out = append(out, i)
			if n[2] > 0 && i > n[1]-n[2] || n[2] < 0 && i < n[1]-n[2] {
				break // before i overflows
			}
		}
		text := fmt.Sprintf("range(%d, %d)", n[0], n[1])
		if n[2] != 1 {
			text = fmt.Sprintf("range(%d, %d, %d)", n[0], n[1], n[2])
		}
		return view{text, out}, r.spend(line, len(out))
	}},
}

func dictOf(line int, what string, a args) (*Dict, error) {
	d := NewDict()
	switch {
	case len(a.list) > 1:
		return nil, fail(line, "%s takes one dict and named values", what)
	case len(a.list) == 1:
		from, ok := a.list[0].(*Dict)
		if !ok {
			return nil, fail(line, "%s wants a dict, not %s", what, describe(a.list[0]))
		}
		for _, k := range from.keys {
			v, _ := from.Get(k)
			d.Set(k, v)
		}
	}
	for _, n := range a.names {
		d.Set(n, a.named[n])
	}
	return d, nil
}
