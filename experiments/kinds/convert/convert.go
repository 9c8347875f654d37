// Package convert is the kind of step that makes a Hugging Face dataset of four-class rows.
package convert

import (
	"context"
	"fmt"

	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "convert"

// SummaryName is the file of figures about the rows.
const SummaryName = "summary.json"

// Body of a step.
type Body struct {
	Data      config.Data `yaml:"data" doc:"the rows, their format and their splits"`
	BaseModel graph.Input `yaml:"base_model" takes:"model" optional:"true" doc:"whose tokenizer is used; empty: not tokenized"`
	Seed      uint64      `yaml:"seed" doc:"of the split"`
	// Rows are those of Data where they have been read; nil: planning reads them.
	Rows *dataset.Prepared `yaml:"-"`
}

// RowOptions are how the rows are read and split.
func RowOptions(d config.Data, seed uint64) dataset.Options {
	return dataset.Options{
		InputPath: d.InputPath, Format: d.FormatType, MaxLength: d.MaxLength,
		ValRatio: d.ValRatio, TestRatio: d.TestRatio, Seed: seed, Strict: d.Strict, Audit: d.Audit,
	}
}

// Options are what the engine gets.
type Options struct {
	Options   dataset.Options
	Rows      *dataset.Prepared // nil: read from Options.InputPath
	BaseModel string            // folder or "org/name" of the Hub whose tokenizer is used; empty: not tokenized
	OutDir    string            // gets dataset/ and summary.json
}

// Engine does the work.
type Engine interface {
	Convert(ctx context.Context, o Options, sink graph.Sink) error
}

// Kind is the kind.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Cheap,
		Body: func() any {
			d := config.Default()
			return &Body{Data: d.Data, Seed: d.Seed}
		},
		Gives:     []graph.Output{{Name: "dataset", Type: graph.Dataset}, {Name: "summary", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: SummaryName, Path: "convert/summary.json", MediaType: "application/json"}},
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if b.Rows == nil {
				var err error
				if b.Rows, err = dataset.Prepare(ctx, RowOptions(b.Data, b.Seed), p.Tell); err != nil {
					return graph.Outline{}, graph.At("data.input_path", err)
				}
			}
			data := b.Data
			data.InputPath, data.Strict = "", false // the content decides, not the path; strict refuses or changes nothing
			if data.Audit == dataset.AuditOff {
				data.Audit = "" // as older keys have it
			}
			key, err := graph.Key(Name, b.Rows.Digest, data, b.Seed, b.BaseModel.Key())
			return graph.Outline{
				Key: key, Files: []string{"dataset", SummaryName},
				Gives: map[string]string{"dataset": "dataset", "summary": SummaryName},
				Facts: map[string]string{"max_length": fmt.Sprint(b.Data.MaxLength)},
			}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.Convert(ctx, Options{Rows: b.Rows, Options: RowOptions(b.Data, b.Seed), BaseModel: b.BaseModel.Path(), OutDir: w.Dir}, w.Sink)
		},
	}
}
