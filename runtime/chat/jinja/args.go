package jinja

// args are a call's arguments.
type args struct {
	list  []any
	names []string
	named map[string]any
}

// take gives a named argument once.
func (a *args) take(id string) (any, bool) {
	v, ok := a.named[id]
	delete(a.named, id)
	return v, ok
}

// none refuses named arguments that nothing took.
func (a *args) none(line int, what string) error {
	for _, n := range a.names {
		if _, ok := a.named[n]; ok {
			return fail(line, "%s has no argument %s", what, n)
		}
	}
	return nil
}

// want gives the arguments in the order of params, nil where one was left out; the first least of
// them must be there.
func (a *args) want(line int, what string, least int, params ...string) ([]any, error) {
	if len(a.list) > len(params) {
		return nil, fail(line, "%s takes at most %d arguments, not %d", what, len(params), len(a.list))
	}
	out := make([]any, len(params))
	for i, p := range params {
		v, given := a.take(p)
		switch {
		case i < len(a.list) && given:
			return nil, fail(line, "%s: %s is given twice", what, p)
		case i < len(a.list):
			out[i] = a.list[i]
		case given:
			out[i] = v
		case i < least:
			return nil, fail(line, "%s wants the argument %s", what, p)
		default:
			out[i] = absent
		}
	}
	return out, a.none(line, what)
}

// absent marks an argument that was left out.
var absent = undefined("an argument that was left out")

func (r *run) evalArgs(in arguments, s *scope) (a args, err error) {
	for _, e := range in.args {
		v, err := r.eval(e, s)
		if err != nil {
			return a, err
		}
		a.list = append(a.list, v)
	}
	for i, e := range in.kwargs {
		v, err := r.eval(e, s)
		if err != nil {
			return a, err
		}
		if a.named == nil {
			a.named = map[string]any{}
		}
		if _, twice := a.named[in.names[i]]; twice {
			return a, fail(e.at(), "%s is given twice", in.names[i])
		}
		a.names, a.named[in.names[i]] = append(a.names, in.names[i]), v
	}
	return a, nil
}

// text takes an argument as a string, otherwise where it was left out or is None.
func textArg(line int, what string, v any, otherwise string) (string, error) {
	switch x := v.(type) {
	case string:
		return x, nil
	case nil:
		return otherwise, nil
	}
	if v == any(absent) {
		return otherwise, nil
	}
	return "", fail(line, "%s wants a string, not %s", what, describe(v))
}

func intArg(line int, what string, v any, otherwise int64) (int64, error) {
	if v == any(absent) {
		return otherwise, nil
	}
	if i, _, isFloat, ok := number(v); ok && !isFloat {
		return i, nil
	}
	return 0, fail(line, "%s wants an integer, not %s", what, describe(v))
}
