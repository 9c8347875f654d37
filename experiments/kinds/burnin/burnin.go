// Package burnin is the kind of step that folds an SO8T model's rotations into a plain model with the same function, as
// `triality model burn-in` does.
package burnin

import (
	"context"

	"triality/experiments/graph"
)

// Name of the kind.
const Name = "burn-in"

// Body of a step.
type Body struct {
	Model              graph.Input `yaml:"model" takes:"model" doc:"an SO8T model: what replace gives, or a folder"`
	AllowUnknownConfig bool        `yaml:"allow_unknown_config" doc:"as model.allow_unknown_config"`
}

// Options are what the engine gets.
type Options struct {
	Model              string // folder of an SO8T model
	Out                string // folder that gets the plain model, whole or not at all; an old one is replaced
	AllowUnknownConfig bool
}

// Engine does the work.
type Engine interface {
	BurnIn(ctx context.Context, o Options, sink graph.Sink) error
}

const folder = "model"

// Kind is the kind. It computes on the processor and needs no device; a step that was cut short starts over.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Cheap,
		Body:  func() any { return &Body{} },
		Gives: []graph.Output{{Name: "model", Type: graph.Model}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			key, err := graph.Key(Name, b.Model.Key(), b.AllowUnknownConfig)
			return graph.Outline{Key: key, Files: []string{folder}, Gives: map[string]string{"model": folder}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.BurnIn(ctx, Options{Model: b.Model.Path(), Out: w.File(folder), AllowUnknownConfig: b.AllowUnknownConfig}, w.Sink)
		},
	}
}
