package sweep

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Keys are the keys that a sweep changes, in the order of the text, each with its values or the range that they are drawn
// from: a list, or one of choice: [..], uniform: [from, to], log_uniform: [from, to], integer: [from, to].
type Keys struct{ axes []axis }

type axis struct {
	key    string
	line   int
	form   string       // empty: values
	values []*yaml.Node // of a list or of choice
	from   float64
	to     float64
}

var forms = []string{"choice", "uniform", "log_uniform", "integer"}

// UnmarshalYAML reads the mapping.
func (k *Keys) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errors.New("want a mapping of keys to lists or ranges, such as training.learning_rate: [1e-4, 1e-3]")
	}
	k.axes = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		a := axis{key: n.Content[i].Value, line: n.Content[i].Line}
		if slices.ContainsFunc(k.axes, func(b axis) bool { return a.key == b.key }) {
			return fmt.Errorf("line %d: %s is given twice", a.line, a.key)
		}
		if err := a.read(n.Content[i+1]); err != nil {
			return fmt.Errorf("line %d: %s: %w", a.line, a.key, err)
		}
		k.axes = append(k.axes, a)
	}
	return nil
}

func (a *axis) read(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.MappingNode {
		if len(n.Content) != 2 || !slices.Contains(forms, n.Content[0].Value) {
			return fmt.Errorf("want a list of values, or one of %s with a list", strings.Join(forms, ", "))
		}
		a.form, n = n.Content[0].Value, n.Content[1]
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return errors.New("want a list of values")
	}
	if a.form == "" || a.form == "choice" {
		a.values = n.Content
		for i, v := range a.values {
			if slices.ContainsFunc(a.values[:i], func(w *yaml.Node) bool { return text(v) == text(w) }) {
				return fmt.Errorf("%s is given twice", text(v))
			}
		}
		return nil
	}
	if len(n.Content) != 2 {
		return fmt.Errorf("%s wants two numbers: [from, to]", a.form)
	}
	for i, into := range []*float64{&a.from, &a.to} {
		if err := n.Content[i].Decode(into); err != nil || math.IsNaN(*into) || math.IsInf(*into, 0) {
			return fmt.Errorf("%s wants two numbers, have %q", a.form, n.Content[i].Value)
		}
	}
	switch {
	case a.from >= a.to:
		return fmt.Errorf("%s: %v is not below %v", a.form, a.from, a.to)
	case a.form == "log_uniform" && a.from <= 0:
		return errors.New("log_uniform: its numbers are above 0")
	case a.form == "integer" && (a.from != math.Trunc(a.from) || a.to != math.Trunc(a.to) || math.Abs(a.from) > 1<<52 || math.Abs(a.to) > 1<<52):
		return errors.New("integer wants whole numbers")
	}
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads to the same.
func (k Keys) MarshalYAML() (any, error) {
	top := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, a := range k.axes {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle, Content: a.values}
		if a.values == nil {
			list.Content = []*yaml.Node{number(a.from), number(a.to)}
		}
		if a.form != "" {
			list = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle, Content: []*yaml.Node{word(a.form), list}}
		}
		top.Content = append(top.Content, word(a.key), list)
	}
	return top, nil
}

// String is the keys as a run's parameter.
func (k Keys) String() string {
	n, _ := k.MarshalYAML()
	n.(*yaml.Node).Style = yaml.FlowStyle
	return text(n.(*yaml.Node))
}

func word(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// number is a value of at most four digits where it is no whole number, so that it is read as it is drawn.
func number(v float64) *yaml.Node {
	if v == math.Trunc(v) && math.Abs(v) <= 1<<52 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(int64(v), 10)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: strconv.FormatFloat(v, 'g', -1, 64)}
}

// text is a value in one line.
func text(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	flow := *n
	flow.Style |= yaml.FlowStyle
	out, err := yaml.Marshal(&flow)
	if err != nil {
		return n.Value
	}
	return strings.TrimSpace(string(out))
}
