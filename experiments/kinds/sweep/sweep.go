// Package sweep is the kind of step that runs other steps many times with other values of their keys and says which did
// best: a grid, random points, or successive halving. Each point has the keys and so the results of a run of that
// configuration alone.
package sweep

import (
	"context"

	"triality/experiments/graph"
)

// Name of the kind.
const Name = "sweep"

// Methods and directions.
const (
	Grid    = "grid"
	Random  = "random"
	Halving = "halving"
	Max     = "max"
	Min     = "min"
)

// Body of a step.
type Body struct {
	Of        string          `yaml:"of" doc:"the step whose keys are changed"`
	Keys      Keys            `yaml:"keys" doc:"keys of that step's body, dotted, each with a list of values, or with choice, uniform, log_uniform or integer and a list"`
	Metric    graph.SeriesRef `yaml:"metric" doc:"what is compared: the last value of a series that the step or one which depends on it logs"`
	Direction string          `yaml:"direction" choice:"max,min" doc:"which value is better"`
	Method    string          `yaml:"method" choice:"grid,random,halving" doc:"every combination; points drawn by seed; or successive halving, of which each round gives the best of the one before more"`
	Samples   int             `yaml:"samples" range:"0..1000" doc:"points that random and halving draw; halving takes the grid where it is 0"`
	Seed      uint64          `yaml:"seed" doc:"of the draws"`
	Eta       int             `yaml:"eta" range:"2..16" doc:"of halving: one point of so many goes on, with so many times the budget"`
	Budget    Budget          `yaml:"budget" doc:"of halving: what a round gives more of"`
}

// file is a sweep's Result, and best the folder of what its best point gives.
const (
	file = "sweep.json"
	best = "best"
)

// Kind is the kind. What it costs is its points; cut short, those that have ended are taken over.
func Kind() graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Cheap,
		Body:      func() any { return &Body{Direction: Max, Method: Grid, Seed: 42, Eta: 3} },
		Gives:     []graph.Output{{Name: "table", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "sweep/" + file, MediaType: "application/json"}},
		Expand:    expand,
		Plan:      plan,
		Run:       run,
	}
}

func plan(_ context.Context, p graph.Planning) (graph.Outline, error) {
	b := p.Body.(*Body)
	d, err := b.design()
	if err != nil {
		return graph.Outline{}, err
	}
	_, series, _ := b.Metric.Reference()
	var points []any
	for _, v := range p.Variants {
		var values []string
		for _, s := range v.Set {
			values = append(values, s.Key, text(s.Value))
		}
		points = append(points, []any{values, v.First().Key, v.Last().Key})
	}
	parts := []any{b.Method, b.Direction, series, len(d.rounds), points}
	if b.Method == Halving {
		parts = append(parts, b.Eta)
	}
	out := graph.Outline{Files: []string{file}, Gives: map[string]string{"table": file}}
	for _, name := range handedOn(p.Variants) {
		at := best + "/" + name
		out.Files, out.Gives[best+"."+name] = append(out.Files, at), at
	}
	out.Key, err = graph.Key(Name, parts...)
	return out, err
}

// handedOn are the outputs that every variant's first step has.
func handedOn(list []*graph.Variant) (out []string) {
	if len(list) == 0 {
		return nil
	}
	for _, o := range list[0].First().Kind.Gives {
		all := true
		for _, v := range list {
			all = all && v.First().Gives(o.Name)
		}
		if all {
			out = append(out, o.Name)
		}
	}
	return out
}
