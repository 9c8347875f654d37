package jinja

import "strings"

// attribute is of.id: a method or an attribute, or else the item of that name.
func (r *run) attribute(line int, of any, id string) (any, error) {
	if strings.HasPrefix(id, "_") {
		return nil, fail(line, "the attribute %s is not allowed", id)
	}
	switch x := of.(type) {
	case undefined:
		return nil, fail(line, "no attribute %s of %s", id, string(x))
	case *namespace:
		if v, ok := x.d.Get(id); ok {
			return v, nil
		}
		return undefined("the namespace's " + id + ", which is not set"), nil
	case *loopState:
		return x.get(id), nil
	}
	m, err := method(line, of, id)
	if m != nil || err != nil {
		return m, err
	}
	if d, ok := of.(*Dict); ok {
		if v, ok := d.Get(id); ok {
			return v, nil
		}
	}
	return undefined("'" + id + "' of " + describe(of)), nil
}

// item is of[key]: an element, or else the attribute of that name.
func (r *run) item(line int, of, key any) (any, error) {
	i, _, isFloat, isNumber := number(key)
	at := func(n int) (int, bool) {
		if i < 0 {
			i += int64(n)
		}
		return int(i), isNumber && !isFloat && i >= 0 && i < int64(n)
	}
	switch x := of.(type) {
	case undefined:
		return nil, fail(line, "no item of %s", string(x))
	case *Dict:
		if hashable(key) {
			if v, ok := x.Get(key); ok {
				return v, nil
			}
		}
	case List:
		if i, ok := at(len(x)); ok {
			return x[i], nil
		}
	case Tuple:
		if i, ok := at(len(x)); ok {
			return x[i], nil
		}
	case view:
		if i, ok := at(len(x.items)); ok && strings.HasPrefix(x.text, "range") {
			return x.items[i], nil
		}
	case string:
		if err := r.spend(line, 1+len(x)/16); err != nil {
			return nil, err
		}
		if c := []rune(x); isNumber {
			if i, ok := at(len(c)); ok {
				return string(c[i]), nil
			}
		}
	}
	if id, ok := key.(string); ok {
		if strings.HasPrefix(id, "_") {
			return nil, fail(line, "the attribute %s is not allowed", id)
		}
		if x, ok := of.(*loopState); ok {
			return x.get(id), nil
		}
		m, err := method(line, of, id)
		if m != nil || err != nil {
			return m, err
		}
	}
	var b strings.Builder
	if err := r.repr(line, &b, key); err != nil {
		return nil, err
	}
	return undefined("item " + b.String() + " of " + describe(of)), nil
}

// slice is of[from:to:stride] as Python has it.
func (r *run) slice(e sliceExpr, s *scope) (any, error) {
	of, err := r.eval(e.of, s)
	if err != nil {
		return nil, err
	}
	var items []any
	switch x := of.(type) {
	case List:
		items = x
	case Tuple:
		items = x
	case string:
		if items, err = r.iterate(e.at(), x); err != nil {
			return nil, err
		}
	case undefined:
		return nil, fail(e.at(), "no slice of %s", string(x))
	case view:
		return nil, fail(e.at(), "a slice of a %s is not supported", kindOf(of))
	default:
		return nil, fail(e.at(), "cannot take a slice of %s", describe(of))
	}
	bound := func(b expr, otherwise int64) (int64, bool, error) {
		if b == nil {
			return otherwise, false, nil
		}
		v, err := r.eval(b, s)
		if err != nil || v == nil {
			return otherwise, false, err
		}
		n, err := intArg(e.at(), "a slice", v, 0)
		return n, true, err
	}
	stride, _, err := bound(e.stride, 1)
	if err == nil && stride == 0 {
		err = fail(e.at(), "a slice's step is 0")
	}
	if err != nil {
		return nil, err
	}
	n := int64(len(items))
	low, high := int64(0), n
	from, to := int64(0), n
	if stride < 0 {
		low, high = -1, n-1
		from, to = n-1, -1
	}
	for _, side := range []struct {
		e  expr
		to *int64
	}{{e.from, &from}, {e.to, &to}} {
		v, given, err := bound(side.e, 0)
		if err != nil {
			return nil, err
		}
		if given {
			if v < 0 {
				v += n
			}
			*side.to = min(max(v, low), high)
		}
	}
	var out []any
	for i := from; stride > 0 && i < to || stride < 0 && i > to; i += stride {
		out = append(out, items[i])
		if stride > n || stride < -n {
			break
		}
	}
	if err := r.spend(e.at(), len(out)); err != nil {
		return nil, err
	}
	switch of.(type) {
	case List:
		return List(out), nil
	case Tuple:
		return Tuple(out), nil
	}
	var b strings.Builder
	for _, c := range out {
		b.WriteString(c.(string))
	}
	return b.String(), nil
}
