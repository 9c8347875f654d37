package jinja

import (
	"fmt"
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

func (r *run) binary(e binary, s *scope) (any, error) {
	a, err := r.eval(e.left, s)
	if err != nil {
		return nil, err
	}
	if e.op == "and" && !truth(a) || e.op == "or" && truth(a) {
		return a, nil
	}
	b, err := r.eval(e.right, s)
	if err != nil || e.op == "and" || e.op == "or" {
		return b, err
	}
	if e.op == "~" {
		x, err := r.str(e.at(), a)
		if err != nil {
			return nil, err
		}
		y, err := r.str(e.at(), b)
		if err != nil {
			return nil, err
		}
		return r.join(e.at(), x, y)
	}
	return r.arithmetic(e.at(), e.op, a, b)
}

func (r *run) join(line int, parts ...string) (any, error) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if err := r.produce(line, n); err != nil {
		return nil, err
	}
	return strings.Join(parts, ""), nil
}

func (r *run) arithmetic(line int, op string, a, b any) (any, error) {
	ai, af, aIsFloat, aok := number(a)
	bi, bf, bIsFloat, bok := number(b)
	if aok && bok {
		var v any
		var err error
		if aIsFloat || bIsFloat || op == "/" {
			v, err = floatOp(op, af, bf)
		} else {
			v, err = intOp(op, ai, bi)
		}
		if err != nil {
			return nil, fail(line, "%v", err)
		}
		return v, nil
	}
	switch op {
	case "+":
		if x, ok := a.(string); ok {
			if y, ok := b.(string); ok {
				return r.join(line, x, y)
			}
		}
		if x, ok := elements(a); ok && kindOf(a) == kindOf(b) {
			y, _ := elements(b)
			return r.repeat(line, a, x, y)
		}
	case "*":
		if aok {
			a, b, bi, bok, bIsFloat = b, a, ai, aok, aIsFloat
		}
		if !bok || bIsFloat {
			break
		}
		bi = max(bi, 0)
		if x, ok := a.(string); ok {
			if bi > maxString || int64(len(x))*bi > maxString {
				return nil, fail(line, "the template makes a text of more than %d bytes", maxString)
			}
			return strings.Repeat(x, int(bi)), r.produce(line, len(x)*int(bi))
		}
		if x, ok := elements(a); ok {
			if bi > maxItems || int64(len(x))*bi > maxItems {
				return nil, fail(line, "the template makes a list of more than %d elements", maxItems)
			}
			var parts [][]any
			for range bi {
				parts = append(parts, x)
			}
			return r.repeat(line, a, parts...)
		}
	case "%":
		if _, ok := a.(string); ok {
			return nil, fail(line, "formatting a string with %% is not supported")
		}
	}
	return nil, fail(line, "cannot apply %s to %s and %s", op, describe(a), describe(b))
}

// repeat joins lists into one of a's type.
func (r *run) repeat(line int, a any, parts ...[]any) (any, error) {
	var out []any
	for _, p := range parts {
		if err := r.spend(line, 1+len(p)); err != nil {
			return nil, err
		}
		if len(out)+len(p) > maxItems {
			return nil, fail(line, "the template makes a list of more than %d elements", maxItems)
		}
		out = append(out, p...)
	}
	if _, ok := a.(Tuple); ok {
		return Tuple(out), nil
	}
	return List(out), nil
}

func floatOp(op string, a, b float64) (any, error) {
	if b == 0 && op != "+" && op != "-" && op != "*" && op != "**" {
		return nil, fmt.Errorf("division by zero")
	}
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "/":
		return a / b, nil
	case "//", "%":
		rest := math.Mod(a, b) // Python's has the sign of b
		if rest != 0 && (rest < 0) != (b < 0) {
			rest += b
		}
		if op == "%" {
			return rest, nil
		}
		return math.Round((a - rest) / b), nil
	}
	v := math.Pow(a, b)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("%g ** %g is no finite number", a, b)
	}
	return v, nil
}

func intOp(op string, a, b int64) (any, error) {
	var v int64
	ok := true
	switch op {
	case "+":
		v = a + b
		ok = (v > a) == (b > 0)
	case "-":
		v = a - b
		ok = (v < a) == (b > 0)
	case "*":
		v = a * b
		ok = a == 0 || v/a == b && !(a == -1 && b == math.MinInt64)
	case "//", "%":
		if b == 0 {
			return nil, fmt.Errorf("division by zero")
		}
		if b == -1 {
			if op == "%" {
				return int64(0), nil
			}
			return intOp("-", 0, a)
		}
		q, rest := a/b, a%b
		if rest != 0 && (rest < 0) != (b < 0) { // Python rounds down
			q, rest = q-1, rest+b
		}
		v = q
		if op == "%" {
			v = rest
		}
	default:
		if b < 0 {
			return floatOp(op, float64(a), float64(b))
		}
		v = 1
		for range min(b, 64) {
			w := v * a
			if a != 0 && w/a != v {
				ok = false
				break
			}
			v = w
		}
		if b > 64 {
			switch {
			case a == -1 && b%2 == 0:
				v = 1
			case a != 0 && a != 1 && a != -1:
				ok = false
			}
		}
	}
	if !ok {
		return nil, fmt.Errorf("%d %s %d does not fit in 64 bits", a, op, b)
	}
	return v, nil
}
