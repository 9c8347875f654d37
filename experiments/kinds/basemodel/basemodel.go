// Package basemodel is the kind of step that makes a base model: a tokenizer and fresh weights, pre-trained on a text.
package basemodel

import (
	"cmp"
	"context"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "base"

// Body of a step.
type Body struct {
	Folder     string        `yaml:"base_model" path:"made" doc:"start of the model's folder, which gets the start of the step's key at its end"`
	Create     config.Create `yaml:"create" doc:"shape, vocabulary, text and training"`
	FormatType string        `yaml:"format_type" as:"data.format_type" doc:"how the rows of a .jsonl text are written"`
	Strict     bool          `yaml:"strict" doc:"refuse a text with a bad line instead of skipping the line"`
	MaxLength  int           `yaml:"max_length" as:"data.max_length" doc:"tokens of a document; a longer one is cut into pieces"`
	Seed       uint64        `yaml:"seed" doc:"of the weights and of the training"`
	Rows       Rows          `yaml:"rows" doc:"in place of create.text: the requests of the training split of these rows"`
	// Docs are what is trained on, where they have been read; nil: planning reads them.
	Docs []string `yaml:"-"`
}

// Rows are rows whose training split is trained on. A convert step with the same keys has the same split.
type Rows struct {
	InputPath string  `yaml:"input_path" path:"input" doc:"as data.input_path"`
	ValRatio  float64 `yaml:"val_ratio" as:"data.val_ratio" doc:"as data.val_ratio"`
	TestRatio float64 `yaml:"test_ratio" as:"data.test_ratio" doc:"as data.test_ratio"`
	Seed      uint64  `yaml:"seed" doc:"of the split; 0: that of the step"`
	Audit     string  `yaml:"audit" as:"data.audit" doc:"as data.audit"`
}

// Options are what the engine gets.
type Options struct {
	Dir       string // gets the model, whole or not at all
	Create    config.Create
	Docs      []string
	MaxLength int
	Seed      uint64
}

// Engine does the work.
type Engine interface {
	// Documents reads a pre-training text.
	Documents(ctx context.Context, path, format string, strict bool, tell graph.Teller) ([]string, error)
	// Requests reads rows and gives the requests of their training split.
	Requests(ctx context.Context, o dataset.Options, tell graph.Teller) ([]string, error)
	// CreateBase makes the model; a call that was cut short is resumed.
	CreateBase(ctx context.Context, at graph.Place, o Options, sink graph.Sink) error
}

// Kind is the kind. What a step that was cut short resumes from lies beside its folder.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Costly, OwnFolder: true,
		Body: func() any {
			d := config.Default()
			return &Body{Create: d.Model.Create, FormatType: d.Data.FormatType, MaxLength: d.Data.MaxLength, Seed: d.Seed,
				Rows: Rows{ValRatio: d.Data.ValRatio, TestRatio: d.Data.TestRatio}}
		},
		Gives: []graph.Output{{Name: "model", Type: graph.Model}},
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if b.Folder == "" || b.Create.Shape == "" {
				return graph.Outline{}, experiments.Errorf(experiments.CodeInvalid, "give base_model and create.shape")
			}
			var err error
			switch {
			case b.Create.Text != "" && b.Rows.InputPath != "":
				return graph.Outline{}, experiments.Errorf(experiments.CodeInvalid, "create.text, rows.input_path: both say what to train on; leave one out")
			case b.Create.Text != "":
				if b.Docs, err = e.Documents(ctx, b.Create.Text, b.FormatType, b.Strict, p.Tell); err != nil {
					return graph.Outline{}, graph.At("create.text", err)
				}
			case b.Rows.InputPath != "":
				if b.Docs, err = e.Requests(ctx, dataset.Options{
					InputPath: b.Rows.InputPath, Format: b.FormatType, MaxLength: b.MaxLength, ValRatio: b.Rows.ValRatio, TestRatio: b.Rows.TestRatio,
					Seed: cmp.Or(b.Rows.Seed, b.Seed), Strict: b.Strict, Audit: b.Rows.Audit,
				}, p.Tell); err != nil {
					return graph.Outline{}, graph.At("rows.input_path", err)
				}
			case len(b.Docs) == 0:
				return graph.Outline{}, experiments.Errorf(experiments.CodeInvalid, "create.text: name a text to train on, or rows by rows.input_path")
			}
			c := b.Create
			c.Text = "" // the content decides
			key, err := graph.Key(Name, b.Docs, c, b.MaxLength, b.Seed, p.Device)
			if err != nil {
				return graph.Outline{}, err
			}
			return graph.Outline{
				Key: key, Dir: filepath.Clean(b.Folder) + "-" + key[:12], Files: []string{"config.json", "model.safetensors", "tokenizer.json"},
				Gives: map[string]string{"model": "."},
			}, nil
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.CreateBase(ctx, w.Place(nil), Options{Dir: w.Dir, Create: b.Create, Docs: b.Docs, MaxLength: b.MaxLength, Seed: b.Seed}, w.Sink)
		},
	}
}
