package jinja

import (
	"math"
	"strings"
)

func (r *run) eval(e expr, s *scope) (any, error) {
	if err := r.enter(e.at()); err != nil {
		return nil, err
	}
	defer r.leave()
	switch e := e.(type) {
	case constant:
		return e.value, nil
	case name:
		if v, ok := s.get(e.id); ok {
			return v, nil
		}
		switch e.id {
		case "lipsum", "cycler", "joiner", "self", "varargs", "kwargs", "caller":
			return nil, fail(e.at(), "%s is not supported", e.id)
		}
		return undefined("'" + e.id + "', which is not defined"), nil
	case listExpr:
		items, err := r.evalAll(e.items, s)
		if e.tuple {
			return Tuple(items), err
		}
		return List(items), err
	case dictExpr:
		return r.dict(e, s)
	case attribute:
		of, err := r.eval(e.of, s)
		if err != nil {
			return nil, err
		}
		return r.attribute(e.at(), of, e.id)
	case item:
		of, err := r.eval(e.of, s)
		if err != nil {
			return nil, err
		}
		key, err := r.eval(e.key, s)
		if err != nil {
			return nil, err
		}
		return r.item(e.at(), of, key)
	case sliceExpr:
		return r.slice(e, s)
	case call:
		return r.call(e, s)
	case filter:
		of, err := r.eval(e.of, s)
		if err != nil {
			return nil, err
		}
		a, err := r.evalArgs(e.arguments, s)
		if err != nil {
			return nil, err
		}
		return r.filter(e.at(), e.id, of, a)
	case test:
		of, err := r.eval(e.of, s)
		if err != nil {
			return nil, err
		}
		a, err := r.evalArgs(e.arguments, s)
		if err != nil {
			return nil, err
		}
		ok, err := r.test(e.at(), e.id, of, a)
		return ok != e.not, err
	case unary:
		return r.unary(e, s)
	case binary:
		return r.binary(e, s)
	case comparison:
		return r.comparison(e, s)
	}
	return r.conditional(e.(conditional), s)
}

func (r *run) evalAll(list []expr, s *scope) ([]any, error) {
	out := make([]any, 0, len(list))
	for _, e := range list {
		v, err := r.eval(e, s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (r *run) dict(e dictExpr, s *scope) (any, error) {
	d := NewDict()
	for i := range e.keys {
		k, err := r.eval(e.keys[i], s)
		if err != nil {
			return nil, err
		}
		if !hashable(k) {
			return nil, fail(e.at(), "a %s as a key is not supported", kindOf(k))
		}
		v, err := r.eval(e.values[i], s)
		if err != nil {
			return nil, err
		}
		d.Set(k, v)
	}
	return d, nil
}

func (r *run) conditional(e conditional, s *scope) (any, error) {
	v, err := r.eval(e.cond, s)
	switch {
	case err != nil:
		return nil, err
	case truth(v):
		return r.eval(e.yes, s)
	case e.no == nil:
		return undefined("the value of an if without else whose condition is false"), nil
	}
	return r.eval(e.no, s)
}

func (r *run) call(e call, s *scope) (any, error) {
	of, err := r.eval(e.of, s)
	if err != nil {
		return nil, err
	}
	a, err := r.evalArgs(e.arguments, s)
	if err != nil {
		return nil, err
	}
	f, ok := of.(callable)
	if !ok {
		return nil, fail(e.at(), "cannot call %s", describe(of))
	}
	return f.call(r, e.at(), a)
}

func (r *run) unary(e unary, s *scope) (any, error) {
	v, err := r.eval(e.of, s)
	if err != nil {
		return nil, err
	}
	if e.op == "not" {
		return !truth(v), nil
	}
	i, f, isFloat, ok := number(v)
	switch {
	case !ok || !isFloat && i == math.MinInt64:
		return nil, fail(e.at(), "cannot apply %s to %s", e.op, describe(v))
	case e.op == "-" && isFloat:
		return -f, nil
	case e.op == "-":
		return -i, nil
	case isFloat:
		return f, nil
	}
	return i, nil
}

func (r *run) comparison(e comparison, s *scope) (any, error) {
	left, err := r.eval(e.first, s)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		right, err := r.eval(e.rest[i], s)
		if err != nil {
			return nil, err
		}
		ok, err := r.compare(e.at(), op, left, right)
		if err != nil || !ok {
			return false, err
		}
		left = right
	}
	return true, nil
}

func (r *run) compare(line int, op string, a, b any) (bool, error) {
	switch op {
	case "==", "!=":
		same, err := r.equal(line, a, b)
		return same == (op == "=="), err
	case "in", "not in":
		in, err := r.contains(line, b, a)
		return in == (op == "in"), err
	}
	n, err := r.order(line, a, b)
	switch op {
	case "<":
		return n < 0, err
	case "<=":
		return n <= 0, err
	case ">":
		return n > 0, err
	}
	return n >= 0, err
}

// contains is v in of.
func (r *run) contains(line int, of, v any) (bool, error) {
	switch x := of.(type) {
	case string:
		t, ok := v.(string)
		if !ok {
			return false, fail(line, "a string contains strings, not %s", describe(v))
		}
		return strings.Contains(x, t), r.spend(line, 1+len(x)/16)
	case *Dict:
		if !hashable(v) {
			return false, fail(line, "a %s as a key is not supported", kindOf(v))
		}
		_, ok := x.Get(v)
		return ok, nil
	case undefined:
		return false, nil
	}
	items, ok := elements(of)
	if x, isView := of.(view); isView {
		items, ok = x.items, true
	}
	if !ok {
		return false, fail(line, "cannot look for something in %s", describe(of))
	}
	for _, w := range items {
		if same, err := r.equal(line, w, v); err != nil || same {
			return same, err
		}
	}
	return false, nil
}
