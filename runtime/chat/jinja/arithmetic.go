package jinja

import (
	"fmt"
	"math"
	"strings"
)

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
