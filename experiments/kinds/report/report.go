// Package report is the kind of step that writes a run as one HTML file.
package report

import (
	"context"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "report"

// FileName is the report's file.
const FileName = "report.html"

// Body of a step.
type Body struct {
	AB          graph.Input   `yaml:"ab" takes:"A/B result" doc:"result of an A/B test"`
	Data        graph.Input   `yaml:"data" takes:"table" optional:"true" doc:"the summary of a data set"`
	Training    graph.Input   `yaml:"training" takes:"model,adapter" optional:"true" doc:"what was trained, whose curves are shown"`
	Replacement graph.Input   `yaml:"replacement" takes:"model" optional:"true" doc:"an SO8T model"`
	Report      config.Report `yaml:"report" doc:"language"`
	Name        string        `yaml:"name" doc:"experiment that the run is filed under"`
}

// Engine does the work.
type Engine interface {
	// WriteReport renders to path what in has, beside the run itself and its surroundings; step is the one that does.
	WriteReport(ctx context.Context, step *graph.Planned, in experiments.ReportInput, path string) error
}

// Kind is the kind.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Cheap,
		Body:      func() any { d := config.Default(); return &Body{Report: d.Report, Name: d.Name} },
		Gives:     []graph.Output{{Name: "report", Type: graph.Report}},
		Artifacts: []graph.Artifact{{File: FileName, Path: FileName, MediaType: "text/html; charset=utf-8"}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			key, err := graph.Key(Name, b.AB.Key(), b.Data.Key(), b.Training.Key(), b.Replacement.Key(), b.Report, b.Name)
			return graph.Outline{Key: key, Files: []string{FileName}, Gives: map[string]string{"report": FileName}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			// Metric series come from the steps' own files, so that a reused step is shown as well.
			series, err := w.Series()
			if err != nil {
				return err
			}
			in := experiments.ReportInput{Series: series, Language: b.Report.Language}
			for _, part := range []struct {
				from graph.Input
				file string // below what it names
				into any
			}{{b.Data, "", &in.Data}, {b.AB, "", &in.AB}, {b.Replacement, "replacement.json", &in.Replacement}} {
				if part.from.Path() == "" {
					continue
				}
				if err := graph.ReadJSON(filepath.Join(part.from.Path(), part.file), part.into); err != nil {
					return err
				}
			}
			if in.AB != nil {
				in.Groups = experiments.GroupScores(in.AB.Samples)
			}
			return e.WriteReport(ctx, w.Step, in, w.File(FileName))
		},
	}
}
