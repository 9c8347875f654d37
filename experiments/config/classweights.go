package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
)

// Values of ClassWeights beside a list of weights.
const (
	WeightsNone     = "none"
	WeightsBalanced = "balanced"
)

// ClassWeights says what rows of each class count in a training's loss: none, balanced, or a weight for each class that has
// another than 1, written as a mapping and kept as text, "ALLOW: 1.5, DENY: 3", in the order of the labels.
type ClassWeights string

// UnmarshalYAML reads a word, or a mapping of labels to weights.
func (c *ClassWeights) UnmarshalYAML(n *yaml.Node) error {
	pairs := map[string]string{}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if _, twice := pairs[n.Content[i].Value]; twice {
				return fmt.Errorf("%s is given twice", n.Content[i].Value)
			}
			pairs[n.Content[i].Value] = n.Content[i+1].Value
		}
	case yaml.ScalarNode:
		if n.Value == WeightsNone || n.Value == WeightsBalanced || n.Value == "" {
			*c = ClassWeights(n.Value)
			if n.Value == "" {
				*c = WeightsNone
			}
			return nil
		}
		for pair := range strings.SplitSeq(n.Value, ",") {
			label, weight, ok := strings.Cut(pair, ":")
			if !ok {
				return fmt.Errorf("want none, balanced or a mapping such as {ALLOW: 1, DENY: 2}, have %q", n.Value)
			}
			pairs[strings.TrimSpace(label)] = strings.TrimSpace(weight)
		}
	default:
		return fmt.Errorf("want none, balanced or a mapping such as {ALLOW: 1, DENY: 2}, have a list")
	}
	var out []string
	for _, label := range experiments.Labels {
		text, ok := pairs[label]
		if !ok {
			continue
		}
		delete(pairs, label)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v > 0 && v <= 1e6) {
			return fmt.Errorf("%s: a weight is over 0 and at most 1000000, have %q", label, text)
		}
		if v != 1 {
			out = append(out, label+": "+strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	for label := range pairs {
		hint := ""
		if near, ok := Nearest(strings.ToUpper(label), experiments.Labels); ok {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return fmt.Errorf("want labels of %s, have %q%s", strings.Join(experiments.Labels, ", "), label, hint)
	}
	if *c = ClassWeights(strings.Join(out, ", ")); len(out) == 0 {
		*c = WeightsNone
	}
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (c ClassWeights) MarshalYAML() (any, error) {
	if c == "" {
		return WeightsNone, nil
	}
	return string(c), nil
}

// Of gives the weight of each of experiments.Labels for training rows of these labels; nil where all count alike. Balanced
// weights are the rows over the classes times the class's rows, of the classes that there are, as scikit-learn has them:
// each class then counts the same together.
func (c ClassWeights) Of(labels []int) []float64 {
	if c == WeightsNone || c == "" {
		return nil
	}
	out := make([]float64, len(experiments.Labels))
	if c == WeightsBalanced {
		count, classes := make([]float64, len(out)), 0.0
		for _, l := range labels {
			if count[l]++; count[l] == 1 {
				classes++
			}
		}
		for l := range out {
			out[l] = 1
			if count[l] > 0 {
				out[l] = float64(len(labels)) / (classes * count[l])
			}
		}
		return out
	}
	for l := range out {
		out[l] = 1
	}
	for pair := range strings.SplitSeq(string(c), ", ") {
		label, weight, _ := strings.Cut(pair, ": ")
		if l := experiments.LabelIndex(label); l >= 0 {
			if v, err := strconv.ParseFloat(weight, 64); err == nil && !math.IsNaN(v) {
				out[l] = v
			}
		}
	}
	return out
}
