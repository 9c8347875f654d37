package graph

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
)

// Expansion is what a step asks for beyond itself: other steps of its graph once more, with keys of one of them changed.
// It is a function of the step's body alone.
type Expansion struct {
	Of    string // the step whose keys are changed
	Until string // the last step that each variant has: one that needs Of, however far, or Of itself
	// As is the name under which the step gives on what Of gives of one variant: its output "model" is "As.model".
	As              string
	Changes         []Change // a variant each
	OfKey, UntilKey string   // keys of the body that name Of and Until
}

// names are the steps that it is about: Of, Until, and those that changed values refer to.
func (e Expansion) names() []string {
	out := []string{e.Of, e.Until}
	for _, c := range e.Changes {
		for _, set := range c.Set {
			if name, _, ok := (Input{Text: set.Value.Value}).Reference(); ok && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// Change makes a variant.
type Change struct {
	Name string // what differs, in words
	Set  []Setting
}

// Setting is another value of a key.
type Setting struct {
	Key   string     // of the body, dotted
	Value *yaml.Node // with the line that gives it
}

// Variant is a part of a graph once more, with some keys changed: the copies of Of and of the steps from it to Until.
// What else they need is the graph's own.
type Variant struct {
	Change
	Asks  *Planned // the step that asks for it
	Steps []*Planned
	err   error
}

// First is the step with the changed keys.
func (v *Variant) First() *Planned { return v.Steps[0] }

// Last is the step that comes last.
func (v *Variant) Last() *Planned { return v.Steps[len(v.Steps)-1] }

// Err says why the variant has no result although it was tried: what is wrong with its values. nil before it has run.
func (v *Variant) Err() error { return v.err }

// expand finds what a step asks for: which steps, and what it gives on of them.
func (g Graph) expand(s *Planned, byName map[string]*Planned) error {
	s.outs = s.Kind.Gives
	if s.Kind.Expand == nil {
		return nil
	}
	exp, err := s.Kind.Expand(s.Body)
	if err != nil {
		return experiments.Errorf(experiments.CodeInvalid, "%w", g.placed(&s.Step, err))
	}
	for _, at := range []struct{ name, key string }{{exp.Of, exp.OfKey}, {exp.Until, exp.UntilKey}} {
		from := byName[at.name]
		switch {
		case from == nil:
			return g.fail(&s.Step, s.lineOf(at.key), at.key, "there is no step %s%s", at.name, Nearest(at.name, slices.Collect(maps.Keys(byName))))
		case from == s:
			return g.fail(&s.Step, s.lineOf(at.key), at.key, "%s is the step itself", at.name)
		case !slices.Contains(s.varies, from):
			s.varies = append(s.varies, from)
		}
	}
	of := byName[exp.Of]
	s.expansion = &exp
	s.outs = slices.Clone(s.outs)
	for _, o := range of.Kind.Gives {
		s.outs = append(s.outs, Output{exp.As + "." + o.Name, o.Type})
	}
	return nil
}

// vary makes the variants that a step asks for, once every step knows what it needs.
func (g Graph) vary(s *Planned, byName map[string]*Planned) error {
	exp := s.expansion
	if exp == nil {
		return nil
	}
	chain := between(byName[exp.Of], byName[exp.Until])
	if chain == nil {
		return g.fail(&s.Step, s.lineOf(exp.UntilKey), exp.UntilKey, "step %s does not depend on %s, so no change of it is seen there", exp.Until, exp.Of)
	}
	for _, c := range chain {
		if c.Kind.Expand != nil {
			return g.fail(&s.Step, s.lineOf(exp.OfKey), exp.OfKey, "step %s, which is between, is of kind %s, which asks for steps itself", c.Name, c.Kind.Name)
		}
		if !slices.Contains(s.varies, c) {
			s.varies = append(s.varies, c)
		}
	}
	for _, change := range exp.Changes {
		v := &Variant{Change: change, Asks: s}
		names := maps.Clone(byName)
		of := map[*Kind]int{}
		for i, c := range chain {
			own := &Planned{Step: c.Step, Kind: c.Kind, outs: c.outs, Variant: v}
			own.line = s.line // what is wrong is the asking step's
			if i == 0 {
				if err := g.change(own, change.Set, s.line); err != nil {
					return err
				}
			}
			var stray []string
			var err error
			if own.Body, own.inputs, stray, err = ownBody(own.Body); err != nil {
				return g.fail(&s.Step, 0, "", "%w", err)
			}
			if len(stray) > 0 && g.File != "" {
				return g.fail(&s.Step, 0, stray[0], "takes no reference to another step")
			}
			names[own.Name] = own
			of[own.Kind]++
			v.Steps = append(v.Steps, own)
		}
		for _, own := range v.Steps {
			own.plain = of[own.Kind] == 1 || own.Name == own.Kind.Name
			if err := g.connect(own, names); err != nil {
				return fmt.Errorf("%s: %w", change.Name, err)
			}
			for _, n := range own.needs {
				if n.Variant == nil && !slices.Contains(s.varies, n) {
					s.varies = append(s.varies, n)
				}
			}
		}
		s.Variants = append(s.Variants, v)
	}
	return nil
}

// between are the steps from one to another, both included, each after those that it needs; nil where the second does not
// need the first.
func between(from, to *Planned) []*Planned {
	leads := map[*Planned]bool{} // from is needed, however far
	seen := map[*Planned]bool{}
	var out []*Planned
	var visit func(s *Planned) bool
	visit = func(s *Planned) bool {
		if seen[s] {
			return leads[s]
		}
		seen[s] = true
		leads[s] = s == from
		for _, n := range s.needs {
			if s != from && visit(n) {
				leads[s] = true
			}
		}
		if leads[s] {
			out = append(out, s)
		}
		return leads[s]
	}
	if !visit(to) {
		return nil
	}
	return out
}

// change gives a step a body with other values, which are checked as those of a file are.
func (g Graph) change(s *Planned, set []Setting, line int) error {
	top, err := config.Encode(reflect.ValueOf(s.Body).Elem().Interface())
	if err != nil {
		return fmt.Errorf("step %s: %w", s.Name, err)
	}
	top.Line = line
	for _, c := range set {
		if err := put(top, c.Key, c.Value); err != nil {
			return g.bad(c.Value.Line, "%s: %w", c.Key, err)
		}
		top.Line = c.Value.Line
	}
	body := s.Kind.Body()
	if err := config.Decode(g.File, top, body); err != nil {
		return fmt.Errorf("step %s: %w", s.Name, err)
	}
	s.Body = body
	return nil
}

// Solo is the graph whose steps are a variant's and those that they need, under their own names.
func (p *Plan) Solo(v *Variant) Graph {
	g := Graph{Settings: p.graph.Settings}
	seen := map[*Planned]bool{}
	var visit func(s *Planned)
	visit = func(s *Planned) {
		if seen[s] {
			return
		}
		seen[s] = true
		for _, n := range s.needs {
			visit(n)
		}
		g.Steps = append(g.Steps, s.Step)
	}
	visit(v.Last())
	return g
}
