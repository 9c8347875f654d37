// Package metric is the kind of step that runs a WebAssembly metric on the rows of an A/B test that is there, or of one arm
// each of two, without their models, as `triality metric try` does.
package metric

import (
	"context"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "metric"

// Body of a step.
type Body struct {
	Result   graph.Input   `yaml:"result" takes:"A/B result" doc:"the A/B test whose stored rows are measured"`
	Other    graph.Input   `yaml:"other" takes:"A/B result" optional:"true" doc:"another one on the same rows: one arm of each is compared, that of result as A and that of other as B"`
	Arm      string        `yaml:"arm" choice:"A,B" doc:"the arm of result that is compared with other's"`
	OtherArm string        `yaml:"other_arm" choice:"A,B" doc:"the arm of other"`
	Metric   config.Metric `yaml:"metric" doc:"the WebAssembly metric"`
	// Read is the module where it has been read; nil: planning reads it.
	Read *Module `yaml:"-"`
}

// Module is a WebAssembly metric that was read.
type Module struct {
	SHA256 string
	Wasm   []byte
	Name   string // for errors: the file, or the name it was uploaded under
}

// Options are what the engine gets.
type Options struct {
	Result, Other string // files of A/B results; Other empty: both arms of Result
	Arms          [2]string
	Metric        config.Metric
	Module        Module
	Out           string // file of the values, an experiments.ModuleResult
}

// Engine does the work.
type Engine interface {
	// MetricModule reads a metric's module: a file by its path, an uploaded one by its SHA-256.
	MetricModule(ctx context.Context, m config.Metric) (Module, error)
	// Measure computes, logs the figures and records the module with the run.
	Measure(ctx context.Context, o Options, sink graph.Sink) error
	// RecordModule records for this run a module whose values another run computed.
	RecordModule(ctx context.Context, m Module) error
}

const file = "metric.json"

// Kind is the kind. It needs no device; a step that was cut short starts over.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Cheap,
		Body:      func() any { return &Body{Arm: "B", OtherArm: "B"} },
		Gives:     []graph.Output{{Name: "values", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "metric/" + file, MediaType: "application/json"}},
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if b.Other.Text == "" && (b.Arm != "B" || b.OtherArm != "B") {
				return graph.Outline{}, experiments.Errorf(experiments.CodeInvalid, "arm, other_arm: say which arms are compared where there is an other result; without one both arms of result are")
			}
			if b.Read == nil {
				m, err := e.MetricModule(ctx, b.Metric)
				if err != nil {
					return graph.Outline{}, err
				}
				b.Read = &m
			}
			m := b.Metric
			m.Module = b.Read.SHA256 // the content decides, not the path
			parts := []any{b.Result.Key(), m}
			if b.Other.Text != "" {
				parts = append(parts, b.Other.Key(), b.Arm, b.OtherArm)
			}
			key, err := graph.Key(Name, parts...)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"values": file}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.Measure(ctx, Options{
				Result: b.Result.Path(), Other: b.Other.Path(), Arms: [2]string{b.Arm, b.OtherArm}, Metric: b.Metric, Module: *b.Read, Out: w.File(file),
			}, w.Sink)
		},
		TakeOver: func(ctx context.Context, w graph.Work) error { return e.RecordModule(ctx, *w.Body.(*Body).Read) },
	}
}
