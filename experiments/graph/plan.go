package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"triality/experiments"
)

// Env is what planning needs of its surroundings.
type Env struct {
	Dir    string // folder of the steps' folders
	Device string // name of the device that computes
	// Literal says what a text that is no reference stands for, by what the input takes.
	Literal func(ctx context.Context, takes []Type, text string) (Value, error)
	Tell    func(s *Planned) Teller
	Shared  Shared // results of others; nil: there are none
}

// Planned is a step with everything that is decided before any work.
type Planned struct {
	Step
	Kind  *Kind
	Key   string
	Dir   string
	Files []string // that make a result whole
	Done  *Marker  // nil when the step has to run
	Away  string   // folder of what is here of a result that the shared store has; empty: Dir has it, or nobody

	plain        bool // its artifacts and series have the names of its kind
	gives, facts map[string]string
	inputs       []slot
	needs        []*Planned
	twin         *Planned // an earlier step of the same folder: its result is this one's too
	shown        []byte   // what it shows, where it was asked; see Plan.Show

	Variants  []*Variant // what the step asks for, as its Kind.Expand says
	Variant   *Variant   // that the step is a part of; nil: it is one of the graph's own
	expansion *Expansion
	varies    []*Planned // steps that its variants are made of or need: it comes after them, but does not wait
	outs      []Output   // what it may give: the kind's, and what it gives on of a variant
}

// Gives says whether the step as it is configured has an output.
func (s *Planned) Gives(name string) bool { _, ok := s.gives[name]; return ok }

// Output is where one of the step's outputs lies.
func (s *Planned) Output(name string) string { return filepath.Join(s.Here(), s.gives[name]) }

// InRun gives metric points under the names that they have in the run: where several steps are of a kind, those that are
// not named as it put their name in front.
func (s *Planned) InRun(batch experiments.MetricBatch) experiments.MetricBatch {
	if s.plain {
		return batch
	}
	out := experiments.MetricBatch{}
	for name, points := range batch {
		out[s.Prefix()+name] = points
	}
	return out
}

// Prefix is what InRun puts before a name.
func (s *Planned) Prefix() string {
	if s.plain {
		return ""
	}
	return s.Name + "/"
}

// Needs names the steps that this one's result depends on: those that it takes something of, and those that its variants
// are made of or need.
func (s *Planned) Needs() []string {
	var out []string
	for _, n := range s.before() {
		out = append(out, n.Name)
	}
	return out
}

// before are the steps that come before this one.
func (s *Planned) before() []*Planned {
	out := slices.Clone(s.needs)
	for _, n := range s.varies {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// ancestors are the steps that this one depends on, each after those that it depends on.
func (s *Planned) ancestors() []*Planned {
	var out []*Planned
	seen := map[*Planned]bool{}
	var visit func(s *Planned)
	visit = func(s *Planned) {
		for _, n := range s.needs {
			if !seen[n] {
				seen[n] = true
				visit(n)
				out = append(out, n)
			}
		}
	}
	visit(s)
	return out
}

// Plan is a graph in the order in which it runs, with the keys and what is finished.
type Plan struct {
	Steps  []*Planned
	graph  Graph
	shared Shared
}

// Done says whether every step has a finished result.
func (p *Plan) Done() bool {
	return !slices.ContainsFunc(p.Steps, func(s *Planned) bool { return s.Done == nil })
}

// Make plans a graph: its order, its keys and its finished results. Nothing is computed or written. Errors name the
// step, the key of its body and, where the graph was read from a file, the line.
func (g Graph) Make(ctx context.Context, kinds []Kind, env Env) (*Plan, error) {
	steps, err := g.link(kinds)
	if err != nil {
		return nil, err
	}
	of := map[*Kind]int{}
	for _, s := range steps {
		of[s.Kind]++
	}
	for _, s := range steps {
		s.plain = of[s.Kind] == 1 || s.Name == s.Kind.Name
	}
	m := maker{graph: g, env: env, literals: map[string]Value{}, byName: map[string]*Planned{}, byDir: map[string]*Planned{}}
	for _, s := range steps {
		if err := m.plan(ctx, s); err != nil {
			return nil, err
		}
	}
	p := &Plan{Steps: steps, graph: g, shared: env.Shared}
	p.look(ctx, env.Tell)
	return p, nil
}

type maker struct {
	graph    Graph
	env      Env
	literals map[string]Value // hashing a model reads all of it, once
	// The steps that are planned, by their names, and the first of each folder.
	byName, byDir map[string]*Planned
}

func (m *maker) plan(ctx context.Context, s *Planned) error {
	for i := range s.inputs {
		in := &s.inputs[i]
		if in.input.Text == "" {
			continue
		}
		var err error
		if name, output, ok := in.input.Reference(); ok {
			in.input.value, err = given(m.byName[name], output)
		} else {
			in.input.value, err = m.literal(ctx, in)
		}
		if err != nil {
			return coded(m.graph.where(&s.Step, in.input.line, in.key), err)
		}
	}
	for _, v := range s.Variants {
		own := *m
		own.byName = maps.Clone(m.byName)
		for _, step := range v.Steps {
			if err := own.plan(ctx, step); err != nil {
				return fmt.Errorf("%s: %s: %w", s.Name, v.Name, err)
			}
		}
	}
	outline, err := s.Kind.Plan(ctx, Planning{Body: s.Body, Device: m.env.Device, Tell: m.env.Tell(s), Variants: s.Variants})
	if err != nil {
		return m.graph.placed(&s.Step, err)
	}
	s.Key, s.Dir, s.Files, s.gives, s.facts = outline.Key, outline.Dir, outline.Files, outline.Gives, outline.Facts
	if s.Dir == "" {
		s.Dir = filepath.Join(m.env.Dir, s.Kind.Name, short(s.Key))
	}
	m.byName[s.Name] = s
	if s.Variant != nil { // another may have the same folder, and may never run
		s.Done = Finished(s.Dir, s.Key)
		return nil
	}
	if first := m.byDir[filepath.Clean(s.Dir)]; first != nil {
		s.twin = first
		s.needs = append(s.needs, first)
	} else {
		m.byDir[filepath.Clean(s.Dir)] = s
	}
	s.Done = Finished(s.Dir, s.Key)
	return nil
}

func given(from *Planned, output string) (Value, error) {
	rel, ok := from.gives[output]
	switch {
	case output == "":
		rel, ok = ".", true
	case output == metricsOutput && !ok:
		rel, ok = MetricsName, true
	}
	if !ok {
		return Value{}, experiments.Errorf(experiments.CodeInvalid, "${%s.%s}: step %s as it is configured gives no %s", from.Name, output, from.Name, output)
	}
	return Value{Path: filepath.Join(from.Dir, filepath.FromSlash(rel)), Key: from.Key, Facts: from.facts, from: from, rel: rel}, nil
}

func (m *maker) literal(ctx context.Context, in *slot) (Value, error) {
	key := in.wants() + "\x00" + in.input.Text
	if v, ok := m.literals[key]; ok {
		return v, nil
	}
	v, err := m.env.Literal(ctx, in.takes, in.input.Text)
	if err == nil {
		m.literals[key] = v
	}
	return v, err
}

// placed puts a step's place before an error, or that of the key which it is about.
func (g Graph) placed(s *Step, err error) error {
	var at *keyError
	if errors.As(err, &at) {
		line := at.line
		if line == 0 {
			line = s.lineOf(at.key)
		}
		return coded(g.where(s, line, at.key), at.err)
	}
	return coded(g.where(s, 0, ""), err)
}

// coded puts a place before an error and keeps its code.
func coded(where string, err error) error {
	return fmt.Errorf("%s: %w", strings.TrimSuffix(where, ": "), err)
}
