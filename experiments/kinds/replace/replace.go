// Package replace is the kind of step that makes an SO8T model of a plain one.
package replace

import (
	"context"
	"fmt"

	"triality/experiments/config"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "replace"

// Body of a step.
type Body struct {
	Model     graph.Input    `yaml:"model" takes:"model" doc:"what is replaced"`
	Dataset   graph.Input    `yaml:"dataset" takes:"data set" optional:"true" doc:"whose train split trains rotations and heads; may be left out when so8t.num_train_epochs is 0"`
	SO8T      config.SO8T    `yaml:"so8t" doc:"the training of rotations and heads"`
	Numbers   config.Numbers `yaml:"numbers" doc:"how models are held"`
	MaxLength int            `yaml:"max_length" as:"data.max_length" doc:"tokens of a sequence that so8t.packing fills"`
	Seed      uint64         `yaml:"seed" doc:"of the training"`
}

// Options are what the engine gets.
type Options struct {
	Model     string // the fine-tuned model: a folder in Hugging Face form, or "org/name" of the Hub
	Dataset   string // its train split trains gates and heads; may be empty when so8t.num_train_epochs is 0
	OutDir    string // gets model/ (SO8T) and checkpoints/
	SO8T      config.SO8T
	MaxLength int // tokens of a sequence that SO8T.Packing fills
	Seed      uint64
}

// Engine does the work.
type Engine interface {
	Replace(ctx context.Context, at graph.Place, o Options, sink graph.Sink) error
}

// Kind is the kind.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Costly, Checkpoints: "checkpoints",
		Body: func() any {
			d := config.Default()
			return &Body{SO8T: d.SO8T, Numbers: d.Numbers(), MaxLength: d.Data.MaxLength, Seed: d.Seed}
		},
		Gives:     []graph.Output{{Name: "model", Type: graph.Model}},
		Artifacts: []graph.Artifact{{File: "model/replacement.json", Path: "replace/replacement.json", MediaType: "application/json"}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			parts := []any{b.Model.Key(), b.Dataset.Key(), b.SO8T, b.Seed, p.Device, b.Numbers.Parts()}
			if length := fmt.Sprint(b.MaxLength); b.SO8T.Packing && b.Dataset.Fact("max_length") != length {
				parts = append(parts, length) // else the data set's key has it
			}
			key, err := graph.Key(Name, parts...)
			return graph.Outline{Key: key, Files: []string{"model"}, Gives: map[string]string{"model": "model"}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.Replace(ctx, w.Place(&b.Numbers), Options{
				Model: b.Model.Path(), Dataset: b.Dataset.Path(), OutDir: w.Dir, SO8T: b.SO8T, MaxLength: b.MaxLength, Seed: b.Seed,
			}, w.Sink)
		},
	}
}
