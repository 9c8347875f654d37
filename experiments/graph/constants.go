package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments/config"
)

// Constants are the outputs of steps that are known from their bodies alone, by step and output.
type Constants map[string]map[string]*yaml.Node

// Add takes in a step's, where its kind has some.
func (c Constants) Add(s Step, kinds []Kind) error {
	k := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == s.Kind })
	if k < 0 || kinds[k].Constants == nil || s.Body == nil {
		return nil
	}
	of := map[string]*yaml.Node{}
	for name, v := range kinds[k].Constants(s.Body) {
		n := new(yaml.Node)
		if err := n.Encode(v); err != nil {
			return fmt.Errorf("step %s: %s: %w", s.Name, name, err)
		}
		of[name] = n
	}
	c[s.Name] = of
	return nil
}

// constants reads the steps that have some, before the others, in whose bodies they stand.
func (g Graph) constants(steps *yaml.Node, kinds []Kind) (Constants, error) {
	out := Constants{}
	for _, n := range steps.Content {
		var kind string
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "kind" {
				kind = n.Content[i+1].Value
			}
		}
		if !slices.ContainsFunc(kinds, func(k Kind) bool { return k.Name == kind && k.Constants != nil }) {
			continue
		}
		s, err := g.step(n, kinds, nil)
		if err == nil {
			err = out.Add(s, kinds)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// put replaces the references to constants in a body's tree, and names the steps that it replaced some of. A reference is a
// whole value; its line stays.
func (c Constants) put(g Graph, s *Step, n *yaml.Node) (uses []string, err error) {
	if n.Kind == yaml.ScalarNode {
		m := reference.FindStringSubmatch(n.Value)
		if m == nil || c[m[1]] == nil || m[1] == s.Name {
			return nil, nil
		}
		v := c[m[1]][m[2]]
		if v == nil || m[3] != "" {
			return nil, g.fail(s, n.Line, "", "%s: step %s gives %s", n.Value, m[1], strings.Join(slices.Sorted(maps.Keys(c[m[1]])), ", "))
		}
		line, column := n.Line, n.Column
		*n = *v
		n.Line, n.Column = line, column
		return []string{m[1]}, nil
	}
	for _, child := range n.Content {
		more, err := c.put(g, s, child)
		if err != nil {
			return nil, err
		}
		for _, name := range more {
			if !slices.Contains(uses, name) {
				uses = append(uses, name)
			}
		}
	}
	return uses, nil
}

// keyError is an error about a key of a body.
type keyError struct {
	key  string
	line int // 0: the key's
	err  error
}

func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// At says which key of a step's body an error is about, so that it is told at its line.
func At(key string, err error) error { return &keyError{key, 0, err} }

// AtLine is At for a line of its own, such as that of one value among a key's.
func AtLine(key string, line int, err error) error { return &keyError{key, line, err} }

// lineOf is the line of a key of the body, or of what is around it; 0: it was read from no file.
func (s *Step) lineOf(key string) int {
	n, line := s.node, 0
	for part := range strings.SplitSeq(key, ".") {
		part, _, _ = strings.Cut(part, "[")
		if n == nil || n.Kind != yaml.MappingNode {
			return line
		}
		next := (*yaml.Node)(nil)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				line, next = n.Content[i].Line, n.Content[i+1]
			}
		}
		n = next
	}
	return line
}

// Nearest is what may be meant by a name that is not among the known ones, as an error's end.
func Nearest(word string, known []string) string {
	if len(known) == 0 {
		return "; there are none"
	}
	slices.Sort(known)
	if near, ok := config.Nearest(word, known); ok {
		return "; the nearest is " + near
	}
	const most = 12
	if len(known) > most {
		return fmt.Sprintf("; there are %s and %d more", strings.Join(known[:most], ", "), len(known)-most)
	}
	return "; there are " + strings.Join(known, ", ")
}
