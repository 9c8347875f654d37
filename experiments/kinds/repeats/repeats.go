// Package repeats is the kind of step that puts A/B tests of the same two arms together, each of another training: one
// result, whose verdict is over seeds, rows and groups together.
package repeats

import (
	"context"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "repeats"

// The result is of the same form as an A/B test's, and the run's in its place.
const (
	file     = "results.json"
	artifact = "abtest/results.json"
)

// resultVersion is that of what a result holds.
const resultVersion = "result 1"

// Body of a step.
type Body struct {
	Results []graph.Input `yaml:"results" takes:"A/B result" doc:"A/B tests on the same rows by the same design, of arms that were trained with other seeds; rows, latencies and metrics shown are the first's"`
	Seeds   []uint64      `yaml:"seeds" doc:"seed_train of each; empty: 1, 2, and so on"`
	Seed    uint64        `yaml:"seed" doc:"of the tests that draw"`
}

// Options are what the engine gets.
type Options struct {
	Results []string // files
	Seeds   []uint64 // one each
	Seed    uint64
	Out     string // file of the result, an experiments.ABResult
}

// Engine does the work.
type Engine interface {
	// Together writes the result of several trainings and logs its figures.
	Together(ctx context.Context, o Options, sink graph.Sink) error
}

// Kind is the kind. It needs no device; a step that was cut short starts over.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Cheap,
		Body:      func() any { return &Body{Seed: 42} },
		Gives:     []graph.Output{{Name: "result", Type: graph.ABResult}},
		Artifacts: []graph.Artifact{{File: file, Path: artifact, MediaType: "application/json"}},
		Check:     func(body any) error { return body.(*Body).check() },
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			parts := []any{resultVersion, b.seeds(), b.Seed}
			seen := map[string]string{}
			for _, r := range b.Results {
				if was, again := seen[r.Key()]; again {
					return graph.Outline{}, graph.At("results", experiments.Errorf(experiments.CodeInvalid, "%s is %s once more: give another seed; a training counts once", r.Text, was))
				}
				seen[r.Key()] = r.Text
				parts = append(parts, r.Key())
			}
			key, err := graph.Key(Name, parts...)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"result": file}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			o := Options{Seeds: b.seeds(), Seed: b.Seed, Out: w.File(file)}
			for _, r := range b.Results {
				o.Results = append(o.Results, r.Path())
			}
			return e.Together(ctx, o, w.Sink)
		},
		Values: func(dir string) (map[string]any, error) {
			var r experiments.ABResult
			if err := graph.ReadJSON(filepath.Join(dir, file), &r); err != nil {
				return nil, err
			}
			return r.Values(), nil
		},
	}
}

func (b *Body) check() error {
	if len(b.Results) < 2 {
		return graph.At("results", experiments.Errorf(experiments.CodeInvalid, "wants at least two A/B tests, has %d", len(b.Results)))
	}
	for i, r := range b.Results {
		for _, other := range b.Results[:i] {
			if r.Text == other.Text {
				return graph.At("results", experiments.Errorf(experiments.CodeInvalid, "%s is given twice: a training counts once", r.Text))
			}
		}
	}
	if n := len(b.Seeds); n > 0 && n != len(b.Results) {
		return graph.At("seeds", experiments.Errorf(experiments.CodeInvalid, "has %d seeds for %d results", n, len(b.Results)))
	}
	return nil
}

// seeds are those of the results, or numbers in their place.
func (b *Body) seeds() []uint64 {
	if len(b.Seeds) > 0 {
		return b.Seeds
	}
	out := make([]uint64, len(b.Results))
	for i := range out {
		out[i] = uint64(i + 1)
	}
	return out
}
