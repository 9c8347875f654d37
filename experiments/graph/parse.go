package graph

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
)

// MaxFile bounds a graph's file, in bytes.
const MaxFile = 1 << 20

// Parse reads a graph from YAML: a list "steps" of name, kind and body, and beside it the keys of config.Settings. file
// stands for the text in errors, each of which has its line. Set are KEY=VALUE pairs that win over the text: see set.
// References are read as the values that they are, and resolved when the graph is planned.
func Parse(file string, text []byte, kinds []Kind, overrides ...string) (Graph, error) {
	top, err := ReadYAML(file, text, 1)
	if err != nil {
		return Graph{File: file}, err
	}
	return ParseTree(file, top, kinds, overrides...)
}

// ParseTree is Parse of a YAML tree, whose lines are those of the file; the overrides change it.
func ParseTree(file string, top *yaml.Node, kinds []Kind, overrides ...string) (Graph, error) {
	g := Graph{File: file, Settings: config.DefaultSettings()}
	for _, o := range overrides {
		if err := set(top, o); err != nil {
			return g, err
		}
	}
	steps, err := g.settings(top)
	if err != nil {
		return g, err
	}
	known, err := g.constants(steps, kinds)
	if err != nil {
		return g, err
	}
	for _, n := range steps.Content {
		s, err := g.step(n, kinds, known)
		if err != nil {
			return g, err
		}
		g.Steps = append(g.Steps, s)
	}
	return g, nil
}

// IsGraph says whether a YAML text has steps, as a graph has and a pipeline has not.
func IsGraph(text []byte) bool {
	top, err := ReadYAML("", text, 1)
	if err != nil || top.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(top.Content); i += 2 {
		if top.Content[i].Value == "steps" {
			return true
		}
	}
	return false
}

// ParseStep reads one step whose body is a YAML text of its own; line is the step's in file, and the body begins on the next.
// An empty body has its kind's defaults, seed is that of a body which gives none, and known are the constants of other steps.
func ParseStep(file string, line int, name, kind string, body []byte, seed uint64, kinds []Kind, known Constants) (Step, error) {
	g := Graph{File: file, Settings: config.Settings{Seed: seed}}
	s := Step{Name: name, Kind: kind, line: line}
	n, err := ReadYAML(file, body, line+1)
	if err != nil {
		return s, err
	}
	if s.uses, err = known.put(g, &s, n); err != nil {
		return s, err
	}
	return s, g.fill(&s, n, kinds)
}

// ReadYAML gives the tree of a YAML text that begins at a line of a file, with the file's lines; of an empty text a tree of
// no kind. Where the text is no YAML, the error has the line that the YAML reader gives, which may be that before.
func ReadYAML(file string, text []byte, line int) (*yaml.Node, error) {
	if len(text) > MaxFile {
		return nil, experiments.Errorf(experiments.CodeTooLarge, "%s: a graph has at most %d bytes", file, MaxFile)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		said := strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(said); m != nil {
			if at, err := strconv.Atoi(m[1]); err == nil {
				said = fmt.Sprintf("line %d: %s", at+line-1, said[len(m[0]):])
			}
		}
		return nil, experiments.Errorf(experiments.CodeInvalid, "%s: %s", file, said)
	}
	if len(doc.Content) == 0 {
		return &yaml.Node{}, nil
	}
	shift(doc.Content[0], line-1)
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// shift moves a tree down by some lines.
func shift(n *yaml.Node, by int) {
	n.Line += by
	for _, c := range n.Content {
		shift(c, by)
	}
}

func (g Graph) bad(line int, format string, args ...any) error {
	where := g.File
	if line > 0 {
		where = fmt.Sprintf("%s:%d", g.File, line)
	}
	return experiments.Errorf(experiments.CodeInvalid, "%s: %w", where, fmt.Errorf(format, args...))
}

// settings reads what stands beside the steps and gives their list.
func (g *Graph) settings(top *yaml.Node) (*yaml.Node, error) {
	if top.Kind == 0 {
		return nil, g.bad(0, "there are no steps")
	}
	if top.Kind != yaml.MappingNode {
		return nil, g.bad(top.Line, "want a mapping with a list of steps")
	}
	var steps *yaml.Node
	rest := *top
	rest.Content = nil
	known := []string{"steps"}
	for i := range reflect.TypeFor[config.Settings]().NumField() {
		known = append(known, reflect.TypeFor[config.Settings]().Field(i).Tag.Get("yaml"))
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		switch {
		case !slices.Contains(known, key.Value):
			return nil, g.unknown(key, known)
		case key.Value != "steps":
			rest.Content = append(rest.Content, key, value)
		case steps != nil:
			return nil, g.bad(key.Line, "steps: is given twice")
		default:
			steps = value
		}
	}
	if steps == nil || steps.Kind != yaml.SequenceNode {
		return nil, g.bad(top.Line, "steps: want a list of steps")
	}
	if len(steps.Content) == 0 {
		return nil, g.bad(steps.Line, "there are no steps")
	}
	return steps, config.Decode(g.File, &rest, &g.Settings)
}

// unknown refuses a key and names the known one that is nearest.
func (g Graph) unknown(key *yaml.Node, known []string) error {
	hint := ""
	if near, ok := config.Nearest(key.Value, known); ok {
		hint = "; the nearest known key is " + near
	}
	return g.bad(key.Line, "%s: unknown key%s; there are %s", key.Value, hint, strings.Join(known, ", "))
}

// step reads name, kind and body.
func (g Graph) step(n *yaml.Node, kinds []Kind, constants Constants) (Step, error) {
	s := Step{line: n.Line}
	known := []string{"name", "kind", "body"}
	if n.Kind != yaml.MappingNode {
		return s, g.bad(n.Line, "want a mapping of %s", strings.Join(known, ", "))
	}
	body := &yaml.Node{}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !slices.Contains(known, key.Value) {
			return s, g.unknown(key, known)
		}
		if seen[key.Value] {
			return s, g.bad(key.Line, "%s: is given twice", key.Value)
		}
		seen[key.Value] = true
		switch into := map[string]*string{"name": &s.Name, "kind": &s.Kind}[key.Value]; {
		case into == nil:
			body = value
		case value.Kind != yaml.ScalarNode:
			return s, g.bad(value.Line, "%s: want text", key.Value)
		default:
			*into = value.Value
		}
	}
	var err error
	if s.uses, err = constants.put(g, &s, body); err != nil {
		return s, err
	}
	return s, g.fill(&s, body, kinds)
}

// fill makes a step's body.
func (g Graph) fill(s *Step, body *yaml.Node, kinds []Kind) error {
	k := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == s.Kind })
	if k < 0 {
		return g.fail(s, 0, "kind", "there is no kind %q%s", s.Kind, others(s.Kind, kinds))
	}
	s.Body, s.node = kinds[k].Body(), body
	reseed(s.Body, g.Settings.Seed)
	if body.Kind != 0 && body.Tag != "!!null" {
		if err := config.Decode(g.File, body, s.Body); err != nil {
			return fmt.Errorf("step %s: %w", s.Name, err)
		}
	}
	if kinds[k].Check != nil {
		if err := kinds[k].Check(s.Body); err != nil {
			return g.placed(s, err)
		}
	}
	if kinds[k].Expand != nil {
		if e, err := kinds[k].Expand(s.Body); err == nil { // link says what is wrong
			s.varies = e.names()
		}
	}
	return nil
}

// reseed sets the key seed of a body, where it has one.
func reseed(body any, seed uint64) {
	v := reflect.ValueOf(body).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); v.Type().Field(i).Tag.Get("yaml") == "seed" && f.Kind() == reflect.Uint64 {
			f.SetUint(seed)
		}
	}
}

// others names the kinds there are, the one that is spelled most alike first.
func others(kind string, kinds []Kind) string {
	var all []string
	for _, k := range kinds {
		all = append(all, k.Name)
	}
	hint := ""
	if near, ok := config.Nearest(kind, all); ok {
		hint = "; the nearest is " + near
	}
	return hint + "; there are " + strings.Join(all, ", ")
}
