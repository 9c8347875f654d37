package jinja

import "strings"

// test is the test v is id(a).
func (r *run) test(line int, id string, v any, a args) (bool, error) {
	params := 0
	switch id {
	case "divisibleby", "eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<=", "gt", "greaterthan", ">", "ge", ">=", "in", "sameas":
		params = 1
	}
	if len(a.list) != params || len(a.named) > 0 {
		return false, fail(line, "the test %s takes %d arguments", id, params)
	}
	_, _, isFloat, isNumber := number(v)
	_, isBool := v.(bool)
	switch id {
	case "defined", "undefined":
		_, missing := v.(undefined)
		return missing == (id == "undefined"), nil
	case "none":
		return v == nil, nil
	case "string", "mapping", "sequence", "iterable", "callable":
		return ofKind(id, v), nil
	case "number":
		return isNumber, nil
	case "integer":
		return isNumber && !isFloat && !isBool, nil
	case "float":
		return isFloat, nil
	case "boolean":
		return isBool, nil
	case "true", "false":
		return isBool && v.(bool) == (id == "true"), nil
	case "upper", "lower":
		s, err := r.str(line, v)
		if id == "upper" {
			return s == strings.ToUpper(s) && s != strings.ToLower(s), err
		}
		return s == strings.ToLower(s) && s != strings.ToUpper(s), err
	case "odd", "even":
		rest, err := r.arithmetic(line, "%", v, int64(2))
		if err != nil {
			return false, err
		}
		want := int64(0)
		if id == "odd" {
			want = 1
		}
		return r.equal(line, rest, want)
	case "divisibleby":
		rest, err := r.arithmetic(line, "%", v, a.list[0])
		if err != nil {
			return false, err
		}
		return r.equal(line, rest, int64(0))
	case "eq", "equalto", "==":
		return r.compare(line, "==", v, a.list[0])
	case "ne", "!=":
		return r.compare(line, "!=", v, a.list[0])
	case "lt", "lessthan", "<":
		return r.compare(line, "<", v, a.list[0])
	case "le", "<=":
		return r.compare(line, "<=", v, a.list[0])
	case "gt", "greaterthan", ">":
		return r.compare(line, ">", v, a.list[0])
	case "ge", ">=":
		return r.compare(line, ">=", v, a.list[0])
	case "in":
		return r.contains(line, a.list[0], v)
	case "sameas":
		if !hashable(v) || !hashable(a.list[0]) {
			return false, fail(line, "the test sameas of a %s is not supported", kindOf(v))
		}
		return kindOf(v) == kindOf(a.list[0]) && v == a.list[0], nil
	}
	return false, fail(line, "the test %s is not supported", id)
}

func ofKind(id string, v any) bool {
	switch x := v.(type) {
	case string:
		return id != "mapping" && id != "callable"
	case *Dict:
		return id == "mapping" || id == "sequence" || id == "iterable"
	case view:
		return id == "iterable" || id == "sequence" && strings.HasPrefix(x.text, "range")
	case List, Tuple:
		return id == "sequence" || id == "iterable"
	case undefined:
		return id == "sequence" || id == "iterable" || id == "callable"
	case callable:
		return id == "callable"
	}
	return false
}
