package jinja

import (
	"errors"
	"maps"
	"strings"
)

// Bounds on a rendering: a template may come from anyone.
const (
	maxWork   = 4_000_000 // expressions, elements and sixteenths of bytes
	maxString = 16 << 20  // bytes of one string, and of the result
	maxItems  = 1 << 20   // elements of one list
	maxRange  = 100_000   // of range, as in jinja2's sandbox
	maxDepth  = 1000      // expressions within expressions, macros included; lists within lists
	maxCalls  = 50        // macros within macros
)

// Template is a parsed template. It is immutable and safe for concurrent use.
type Template struct{ body []node }

// Parse reads a template with trim_blocks and lstrip_blocks on. What is wrong with it, and each
// construct that is not supported, is an *Error that names it and its line.
func Parse(src string) (*Template, error) {
	if len(src) > maxSource {
		return nil, fail(1, "the template has %d bytes, more than %d", len(src), maxSource)
	}
	toks, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	body, err := p.body()
	if err != nil {
		return nil, err
	}
	return &Template{body}, nil
}

// run is one rendering.
type run struct {
	work, depth, calls int
	out                *strings.Builder
}

// scope holds the names of a template, a loop's round or a macro's call.
type scope struct {
	vars map[string]any
	up   *scope
}

func (s *scope) get(id string) (any, bool) {
	for ; s != nil; s = s.up {
		if v, ok := s.vars[id]; ok {
			return v, true
		}
	}
	return nil, false
}

func (s *scope) inner() *scope { return &scope{map[string]any{}, s} }

// Render fills the template in. Values are nil, bool, int64, float64, string, List, Tuple, *Dict and
// what Func makes.
func (t *Template) Render(vars map[string]any) (string, error) {
	r := &run{out: new(strings.Builder)}
	s := &scope{maps.Clone(vars), &scope{vars: globals}}
	if s.vars == nil {
		s.vars = map[string]any{}
	}
	if err := r.body(t.body, s); err != nil {
		return "", err
	}
	return r.out.String(), nil
}

// Func makes a function for templates; positional arguments only. An error of it ends the rendering.
func Func(id string, f func(args []any) (any, error)) any {
	return callable{id, func(_ *run, line int, a args) (any, error) {
		if len(a.named) > 0 {
			return nil, fail(line, "%s takes no named arguments", id)
		}
		v, err := f(a.list)
		if err != nil {
			var located *Error
			if errors.As(err, &located) {
				return nil, err
			}
			return nil, &Error{line, err.Error()}
		}
		return v, nil
	}}
}

// spend counts work.
func (r *run) spend(line, n int) error {
	if r.work += n; r.work > maxWork || n > maxWork {
		return fail(line, "the template does too much: more than %d steps", maxWork)
	}
	return nil
}

// enter counts a level of expressions or of values within values.
func (r *run) enter(line int) error {
	if r.depth++; r.depth > maxDepth {
		r.depth--
		return fail(line, "expressions, macros or values nest more than %d deep", maxDepth)
	}
	return r.spend(line, 1)
}

func (r *run) leave() { r.depth-- }

// produce counts a string that is about to be made.
func (r *run) produce(line, n int) error {
	if n > maxString {
		return fail(line, "the template makes a text of %d bytes, more than %d", n, maxString)
	}
	return r.spend(line, 1+n/16)
}

func (r *run) write(line int, s string) error {
	if err := r.produce(line, len(s)); err != nil {
		return err
	}
	if r.out.Len()+len(s) > maxString {
		return fail(line, "the template writes more than %d bytes", maxString)
	}
	r.out.WriteString(s)
	return nil
}

var errBreak, errContinue = errors.New("break"), errors.New("continue")

func (r *run) body(list []node, s *scope) error {
	for _, n := range list {
		if err := r.node(n, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) node(n node, s *scope) error {
	switch n := n.(type) {
	case text:
		return r.write(0, string(n))
	case output:
		v, err := r.eval(n.of, s)
		if err != nil {
			return err
		}
		t, err := r.str(n.at(), v)
		if err != nil {
			return err
		}
		return r.write(n.at(), t)
	case branch:
		for i, c := range n.conds {
			v, err := r.eval(c, s)
			if err != nil {
				return err
			}
			if truth(v) {
				return r.body(n.bodies[i], s)
			}
		}
		return r.body(n.other, s)
	case loop:
		return r.loop(n, s)
	case assign:
		return r.assign(n, s)
	case macroNode:
		s.vars[n.id] = r.macro(n, s)
		return nil
	case jump:
		if n == "break" {
			return errBreak
		}
		return errContinue
	}
	return r.body(n.(group), s)
}

// capture gives what a body writes.
func (r *run) capture(list []node, s *scope) (string, error) {
	out := r.out
	r.out = new(strings.Builder)
	err := r.body(list, s)
	text := r.out.String()
	r.out = out
	return text, err
}

func (r *run) assign(n assign, s *scope) error {
	var v any
	var err error
	if n.value != nil {
		v, err = r.eval(n.value, s)
	} else {
		v, err = r.capture(n.body, s.inner())
	}
	if err != nil {
		return err
	}
	if a, ok := n.target.(attribute); ok {
		of, err := r.eval(a.of, s)
		if err != nil {
			return err
		}
		ns, ok := of.(*namespace)
		if !ok {
			return fail(n.at(), "cannot set %s of %s; only a namespace's attributes can be set", a.id, describe(of))
		}
		ns.d.Set(a.id, v)
		return nil
	}
	return r.bind(n.at(), n.target, v, s)
}

// bind sets a name, or names from the elements of v.
func (r *run) bind(line int, target expr, v any, s *scope) error {
	if n, ok := target.(name); ok {
		s.vars[n.id] = v
		return nil
	}
	names := target.(listExpr).items
	items, err := r.iterate(line, v)
	if err != nil {
		return err
	}
	if len(items) != len(names) {
		return fail(line, "%d values for %d names", len(items), len(names))
	}
	for i, n := range names {
		s.vars[n.(name).id] = items[i]
	}
	return nil
}

// iterate lists what a for loop goes through.
func (r *run) iterate(line int, v any) ([]any, error) {
	var out []any
	switch x := v.(type) {
	case List:
		out = x
	case Tuple:
		out = x
	case *Dict:
		out = x.keys
	case string:
		if err := r.spend(line, len(x)); err != nil {
			return nil, err
		}
		for _, c := range x {
			out = append(out, string(c))
		}
	case view:
		out = x.items
	case undefined:
	default:
		return nil, fail(line, "cannot go through %s", describe(v))
	}
	return out, r.spend(line, len(out))
}

func (r *run) macro(n macroNode, defined *scope) callable {
	return callable{n.id, func(r *run, line int, a args) (any, error) {
		if r.calls++; r.calls > maxCalls {
			return nil, fail(line, "macros call each other more than %d deep", maxCalls)
		}
		defer func() { r.calls-- }()
		s := defined.inner()
		if len(a.list) > len(n.params) {
			return nil, fail(line, "macro %s takes %d arguments, not %d", n.id, len(n.params), len(a.list))
		}
		for i, p := range n.params {
			v, given := a.take(p)
			switch {
			case i < len(a.list) && given:
				return nil, fail(line, "macro %s: %s is given twice", n.id, p)
			case i < len(a.list):
				v = a.list[i]
			case given:
			case i >= len(n.params)-len(n.defaults):
				var err error
				if v, err = r.eval(n.defaults[i-len(n.params)+len(n.defaults)], s); err != nil {
					return nil, err
				}
			default:
				v = undefined("the parameter " + p + ", which was not given")
			}
			s.vars[p] = v
		}
		if err := a.none(line, "macro "+n.id); err != nil {
			return nil, err
		}
		return r.capture(n.body, s)
	}}
}
