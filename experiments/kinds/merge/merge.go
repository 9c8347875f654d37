// Package merge is the kind of step that folds a PEFT adapter into its base model, as `triality model merge` does.
package merge

import (
	"context"

	"triality/experiments/graph"
)

// Name of the kind.
const Name = "merge"

// Body of a step.
type Body struct {
	BaseModel          graph.Input `yaml:"base_model" takes:"model" doc:"model that the adapter was trained on"`
	Adapter            graph.Input `yaml:"adapter" takes:"adapter" doc:"PEFT adapter: what finetune gives, or a folder"`
	AllowUnknownConfig bool        `yaml:"allow_unknown_config" doc:"as model.allow_unknown_config"`
}

// Options are what the engine gets.
type Options struct {
	BaseModel          string // folder in Hugging Face form, or "org/name" of the Hub
	Adapter            string // folder in PEFT form
	Out                string // folder that gets the merged model, whole or not at all; an old one is replaced
	AllowUnknownConfig bool
}

// Engine does the work.
type Engine interface {
	Merge(ctx context.Context, o Options, sink graph.Sink) error
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
			key, err := graph.Key(Name, b.BaseModel.Key(), b.Adapter.Key(), b.AllowUnknownConfig)
			return graph.Outline{Key: key, Files: []string{folder}, Gives: map[string]string{"model": folder}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.Merge(ctx, Options{BaseModel: b.BaseModel.Path(), Adapter: b.Adapter.Path(), Out: w.File(folder), AllowUnknownConfig: b.AllowUnknownConfig}, w.Sink)
		},
	}
}
