// Package export is the kind of step that writes a model as one GGUF file, for llama.cpp and the tools around it, as
// `triality model export` does.
package export

import (
	"context"
	"path"
	"path/filepath"
	"strings"

	"triality/experiments/graph"
)

// Name of the kind.
const Name = "export"

// Body of a step.
type Body struct {
	Model              graph.Input `yaml:"model" takes:"model" doc:"a plain model; an SO8T model goes through burn-in first"`
	Type               string      `yaml:"type" choice:"f16,q8_0,f32" doc:"how matrices are stored: f16, q8_0 or f32; vectors are f32"`
	Name               string      `yaml:"name" doc:"the model's name in the file; empty: that of the model's folder, or of its repository"`
	AllowUnknownConfig bool        `yaml:"allow_unknown_config" doc:"as model.allow_unknown_config"`
}

// Options are what the engine gets.
type Options struct {
	Model              string // folder in Hugging Face form, or "org/name" of the Hub
	Type               string // "f16", "q8_0" or "f32"
	Name               string // general.name of the file
	Out                string // file, whole or not there
	AllowUnknownConfig bool
}

// Engine does the work.
type Engine interface {
	Export(ctx context.Context, o Options, sink graph.Sink) error
}

const file = "model.gguf"

// Kind is the kind. It computes on the processor and needs no device; a step that was cut short starts over.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Cheap,
		Body:  func() any { return &Body{Type: "f16"} },
		Gives: []graph.Output{{Name: "gguf", Type: graph.GGUF}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if b.Name == "" {
				name, _, _ := strings.Cut(filepath.ToSlash(b.Model.Path()), "@") // of the Hub, with its commit
				b.Name = path.Base(name)
			}
			key, err := graph.Key(Name, b.Model.Key(), b.Type, b.Name, b.AllowUnknownConfig)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"gguf": file}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.Export(ctx, Options{Model: b.Model.Path(), Type: b.Type, Name: b.Name, Out: w.File(file), AllowUnknownConfig: b.AllowUnknownConfig}, w.Sink)
		},
	}
}
