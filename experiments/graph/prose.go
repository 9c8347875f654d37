package graph

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
)

// Prose is a text with values of other steps in it, "{{step.value}}". The value is one of Kind.Values, a constant, or the
// last value of a series that the step logged.
type Prose struct {
	Text  string
	steps []Input // that it names, each once
}

// inProse is a value in a prose.
var inProse = regexp.MustCompile(`\{\{\s*([A-Za-z0-9][A-Za-z0-9_-]*)\.([^{}]*?)\s*\}\}`)

// UnmarshalYAML reads a text.
func (p *Prose) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode(&p.Text); err != nil {
		return err
	}
	line := n.Line
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		line++ // the text begins below its key
	}
	for _, m := range inProse.FindAllStringSubmatchIndex(p.Text, -1) {
		step := p.Text[m[2]:m[3]]
		if !slices.ContainsFunc(p.steps, func(i Input) bool { return i.step == step }) {
			p.steps = append(p.steps, Input{Text: p.Text[m[0]:m[1]], step: step, line: line + strings.Count(p.Text[:m[0]], "\n")})
		}
	}
	return nil
}

// MarshalYAML writes the text.
func (p Prose) MarshalYAML() (any, error) { return p.Text, nil }

// Keys are those of the steps that it names, in their order.
func (p Prose) Keys() []string {
	var out []string
	for _, s := range p.steps {
		out = append(out, s.step, s.Key())
	}
	return out
}

// Filled is the text with the values in their places.
func (p Prose) Filled() (string, error) {
	of := map[string]map[string]any{}
	for _, s := range p.steps {
		values, err := s.Values()
		if err != nil {
			return "", err
		}
		of[s.step] = values
	}
	var failed error
	out := inProse.ReplaceAllStringFunc(p.Text, func(text string) string {
		m := inProse.FindStringSubmatch(text)
		v, ok := of[m[1]][m[2]]
		if !ok && failed == nil {
			var known []string
			for name := range of[m[1]] {
				known = append(known, name)
			}
			failed = experiments.Errorf(experiments.CodeInvalid, "%s: step %s has no value %s%s", text, m[1], m[2], Nearest(m[2], known))
		}
		return written(v)
	})
	return out, failed
}

// written is a value as a prose has it: numbers with four digits that tell something.
func written(v any) string {
	f, ok := v.(float64)
	switch {
	case !ok:
		return fmt.Sprint(v)
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatFloat(f, 'f', -1, 64)
	case math.Abs(f) >= 1e-3 && math.Abs(f) < 1e4:
		text := strconv.FormatFloat(f, 'f', max(0, 3-int(math.Floor(math.Log10(math.Abs(f))))), 64)
		if strings.Contains(text, ".") {
			text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
		}
		return text
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}
