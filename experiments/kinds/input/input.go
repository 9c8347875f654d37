// Package input is the kind of cell that has a value which other cells use, as ${NAME.value}, and which a page shows as a
// control.
package input

import (
	"context"
	"math"
	"slices"

	"triality/experiments"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "input"

// Body of a step.
type Body struct {
	Value   any     `yaml:"value" doc:"what ${NAME.value} stands for, as the whole value of a key: a number, a text, true or false"`
	Label   string  `yaml:"label" doc:"what the control is called; empty: the cell's name"`
	Min     float64 `yaml:"min" doc:"least value of a number"`
	Max     float64 `yaml:"max" doc:"greatest value of a number; with it a page shows a slider"`
	Step    float64 `yaml:"step" range:"0..1e15" doc:"between neighbouring values of a slider, from min on; 0: any"`
	Choices []any   `yaml:"choices" doc:"the values there are, in place of min and max"`
}

// Shown is what a page shows.
type Shown struct {
	Value   any     `json:"value"`
	Control string  `json:"control"` // "choice", "slider", "number", "switch" or "text"
	Label   string  `json:"label"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Step    float64 `json:"step"`
	Choices []any   `json:"choices,omitempty"`
}

const file = "input.json"

// Kind is the kind.
func Kind() graph.Kind {
	show := func(_ context.Context, w graph.Work) (any, error) {
		b := w.Body.(*Body)
		out := Shown{b.Value, b.control(), b.Label, b.Min, b.Max, b.Step, b.Choices}
		if out.Label == "" {
			out.Label = w.Step.Name
		}
		return out, nil
	}
	return graph.Kind{
		Name: Name, Cost: graph.Free,
		Body:      func() any { return &Body{} },
		Gives:     []graph.Output{{Name: "value", Type: graph.Constant}},
		Artifacts: []graph.Artifact{{File: file, Path: "input/" + file, MediaType: "application/json"}},
		Constants: func(body any) map[string]any { return map[string]any{"value": body.(*Body).Value} },
		Check:     func(body any) error { return body.(*Body).check() },
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			key, err := graph.Key(Name, b.Value, b.Label, b.Min, b.Max, b.Step, b.Choices)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"value": file}}, err
		},
		Show: show, Run: graph.WriteShown(file, show),
	}
}

// control is how a page shows the value.
func (b *Body) control() string {
	_, isBool := b.Value.(bool)
	_, isNumber := number(b.Value)
	switch {
	case len(b.Choices) > 0:
		return "choice"
	case isBool:
		return "switch"
	case isNumber && b.Max > b.Min:
		return "slider"
	case isNumber:
		return "number"
	}
	return "text"
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	return 0, false
}

func (b *Body) check() error {
	bad := func(format string, args ...any) error {
		return graph.At("value", experiments.Errorf(experiments.CodeInvalid, format, args...))
	}
	n, isNumber := number(b.Value)
	switch v := b.Value.(type) {
	case nil:
		return bad("is needed")
	case string, bool:
	default:
		if !isNumber {
			return bad("want a number, a text, true or false, have %v", v)
		}
	}
	switch {
	case len(b.Choices) > 0:
		if !slices.ContainsFunc(b.Choices, func(c any) bool { return same(c, b.Value) }) {
			return bad("is %v; choices has %v", b.Value, b.Choices)
		}
	case b.Max < b.Min:
		return bad("nothing is between min %v and max %v", b.Min, b.Max)
	case b.Max > b.Min && !isNumber:
		return bad("want a number from %v to %v, have %v", b.Min, b.Max, b.Value)
	case b.Max > b.Min && (n < b.Min || n > b.Max):
		return bad("must be from %v to %v, is %v", b.Min, b.Max, b.Value)
	}
	return nil
}

// same says whether two values are, as YAML writes them: 1 and 1.0 are.
func same(a, b any) bool {
	x, one := number(a)
	y, two := number(b)
	switch a.(type) {
	case string, bool:
		return a == b
	}
	return one && two && x == y
}
