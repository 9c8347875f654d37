package graph

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
)

// set changes one value of a graph's tree: "device=cpu" beside the steps, "NAME.training.lora_r=8" in the body of the
// step NAME. The value is YAML. Whether the key is known is found out when the tree is read.
func set(top *yaml.Node, text string) error {
	fail := func(format string, args ...any) error {
		return experiments.Errorf(experiments.CodeInvalid, "--set "+format, args...)
	}
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return fail("wants KEY=VALUE, have %q", text)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(value), &doc); err != nil || len(doc.Content) == 0 {
		doc = yaml.Node{Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}}}
	}
	unplace(doc.Content[0])
	path := strings.Split(key, ".")
	at := top
	if len(path) > 1 {
		step, names := stepOf(top, path[0])
		if step == nil {
			hint := ""
			if near, ok := config.Nearest(path[0], names); ok {
				hint = "; the nearest is " + near
			}
			return fail("%s: there is no step %s%s", key, path[0], hint)
		}
		at, path = step, append([]string{"body"}, path[1:]...)
	}
	if at.Kind != yaml.MappingNode {
		return fail("%s: the file is no mapping", key)
	}
	if err := put(at, strings.Join(path, "."), doc.Content[0]); err != nil {
		return fail("%s: %w", key, err)
	}
	return nil
}

// put gives a key of a mapping, dotted, a value; sections that are missing are made.
func put(at *yaml.Node, key string, value *yaml.Node) error {
	path := strings.Split(key, ".")
	last := path[len(path)-1]
	for _, name := range path[:len(path)-1] {
		if at = child(at, name); at.Kind != yaml.MappingNode {
			return fmt.Errorf("%s is no section", name)
		}
	}
	for i := 0; i+1 < len(at.Content); i += 2 {
		if at.Content[i].Value == last {
			at.Content[i].Line, at.Content[i+1] = value.Line, value
			return nil
		}
	}
	at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: last, Line: value.Line}, value)
	return nil
}

// unplace takes the lines from a tree: they are of no file.
func unplace(n *yaml.Node) {
	n.Line, n.Column = 0, 0
	for _, c := range n.Content {
		unplace(c)
	}
}

// stepOf gives the mapping of a step, and the names of all.
func stepOf(top *yaml.Node, name string) (step *yaml.Node, names []string) {
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value != "steps" {
			continue
		}
		for _, s := range top.Content[i+1].Content {
			if s.Kind != yaml.MappingNode {
				continue
			}
			for j := 0; j+1 < len(s.Content); j += 2 {
				if s.Content[j].Value != "name" {
					continue
				}
				if s.Content[j+1].Value == name {
					return s, nil
				}
				names = append(names, s.Content[j+1].Value)
			}
		}
	}
	return nil, names
}

// child is the section of a mapping, made where there is none.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	c := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, c)
	return c
}

// Text is a graph's YAML with values that win over it, as it is kept with a run.
func Text(file string, text []byte, overrides ...string) (string, error) {
	if len(overrides) == 0 {
		return string(text), nil
	}
	top, err := ReadYAML(file, text, 1)
	if err != nil {
		return "", err
	}
	for _, o := range overrides {
		if err := set(top, o); err != nil {
			return "", err
		}
	}
	out, err := yaml.Marshal(top)
	return string(out), err
}
