package graph

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
)

// maxFile bounds a graph's file.
const maxFile = 1 << 20

// Parse reads a graph from YAML: a list "steps" of name, kind and body. file stands for the text in errors, each of
// which has its line. References are read as the values that they are, and resolved when the graph is planned.
func Parse(file string, text []byte, kinds []Kind) (Graph, error) {
	g := Graph{File: file}
	if len(text) > maxFile {
		return g, experiments.Errorf(experiments.CodeTooLarge, "%s: a graph has at most %d bytes", file, maxFile)
	}
	var top struct {
		Steps []struct {
			Name, Kind string
			Body       yaml.Node
			line       int
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return g, experiments.Errorf(experiments.CodeInvalid, "%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return g, experiments.Errorf(experiments.CodeInvalid, "%s: there are no steps", file)
	}
	lines, err := stepLines(doc.Content[0])
	if err == nil {
		err = doc.Content[0].Decode(&top)
	}
	if err != nil {
		return g, experiments.Errorf(experiments.CodeInvalid, "%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	for i, s := range top.Steps {
		step := Step{Name: s.Name, Kind: s.Kind, line: lines[i]}
		k := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == s.Kind })
		if k < 0 {
			return g, g.fail(&step, 0, "kind", "there is no kind %q; there are %s", s.Kind, names(kinds))
		}
		step.Body = kinds[k].Body()
		if s.Body.Kind != 0 {
			if err := config.Decode(file, &s.Body, step.Body); err != nil {
				return g, fmt.Errorf("step %s: %w", s.Name, err)
			}
		}
		g.Steps = append(g.Steps, step)
	}
	return g, nil
}

// stepLines checks the frame around the bodies and gives the line of each step.
func stepLines(top *yaml.Node) ([]int, error) {
	steps, err := fields(top, "steps")
	if err != nil {
		return nil, err
	}
	if steps["steps"] == nil || steps["steps"].Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: steps: want a list of steps", top.Line)
	}
	var lines []int
	for _, s := range steps["steps"].Content {
		if _, err := fields(s, "name", "kind", "body"); err != nil {
			return nil, err
		}
		lines = append(lines, s.Line)
	}
	return lines, nil
}

// fields gives a mapping's values and refuses keys that are not known.
func fields(n *yaml.Node, known ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: want a mapping of %s", n.Line, strings.Join(known, ", "))
	}
	out := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !slices.Contains(known, key.Value) {
			return nil, fmt.Errorf("line %d: %s: unknown key; there are %s", key.Line, key.Value, strings.Join(known, ", "))
		}
		out[key.Value] = n.Content[i+1]
	}
	return out, nil
}
