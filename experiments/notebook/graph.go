package notebook

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
)

// Is says whether a text has a cell, as a notebook has and YAML has not.
func Is(text string) bool { return len(Parse("", text).Cells()) > 0 }

// Tree is the notebook as the YAML tree of a graph, whose lines are those of the file: the front matter's settings
// without its title, and a step for each cell. It wants a notebook without Problems.
func (d *Document) Tree() (*yaml.Node, error) {
	if p := d.Problems(); len(p) > 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "%s:%d: %w", d.File, p[0].Line, errors.New(p[0].where()+p[0].Text))
	}
	settings, err := d.settings()
	if err != nil {
		return nil, err
	}
	top := mapping(1)
	for key, value := range pairs(settings) {
		if key.Value != titleKey {
			top.Content = append(top.Content, key, value)
		}
	}
	steps := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: 1}
	for _, b := range d.Cells() {
		step := mapping(b.Line)
		step.Content = append(step.Content, text("name", b.Line), text(b.Cell.ID, b.Line), text("kind", b.Line), text(b.Cell.Kind, b.Line))
		body, err := graph.ReadYAML(d.File, []byte(b.Cell.Body), b.Line+1)
		if err != nil {
			return nil, err
		}
		if body.Kind != 0 {
			step.Content = append(step.Content, text("body", b.Line), body)
		}
		steps.Content = append(steps.Content, step)
	}
	top.Content = append(top.Content, text("steps", 1), steps)
	return top, nil
}

// titleKey is the front matter's own key; the others are a graph's settings.
const titleKey = "title"

// Title is the front matter's; empty where it gives none.
func (d *Document) Title() string { return d.setting(titleKey) }

// Name is the experiment that its runs are filed under.
func (d *Document) Name() string {
	return cmp.Or(d.setting("name"), config.DefaultSettings().Name)
}

// setting is a text of the front matter; empty where it gives none.
func (d *Document) setting(name string) string {
	if n, err := d.settings(); err == nil {
		for key, value := range pairs(n) {
			if key.Value == name {
				return value.Value
			}
		}
	}
	return ""
}

// settings is the front matter's mapping, empty where there is none.
func (d *Document) settings() (*yaml.Node, error) {
	if len(d.Blocks) == 0 || d.Blocks[0].Type != FrontMatter {
		return mapping(1), nil
	}
	between := d.Blocks[0].Text
	between = between[len(firstLine(between)):]
	between = between[:strings.LastIndexByte(strings.TrimSuffix(between, "\n"), '\n')+1]
	n, err := graph.ReadYAML(d.File, []byte(between), 2)
	switch {
	case err != nil:
		return nil, err
	case n.Kind == 0:
		return mapping(1), nil
	case n.Kind != yaml.MappingNode:
		return nil, experiments.Errorf(experiments.CodeInvalid, "%s:%d: the front matter is no mapping of keys", d.File, n.Line)
	}
	return n, nil
}

func mapping(line int) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: line}
}

func text(s string, line int) *yaml.Node {
	n := &yaml.Node{Line: line}
	n.SetString(s)
	return n
}

// pairs are a mapping's keys and values.
func pairs(n *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// YAML is the notebook as the text of a graph: its cells alone, with their comments.
func (d *Document) YAML() ([]byte, error) {
	top, err := d.Tree()
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(top); err != nil {
		return nil, fmt.Errorf("%s: %w", d.File, err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("%s: %w", d.File, err)
	}
	return []byte(out.String()), nil
}
