package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// pick gives an attribute of each item, by a name with dots or an index.
func (r *run) pick(line int, items []any, by any) ([]any, error) {
	out := make([]any, len(items))
	for i, v := range items {
		var err error
		if out[i], err = r.part(line, v, by); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *run) part(line int, v, by any) (any, error) {
	if err := r.spend(line, 1); err != nil {
		return nil, err
	}
	path, ok := by.(string)
	if !ok {
		return r.item(line, v, by)
	}
	for id := range strings.SplitSeq(path, ".") {
		var key any = id
		if n, err := strconv.ParseInt(id, 10, 64); err == nil {
			key = n
		}
		var err error
		if v, err = r.item(line, v, key); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// some is iterate for the filters that take None, and all that is false, for nothing.
func (r *run) some(line int, v any) ([]any, error) {
	if !truth(v) {
		return nil, nil
	}
	return r.iterate(line, v)
}

func mapFilter(r *run, line int, v any, a args) (any, error) {
	items, err := r.some(line, v)
	if err != nil {
		return nil, err
	}
	if by, ok := a.take("attribute"); ok {
		def, hasDef := a.take("default")
		out, err := r.pick(line, items, by)
		if err != nil {
			return nil, err
		}
		for i := range out {
			if _, missing := out[i].(undefined); missing && hasDef {
				out[i] = def
			}
		}
		return List(out), a.none(line, "map")
	}
	if len(a.list) == 0 {
		return nil, fail(line, "map wants a filter's name or attribute=")
	}
	id, ok := a.list[0].(string)
	if !ok {
		return nil, fail(line, "map wants a filter's name, not %s", describe(a.list[0]))
	}
	out := make(List, len(items))
	for i, v := range items {
		if out[i], err = r.filter(line, id, v, a.without(1)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// without is a copy of the arguments after the first n.
func (a *args) without(n int) args {
	out := args{list: a.list[n:], names: a.names, named: map[string]any{}}
	for k, v := range a.named {
		out.named[k] = v
	}
	return out
}

// chosen is select, reject, selectattr or rejectattr.
func chosen(id string, attr, keep bool) filterFunc {
	return func(r *run, line int, v any, a args) (any, error) {
		items, err := r.some(line, v)
		if err != nil {
			return nil, err
		}
		var by any
		if attr {
			if len(a.list) == 0 {
				return nil, fail(line, "%s wants an attribute", id)
			}
			by, a = a.list[0], a.without(1)
		}
		out := List{}
		for _, v := range items {
			of := v
			if attr {
				if of, err = r.part(line, v, by); err != nil {
					return nil, err
				}
			}
			ok := truth(of)
			if len(a.list) > 0 {
				name, isText := a.list[0].(string)
				if !isText {
					return nil, fail(line, "%s wants a test's name, not %s", id, describe(a.list[0]))
				}
				if ok, err = r.test(line, name, of, a.without(1)); err != nil {
					return nil, err
				}
			}
			if ok == keep {
				out = append(out, v)
			}
		}
		return out, nil
	}
}

func unique(r *run, line int, items, _ []any) (any, error) {
	seen, out := map[any]bool{}, List{}
	for _, v := range items {
		if !hashable(v) {
			return nil, fail(line, "unique of a %s is not supported", kindOf(v))
		}
		k := hash(v)
		if s, ok := v.(string); ok {
			k = strings.ToLower(s)
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, v)
		}
	}
	return out, nil
}

// sorted sorts stably; in is reverse, case_sensitive and attribute.
func (r *run) sorted(line int, id string, items, in []any) (any, error) {
	keys := items
	var err error
	if in[2] != any(absent) && in[2] != nil {
		if keys, err = r.pick(line, items, in[2]); err != nil {
			return nil, err
		}
	}
	order := make([]int, len(items))
	folded := make([]any, len(items))
	for i, k := range keys {
		order[i], folded[i] = i, k
		if s, ok := k.(string); ok && (in[1] == any(absent) || !truth(in[1])) {
			folded[i] = strings.ToLower(s)
		}
	}
	down := in[0] != any(absent) && truth(in[0])
	slices.SortStableFunc(order, func(a, b int) int {
		if err != nil {
			return 0
		}
		var n int
		if n, err = r.order(line, folded[a], folded[b]); down {
			n = -n
		}
		return n
	})
	if err != nil {
		return nil, err
	}
	out := make(List, len(items))
	for i, at := range order {
		out[i] = items[at]
	}
	return out, r.spend(line, len(out))
}

func extreme(id string, sense int) filterFunc {
	return onList(id, 0, nil, func(r *run, line int, items, _ []any) (any, error) {
		if len(items) == 0 {
			return undefined("the " + id + " of nothing"), nil
		}
		best := items[0]
		for _, v := range items[1:] {
			x, y := v, best
			if s, ok := x.(string); ok {
				x = strings.ToLower(s)
			}
			if s, ok := y.(string); ok {
				y = strings.ToLower(s)
			}
			n, err := r.order(line, x, y)
			if err != nil {
				return nil, err
			}
			if n*sense > 0 {
				best = v
			}
		}
		return best, nil
	})
}
