// Package samples is the kind of cell that lists the rows of an A/B test with both arms' answers.
package samples

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "samples"

// Body of a step.
type Body struct {
	Result   graph.Input `yaml:"result" takes:"A/B result" optional:"true" doc:"the A/B test whose rows are shown: ${ab.result}, or a file of one"`
	Run      string      `yaml:"run" doc:"in place of result: of the tracker's runs that this finds, in the language of docs/search.md, the newest with an A/B test"`
	Show     string      `yaml:"show" choice:"differ,fixed,broken,both_wrong,all" doc:"rows where the arms' answers differ, where B alone is right (fixed), A alone (broken), neither (both_wrong), or all"`
	Label    string      `yaml:"label" doc:"rows of this class"`
	Language string      `yaml:"language" doc:"rows of this language"`
	Contains string      `yaml:"contains" doc:"rows whose text has this, whichever case"`
	Limit    int         `yaml:"limit" range:"1..1000" doc:"most rows"`
	// Read is the result where a run's has been read; nil: planning reads it.
	Read *experiments.ABResult `yaml:"-"`
	From string                `yaml:"-"` // id of the run
}

// Row is one row with both answers.
type Row struct {
	Index    int    `json:"index"`
	Text     string `json:"text"`
	Language string `json:"language"`
	Domain   string `json:"domain"`
	Label    string `json:"label"`
	A        string `json:"a"`
	B        string `json:"b"`
}

// Shown is what a page shows.
type Shown struct {
	Run    string         `json:"run,omitempty"`
	Rows   []Row          `json:"rows"`
	Total  int            `json:"total"`  // rows that are asked for, of which these are the first
	Of     int            `json:"of"`     // rows of the test
	Counts map[string]int `json:"counts"` // of all: fixed, broken, both_wrong, both_right, differ
}

// Engine reads the tracker.
type Engine interface {
	FindRuns(ctx context.Context, q experiments.RunQuery) (experiments.Rows, error)
	RunFile(ctx context.Context, runID, path string) ([]byte, error)
}

const (
	file     = "samples.json"
	artifact = "abtest/results.json"
)

// Kind is the kind. What the tracker answers is read when a plan is made, and is a part of the key.
func Kind(e Engine) graph.Kind {
	show := func(_ context.Context, w graph.Work) (any, error) { return w.Body.(*Body).show() }
	return graph.Kind{
		Name: Name, Cost: graph.Free,
		Body:      func() any { return &Body{Show: "differ", Limit: 100} },
		Gives:     []graph.Output{{Name: "rows", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "samples/" + file, MediaType: "application/json"}},
		Check: func(body any) error {
			if b := body.(*Body); (b.Result.Text == "") == (b.Run == "") {
				return graph.At("result", experiments.Errorf(experiments.CodeInvalid, "give result or run, the one or the other"))
			}
			return nil
		},
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if b.Run != "" && b.Read == nil {
				if err := b.read(ctx, e); err != nil {
					return graph.Outline{}, graph.At("run", err)
				}
			}
			key, err := graph.Key(Name, b.Result.Key(), b.Run, b.Show, b.Label, b.Language, b.Contains, b.Limit, b.Read)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"rows": file}}, err
		},
		Show: show, Run: graph.WriteShown(file, show),
	}
}

// lookedAt is how many of the newest runs that a search finds are looked at for one with an A/B test.
const lookedAt = 50

// read reads the result of the newest run with an A/B test that the search finds.
func (b *Body) read(ctx context.Context, e Engine) error {
	found, err := e.FindRuns(ctx, experiments.RunQuery{Filter: b.Run, Limit: lookedAt})
	if err != nil {
		return err
	}
	for _, run := range found.Runs {
		text, err := e.RunFile(ctx, run, artifact)
		if experiments.CodeOf(err) == experiments.CodeNotFound {
			continue
		}
		b.From = run
		if err == nil {
			err = json.Unmarshal(text, &b.Read)
		}
		return err
	}
	return experiments.Errorf(experiments.CodeInvalid, "%q finds no run with an A/B test, of %d runs", b.Run, len(found.Runs))
}

func (b *Body) show() (Shown, error) {
	out := Shown{Run: b.From, Rows: []Row{}, Counts: map[string]int{}}
	result := b.Read
	if result == nil {
		if err := b.Result.Decode(&result); err != nil {
			return out, graph.At("result", err)
		}
	}
	out.Of = len(result.Samples)
	for i := range result.Samples {
		s := &result.Samples[i]
		has := standing(s)
		for _, name := range has {
			out.Counts[name]++
		}
		if b.Show != "all" && !slices.Contains(has, b.Show) || b.Label != "" && s.Label != b.Label || b.Language != "" && s.Language != b.Language ||
			!strings.Contains(strings.ToLower(s.Text), strings.ToLower(b.Contains)) {
			continue
		}
		if out.Total++; out.Total <= b.Limit {
			out.Rows = append(out.Rows, Row{s.Index, s.Text, s.Language, s.Domain, s.Label, s.PredictionA, s.PredictionB})
		}
	}
	return out, nil
}

// standing says how the two answers to a row stand.
func standing(s *experiments.Sample) []string {
	a, b := s.PredictionA == s.Label, s.PredictionB == s.Label
	out := []string{"both_wrong"}
	switch {
	case a && b:
		out[0] = "both_right"
	case b:
		out[0] = "fixed"
	case a:
		out[0] = "broken"
	}
	if s.PredictionA != s.PredictionB {
		out = append(out, "differ")
	}
	return out
}
