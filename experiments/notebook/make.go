package notebook

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/graph"
)

// OfGraph writes a graph's YAML as the text of a notebook: what stands beside the steps as front matter, and a cell for each
// step, with their comments. The notebook's steps are the graph's.
func OfGraph(title, file string, text []byte) (string, error) {
	top, err := graph.ReadYAML(file, text, 1)
	if err != nil {
		return "", err
	}
	fail := func(line int, format string, args ...any) (string, error) {
		return "", experiments.Errorf(experiments.CodeInvalid, "%s:%d: %w", file, line, fmt.Errorf(format, args...))
	}
	if top.Kind != yaml.MappingNode {
		return fail(1, "want a mapping with a list of steps")
	}
	front := mapping(1)
	if title != "" {
		front.Content = append(front.Content, word(titleKey), word(title))
	}
	var steps []*yaml.Node
	for key, value := range pairs(top) {
		if key.Value != "steps" {
			front.Content = append(front.Content, key, value)
			continue
		}
		if value.Kind != yaml.SequenceNode {
			return fail(value.Line, "steps: want a list of steps")
		}
		steps = value.Content
	}
	var out strings.Builder
	head, err := block(front)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&out, "---\n%s---\n", head)
	if title != "" {
		fmt.Fprintf(&out, "\n# %s\n", strings.ReplaceAll(title, "\n", " "))
	}
	for _, step := range steps {
		cell := map[string]*yaml.Node{}
		if step.Kind == yaml.MappingNode {
			for key, value := range pairs(step) {
				cell[key.Value] = value
			}
		}
		if cell["name"] == nil || cell["kind"] == nil {
			return fail(step.Line, "a step has a name and a kind")
		}
		kind, id := cell["kind"].Value, cell["name"].Value
		if err := checkInfo(kind, id); err != nil {
			return fail(step.Line, "%w", err)
		}
		body := ""
		if b := cell["body"]; b != nil && b.Tag != "!!null" {
			if body, err = block(b); err != nil {
				return "", err
			}
		}
		for _, n := range []*yaml.Node{step, cell["name"]} { // what stood above the step
			if c := strings.TrimSpace(n.HeadComment); c != "" {
				body = c + "\n" + body
			}
		}
		out.WriteString("\n" + cellText("```", infoOf(kind, id), body, "\n"))
	}
	return out.String(), nil
}

// word is a text as a value.
func word(s string) *yaml.Node { return text(s, 0) }

// block is a mapping as YAML, a key to a line, and empty where it is.
func block(n *yaml.Node) (string, error) {
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		return "", nil
	}
	if n.Kind == yaml.MappingNode {
		n.Style &^= yaml.FlowStyle
	}
	var out strings.Builder
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return out.String(), nil
}
