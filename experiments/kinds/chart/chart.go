// Package chart is the kind of cell that draws curves, bars or points of what other cells or the tracker's runs have.
package chart

import (
	"context"

	"triality/experiments"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "chart"

// Body of a step.
type Body struct {
	Of    []graph.Input `yaml:"of" takes:"series,table" doc:"what is drawn: ${tune.metrics.train/loss}, ${tune.metrics} or ${query.rows}; may be a list"`
	Runs  string        `yaml:"runs" doc:"in place of of: the tracker's runs that this finds, in the language of docs/search.md"`
	Type  string        `yaml:"type" choice:"line,bar,scatter" doc:"line, bar or scatter"`
	X     string        `yaml:"x" doc:"column of a table, or parameter or metric of runs; empty: the step of a series, the first column of a table, the name of a run"`
	Y     []string      `yaml:"y" doc:"columns of a table, or metrics of a series or of runs; none: all that are numbers"`
	Limit int           `yaml:"limit" range:"1..50" doc:"most runs"`
	Title string        `yaml:"title" doc:"what stands above it; empty: the names of what is drawn"`
	Log   bool          `yaml:"log" doc:"a logarithmic axis of values"`
	// Read is what the tracker's runs have where it has been read; nil: planning reads it.
	Read *FromRuns `yaml:"-"`
}

// FromRuns is what runs have of what is drawn: rows of their values, or lines.
type FromRuns struct {
	Rows  *experiments.Rows
	Lines []Line
}

// Line is a curve, a set of points, or bars: Labels name these.
type Line struct {
	Name   string             `json:"name"`
	X      []experiments.Real `json:"x,omitempty"`
	Y      []experiments.Real `json:"y"`
	Labels []string           `json:"labels,omitempty"`
}

// Shown is what a page shows.
type Shown struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	X     string `json:"x"` // what x is
	Log   bool   `json:"log"`
	Lines []Line `json:"lines"`
}

// Engine reads the tracker.
type Engine interface {
	FindRuns(ctx context.Context, q experiments.RunQuery) (experiments.Rows, error)
	RunSeries(ctx context.Context, runID, metric string) ([]experiments.Point, error)
}

const file = "chart.json"

// Kind is the kind. What the tracker answers is read when a plan is made, and is a part of the key.
func Kind(e Engine) graph.Kind {
	show := func(_ context.Context, w graph.Work) (any, error) { return w.Body.(*Body).show() }
	return graph.Kind{
		Name: Name, Cost: graph.Free,
		Body:      func() any { return &Body{Type: "line", Limit: 10} },
		Gives:     []graph.Output{{Name: "chart", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "chart/" + file, MediaType: "application/json"}},
		Check:     func(body any) error { return body.(*Body).check() },
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if b.Runs != "" && b.Read == nil {
				var err error
				if b.Read, err = b.fromRuns(ctx, e); err != nil {
					return graph.Outline{}, err
				}
			}
			parts := []any{b.Runs, b.Type, b.X, b.Y, b.Limit, b.Title, b.Log, b.Read}
			for _, of := range b.Of {
				parts = append(parts, of.Key(), of.Text)
			}
			key, err := graph.Key(Name, parts...)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"chart": file}}, err
		},
		Show: show, Run: graph.WriteShown(file, show),
	}
}

func (b *Body) check() error {
	switch {
	case b.Runs == "" && len(b.Of) == 0:
		return graph.At("of", experiments.Errorf(experiments.CodeInvalid, "is needed, or runs: what is drawn"))
	case b.Runs != "" && len(b.Of) > 0:
		return graph.At("runs", experiments.Errorf(experiments.CodeInvalid, "give of or runs, not both"))
	case b.Runs != "" && len(b.Y) == 0:
		return graph.At("runs", experiments.Errorf(experiments.CodeInvalid, "y is needed with it: the metrics that are drawn"))
	case b.Type == "scatter" && b.X == "":
		return graph.At("type", experiments.Errorf(experiments.CodeInvalid, "a scatter needs x: what points are drawn by"))
	}
	return nil
}

// fromRuns reads what is drawn of the tracker's runs.
func (b *Body) fromRuns(ctx context.Context, e Engine) (*FromRuns, error) {
	q := experiments.RunQuery{Filter: b.Runs, Limit: b.Limit}
	if b.Type != "line" || b.X != "" {
		if b.X != "" && b.X != "name" {
			q.Columns = append(q.Columns, b.X)
		}
		q.Columns = append(q.Columns, b.Y...)
	}
	rows, err := e.FindRuns(ctx, q)
	if err != nil {
		return nil, graph.At("runs", err)
	}
	if len(q.Columns) > 0 {
		return &FromRuns{Rows: &rows}, nil
	}
	out := &FromRuns{}
	for i, run := range rows.Runs {
		name, _ := rows.Rows[i][0].(string)
		for _, metric := range b.Y {
			points, err := e.RunSeries(ctx, run, metric)
			if err != nil {
				return nil, graph.At("runs", err)
			}
			if len(points) == 0 {
				continue
			}
			title := name
			if len(b.Y) > 1 {
				title += " · " + metric
			}
			out.Lines = append(out.Lines, lineOf(title, points))
		}
	}
	if len(out.Lines) == 0 {
		return nil, graph.At("runs", experiments.Errorf(experiments.CodeInvalid, "of %d runs that it finds none has %s", len(rows.Runs), b.Y[0]))
	}
	return out, nil
}
