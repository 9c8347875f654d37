// Package query is the kind of cell that searches the tracker's runs.
package query

import (
	"context"
	"slices"

	"triality/experiments"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "query"

// Body of a step.
type Body struct {
	Filter  string   `yaml:"filter" doc:"which runs, in the language of docs/search.md; empty: all"`
	OrderBy []string `yaml:"order_by" doc:"keys, each with ASC or DESC after it; none: the newest first"`
	Columns []string `yaml:"columns" doc:"keys whose values are shown, such as metrics.eval/loss, params.lora_r or best(f1)"`
	Limit   int      `yaml:"limit" range:"1..200" doc:"most runs"`
	// Read are the runs where they have been read; nil: planning reads them.
	Read *experiments.Rows `yaml:"-"`
}

// Engine reads the tracker.
type Engine interface {
	FindRuns(ctx context.Context, q experiments.RunQuery) (experiments.Rows, error)
}

const file = "rows.json"

// Kind is the kind. What the tracker answers is read when a plan is made, and is a part of the key.
func Kind(e Engine) graph.Kind {
	show := func(_ context.Context, w graph.Work) (any, error) { return w.Body.(*Body).Read, nil }
	return graph.Kind{
		Name: Name, Cost: graph.Free,
		Body:      func() any { return &Body{Limit: 20} },
		Gives:     []graph.Output{{Name: "rows", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "query/" + file, MediaType: "application/json"}},
		Check: func(body any) error {
			for _, c := range body.(*Body).Columns {
				if slices.Contains([]string{"name", "experiment", "status"}, c) {
					return graph.At("columns", experiments.Errorf(experiments.CodeInvalid, "%s is a column already", c))
				}
			}
			return nil
		},
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if b.Read == nil {
				rows, err := e.FindRuns(ctx, experiments.RunQuery{Filter: b.Filter, OrderBy: b.OrderBy, Columns: b.Columns, Limit: b.Limit})
				if err != nil {
					return graph.Outline{}, graph.At("filter", err)
				}
				b.Read = &rows
			}
			key, err := graph.Key(Name, b.Filter, b.OrderBy, b.Columns, b.Limit, b.Read)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"rows": file}}, err
		},
		Show: show, Run: graph.WriteShown(file, show),
	}
}
