package graph

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
)

// Step is one step of a graph.
type Step struct {
	Name   string
	Kind   string
	Body   any        // what the kind's Body makes, filled
	line   int        // of a file that it was read from; 0: none
	node   *yaml.Node // the body in the file; nil: none
	uses   []string   // steps whose constants stand in the body
	varies []string   // steps that its kind's expansion names
}

// Needs are the names of the steps that the body refers to, each once.
func (s Step) Needs() []string {
	_, inputs, _, err := ownBody(s.Body)
	if err != nil {
		return nil // link says it
	}
	out := slices.Clone(s.uses)
	for _, in := range inputs {
		if name, _, ok := in.input.Reference(); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range s.varies {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// Graph is steps that refer to each other.
type Graph struct {
	File     string // that it was read from; empty: none
	Settings config.Settings
	Steps    []Step
}

// fail is an error that names the file and line where they are known, the step and, where key is not empty, its key.
func (g Graph) fail(s *Step, line int, key, format string, args ...any) error {
	return experiments.Errorf(experiments.CodeInvalid, "%s%w", g.where(s, line, key), fmt.Errorf(format, args...))
}

// where is the place of a step or of a key of its body, as errors begin.
func (g Graph) where(s *Step, line int, key string) string {
	out := ""
	if line == 0 {
		line = s.line
	}
	switch {
	case line > 0:
		out = fmt.Sprintf("%s:%d: ", g.File, line)
	case g.File != "":
		out = g.File + ": "
	}
	out += s.Name + ": "
	if key != "" {
		out += key + ": "
	}
	return out
}

// Check says whether the steps and their references fit together, as Make does before it plans.
func (g Graph) Check(kinds []Kind) error {
	_, err := g.link(kinds)
	return err
}

// link checks the steps and gives them in an order in which each comes after what it takes, else in that of the graph.
func (g Graph) link(kinds []Kind) ([]*Planned, error) {
	byName := map[string]*Planned{}
	var steps []*Planned
	for i := range g.Steps {
		s := &Planned{Step: g.Steps[i]}
		if !stepName.MatchString(s.Name) {
			return nil, g.fail(&s.Step, 0, "", "%q is no name of a step: letters, digits, - and _, at most 64", s.Name)
		}
		if byName[s.Name] != nil {
			return nil, g.fail(&s.Step, 0, "", "there are two steps of this name")
		}
		k := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == s.Step.Kind })
		if k < 0 {
			return nil, g.fail(&s.Step, 0, "kind", "there is no kind %q%s", s.Step.Kind, others(s.Step.Kind, kinds))
		}
		s.Kind = &kinds[k]
		var stray []string
		var err error
		if s.Body, s.inputs, stray, err = ownBody(s.Body); err != nil {
			return nil, g.fail(&s.Step, 0, "", "%w", err)
		}
		if len(stray) > 0 && g.File != "" { // where people write references
			return nil, g.fail(&s.Step, 0, stray[0], "takes no reference to another step")
		}
		byName[s.Name] = s
		steps = append(steps, s)
	}
	for _, s := range steps {
		if err := g.expand(s, byName); err != nil {
			return nil, err
		}
	}
	for _, s := range steps {
		if err := g.connect(s, byName); err != nil {
			return nil, err
		}
	}
	for _, s := range steps {
		if err := g.vary(s, byName); err != nil {
			return nil, err
		}
	}
	return g.order(steps)
}

// connect finds the steps that one refers to.
func (g Graph) connect(s *Planned, byName map[string]*Planned) error {
	for _, name := range s.uses {
		if from := byName[name]; from != nil {
			s.needs = append(s.needs, from)
		}
	}
	for i := range s.inputs {
		in := &s.inputs[i]
		if in.input.Text == "" {
			if !in.optional {
				return g.fail(&s.Step, in.input.line, in.key, "is empty; it takes a %s", in.wants())
			}
			continue
		}
		name, output, ok := in.input.Reference()
		if !ok {
			if strings.Contains(in.input.Text, "${") && !in.input.literal {
				return g.fail(&s.Step, in.input.line, in.key, "%q is no reference: a reference is the whole value, ${step.output}", in.input.Text)
			}
			continue
		}
		from := byName[name]
		if from == nil {
			return g.fail(&s.Step, in.input.line, in.key, "%s: there is no step %s", in.input.Text, name)
		}
		t, ok := from.typeOf(output)
		if !ok {
			return g.fail(&s.Step, in.input.line, in.key, "%s: step %s is of kind %s, which gives %s", in.input.Text, name, from.Kind.Name, outputs(from.outs))
		}
		if output != "" && !in.accepts(t) {
			return g.fail(&s.Step, in.input.line, in.key, "%s is a %s; here it must be a %s", in.input.Text, t, in.wants())
		}
		if !slices.Contains(s.needs, from) {
			s.needs = append(s.needs, from)
		}
	}
	return nil
}

// order sorts topologically; of the steps that may come next, the graph's first does.
func (g Graph) order(steps []*Planned) ([]*Planned, error) {
	waits, after := map[*Planned]int{}, map[*Planned][]int{}
	var ready places
	for i, s := range steps {
		before := s.before()
		waits[s] = len(before)
		for _, n := range before {
			after[n] = append(after[n], i)
		}
		if len(before) == 0 {
			ready = append(ready, i) // in order, which is a heap
		}
	}
	var out []*Planned
	for len(ready) > 0 {
		s := steps[heap.Pop(&ready).(int)]
		out = append(out, s)
		for _, i := range after[s] {
			if waits[steps[i]]--; waits[steps[i]] == 0 {
				heap.Push(&ready, i)
			}
		}
	}
	if len(out) < len(steps) {
		return nil, g.cycle(steps, waits)
	}
	return out, nil
}

// places is a heap of the steps' places in the graph.
type places []int

func (p places) Len() int           { return len(p) }
func (p places) Less(i, j int) bool { return p[i] < p[j] }
func (p places) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *places) Push(i any)        { *p = append(*p, i.(int)) }
func (p *places) Pop() any {
	last := len(*p) - 1
	i := (*p)[last]
	*p = (*p)[:last]
	return i
}

// cycle names the steps of one: each that still waits for others needs one that does, so following them comes round.
func (g Graph) cycle(steps []*Planned, waits map[*Planned]int) error {
	open := func(s *Planned) bool { return waits[s] > 0 }
	at := steps[slices.IndexFunc(steps, open)]
	var path []*Planned
	for seen := map[*Planned]bool{}; !seen[at]; {
		seen[at] = true
		path = append(path, at)
		before := at.before()
		at = before[slices.IndexFunc(before, open)]
	}
	path = append(path[slices.Index(path, at):], at)
	var words []string
	for _, s := range path {
		words = append(words, s.Name)
	}
	// The key by which the first refers to the second is one that can be mended.
	i := slices.IndexFunc(path[0].inputs, func(s slot) bool {
		name, _, ok := s.input.Reference()
		return ok && name == path[1].Name
	})
	line, key := 0, ""
	if i >= 0 { // else it asks for variants of it
		line, key = path[0].inputs[i].input.line, path[0].inputs[i].key
	}
	return g.fail(&path[0].Step, line, key, "the steps wait for each other: %s", strings.Join(words, " needs "))
}

// typeOf is the type of an output; the whole step, which has no name, is of any.
func (s *Planned) typeOf(output string) (Type, bool) {
	if output == "" {
		return "", true
	}
	for _, o := range s.outs {
		if o.Name == output {
			return o.Type, true
		}
	}
	return Series, output == metricsOutput && s.Kind.Show == nil
}

func outputs(list []Output) string {
	var out []string
	for _, o := range list {
		out = append(out, o.Name)
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}
