// Package compare is the kind of cell that sets two results side by side: their facts, and the paired difference on the rows
// that both judged.
package compare

import (
	"context"
	"encoding/json"

	"triality/experiments"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "compare"

// Body of a step.
type Body struct {
	Result   graph.Input `yaml:"result" takes:"A/B result" optional:"true" doc:"an A/B test, whose arms are compared: ${ab.result}, or a file of one"`
	Other    graph.Input `yaml:"other" takes:"A/B result" optional:"true" doc:"another one on the same rows: one arm of each is compared, that of result as A and that of other as B"`
	Runs     []string    `yaml:"runs" doc:"in place of result and other: two searches in the language of docs/search.md, of each of which the newest run with an A/B test is taken"`
	Arm      string      `yaml:"arm" choice:"A,B" doc:"the arm of result, or of the first run"`
	OtherArm string      `yaml:"other_arm" choice:"A,B" doc:"the arm of other, or of the second run"`
	// Read is what the tracker has of the runs where it has been read; nil: planning reads it.
	Read *Found `yaml:"-"`
}

// Found are two runs' results.
type Found struct {
	Names, Runs [2]string
	Results     [2]*experiments.ABResult
}

// Engine reads the tracker.
type Engine interface {
	FindRuns(ctx context.Context, q experiments.RunQuery) (experiments.Rows, error)
	RunFile(ctx context.Context, runID, path string) ([]byte, error)
}

const (
	file     = "compare.json"
	artifact = "abtest/results.json"
)

// Kind is the kind. What the tracker answers is read when a plan is made, and is a part of the key.
func Kind(e Engine) graph.Kind {
	show := func(_ context.Context, w graph.Work) (any, error) { return w.Body.(*Body).show() }
	return graph.Kind{
		Name: Name, Cost: graph.Free,
		Body:      func() any { return &Body{Arm: "B", OtherArm: "B"} },
		Gives:     []graph.Output{{Name: "comparison", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "compare/" + file, MediaType: "application/json"}},
		Check:     func(body any) error { return body.(*Body).check() },
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if len(b.Runs) > 0 && b.Read == nil {
				if err := b.read(ctx, e); err != nil {
					return graph.Outline{}, graph.At("runs", err)
				}
			}
			key, err := graph.Key(Name, b.Result.Key(), b.Other.Key(), b.Runs, b.Arm, b.OtherArm, b.Read)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"comparison": file}}, err
		},
		Show: show, Run: graph.WriteShown(file, show),
	}
}

func (b *Body) check() error {
	switch {
	case len(b.Runs) == 0 && b.Result.Text == "":
		return graph.At("result", experiments.Errorf(experiments.CodeInvalid, "is needed, or runs: what is compared"))
	case len(b.Runs) > 0 && (b.Result.Text != "" || b.Other.Text != ""):
		return graph.At("runs", experiments.Errorf(experiments.CodeInvalid, "give result or runs, not both"))
	case len(b.Runs) > 0 && len(b.Runs) != 2:
		return graph.At("runs", experiments.Errorf(experiments.CodeInvalid, "want two searches, have %d", len(b.Runs)))
	case len(b.Runs) == 0 && b.Other.Text == "" && (b.Arm != "B" || b.OtherArm != "B"):
		return graph.At("arm", experiments.Errorf(experiments.CodeInvalid, "say which arms are compared where there is an other result; without one both arms of result are"))
	}
	return nil
}

// lookedAt is how many of the newest runs that a search finds are looked at for one with an A/B test.
const lookedAt = 50

// read reads the newest run with an A/B test that each search finds.
func (b *Body) read(ctx context.Context, e Engine) error {
	out := &Found{}
	for i, filter := range b.Runs {
		found, err := e.FindRuns(ctx, experiments.RunQuery{Filter: filter, Limit: lookedAt})
		if err != nil {
			return err
		}
		for j, run := range found.Runs {
			text, err := e.RunFile(ctx, run, artifact)
			if experiments.CodeOf(err) == experiments.CodeNotFound {
				continue
			}
			if err == nil {
				err = json.Unmarshal(text, &out.Results[i])
			}
			if err != nil {
				return err
			}
			out.Runs[i] = run
			out.Names[i], _ = found.Rows[j][0].(string)
			break
		}
		if out.Results[i] == nil {
			return experiments.Errorf(experiments.CodeInvalid, "%q finds no run with an A/B test, of %d runs", filter, len(found.Runs))
		}
	}
	b.Read = out
	return nil
}
