// Package note is the kind of cell that is a text with values of other cells in it.
package note

import (
	"context"

	"triality/experiments/graph"
)

// Name of the kind.
const Name = "note"

// Body of a step.
type Body struct {
	Text graph.Prose `yaml:"text" doc:"Markdown; {{NAME.VALUE}} in it is a value of another cell, such as {{ab.accuracy.B}}, {{rank.value}} or {{tune.metrics.train/loss}}"`
}

// Shown is what a page shows.
type Shown struct {
	Text string `json:"text"` // Markdown with the values
}

const file = "note.json"

// Kind is the kind.
func Kind() graph.Kind {
	show := func(_ context.Context, w graph.Work) (any, error) {
		text, err := w.Body.(*Body).Text.Filled()
		if err != nil {
			return nil, graph.At("text", err)
		}
		return Shown{text}, nil
	}
	return graph.Kind{
		Name: Name, Cost: graph.Free,
		Body:      func() any { return &Body{} },
		Gives:     []graph.Output{{Name: "text", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "note/" + file, MediaType: "application/json"}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			key, err := graph.Key(Name, b.Text.Text, b.Text.Keys())
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"text": file}}, err
		},
		Show: show, Run: graph.WriteShown(file, show),
	}
}
