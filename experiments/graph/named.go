package graph

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"triality/experiments/config"
)

// Named is a name in a step's body of what is there already: an input that refers to no step, or a key with a path tag.
type Named struct {
	Step  string // the step's name
	Key   string // of its body, dotted
	Takes []Type // what an input may be
	Path  string // the path tag of another key; empty for an input
	text  *string
	where string
}

// Text is the name.
func (n Named) Text() string { return *n.text }

// Set gives the graph another name there.
func (n Named) Set(text string) { *n.text = text }

// Where is the place of the name, as errors begin: file, line, step and key.
func (n Named) Where() string { return n.where }

// Named lists what the bodies name that no step gives, in the order of the steps and their keys. The names are the graph's
// own: Set changes it.
func (g Graph) Named() []Named {
	var out []Named
	for i := range g.Steps {
		s := &g.Steps[i]
		if s.Body == nil {
			continue
		}
		namedIn(reflect.ValueOf(s.Body).Elem(), "", func(n Named, line int) {
			if _, _, ok := (Input{Text: *n.text}).Reference(); *n.text == "" || ok && n.Path == "" {
				return
			}
			n.Step, n.where = s.Name, g.where(s, line, n.Key)
			out = append(out, n)
		})
	}
	return out
}

// namedIn tells of every text in a body that names something.
func namedIn(v reflect.Value, prefix string, tell func(n Named, line int)) {
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		key := t.Tag.Get("yaml")
		if key == "-" || !t.IsExported() {
			continue
		}
		key = prefix + key
		switch {
		case f.Type() == reflect.TypeFor[Input]():
			in := f.Addr().Interface().(*Input)
			tell(Named{Key: key, Takes: takenBy(t), text: &in.Text}, in.line)
		case f.Type() == reflect.TypeFor[[]Input]():
			list := f.Interface().([]Input)
			for j := range list {
				tell(Named{Key: fmt.Sprintf("%s[%d]", key, j), Takes: takenBy(t), text: &list[j].Text}, list[j].line)
			}
		case t.Tag.Get("path") != "" && f.Kind() == reflect.String:
			tell(Named{Key: key, Path: t.Tag.Get("path"), text: f.Addr().Interface().(*string)}, 0)
		case f.Kind() == reflect.Struct:
			namedIn(f, key+".", tell)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			for j := range f.Len() {
				namedIn(f.Index(j), fmt.Sprintf("%s[%d].", key, j), tell)
			}
		}
	}
}

// YAML writes a graph as Parse reads it to the same steps: each body with every key. It has no comments.
func (g Graph) YAML() (string, error) {
	top, err := config.Encode(g.Settings)
	if err != nil {
		return "", err
	}
	steps := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, s := range g.Steps {
		body, err := config.Encode(reflect.ValueOf(s.Body).Elem().Interface())
		if err != nil {
			return "", fmt.Errorf("step %s: %w", s.Name, err)
		}
		steps.Content = append(steps.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: slices.Concat(
			entry("name", s.Name), entry("kind", s.Kind), []*yaml.Node{scalar("body"), body})})
	}
	top.Content = append(top.Content, scalar("steps"), steps)
	text, err := yaml.Marshal(top)
	if err != nil {
		return "", fmt.Errorf("write graph: %w", err)
	}
	return string(text), nil
}

// Brief is YAML without the keys that are as their kinds and the settings have them by default.
func (g Graph) Brief(kinds []Kind) ([]byte, error) {
	top, err := briefly(g.Settings, config.DefaultSettings())
	if err != nil {
		return nil, err
	}
	steps := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, s := range g.Steps {
		k := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == s.Kind })
		if k < 0 {
			return nil, g.fail(&s, 0, "kind", "there is no kind %q", s.Kind)
		}
		usual := kinds[k].Body()
		reseed(usual, g.Settings.Seed)
		body, err := briefly(reflect.ValueOf(s.Body).Elem().Interface(), reflect.ValueOf(usual).Elem().Interface())
		if err != nil {
			return nil, fmt.Errorf("step %s: %w", s.Name, err)
		}
		steps.Content = append(steps.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: slices.Concat(
			entry("name", s.Name), entry("kind", s.Kind), []*yaml.Node{scalar("body"), body})})
	}
	top.Content = append(top.Content, scalar("steps"), steps)
	out, err := yaml.Marshal(top)
	if err != nil {
		return nil, fmt.Errorf("write graph: %w", err)
	}
	return out, nil
}

// briefly is a struct's tree without what another has too.
func briefly(v, usual any) (*yaml.Node, error) {
	n, err := config.Encode(v)
	if err != nil {
		return nil, err
	}
	other, err := config.Encode(usual)
	if err != nil {
		return nil, err
	}
	leaveSame(n, other)
	return n, nil
}

// leaveSame takes out of a mapping what another has under the same keys.
func leaveSame(n, usual *yaml.Node) {
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for j := 0; j+1 < len(usual.Content); j += 2 {
			if usual.Content[j].Value != key.Value {
				continue
			}
			if value.Kind == yaml.MappingNode && usual.Content[j+1].Kind == yaml.MappingNode {
				leaveSame(value, usual.Content[j+1])
			}
			if sameNode(value, usual.Content[j+1]) {
				value = nil
			}
			break
		}
		if value != nil && (value.Kind != yaml.MappingNode || len(value.Content) > 0) {
			kept = append(kept, key, value)
		}
	}
	n.Content = kept
}

func sameNode(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, sameNode)
}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func entry(key, value string) []*yaml.Node { return []*yaml.Node{scalar(key), scalar(value)} }
