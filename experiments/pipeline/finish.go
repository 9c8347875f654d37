package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/atomicfile"
)

// Files that steps leave in their folders.
const (
	metricsName = "metrics.json"
	summaryName = "summary.json"
	reportName  = "report.html"
)

// runSink sends what a step says to the tracker and the watcher, and keeps its metric points for runs
// that reuse the step.
type runSink struct {
	*execution
	ctx   context.Context
	kind  experiments.StepKind
	batch experiments.MetricBatch
	notes []string
}

func (s *runSink) Progress(p experiments.Progress) {
	s.Tracker.Progress(s.run.ID, s.kind, p)
	if s.Watcher != nil {
		s.Watcher.Progress(s.kind, p)
	}
}

func (s *runSink) Metrics(batch experiments.MetricBatch) error {
	for name, points := range batch {
		s.batch[name] = append(s.batch[name], points...)
	}
	return s.log(context.WithoutCancel(s.ctx), batch)
}

// log stores metric points and keeps each series' last value in the run's summary. A run that is resumed
// logs its curves whole again, so each series begins anew with the first points of this execution.
func (e *execution) log(ctx context.Context, batch experiments.MetricBatch) error {
	for name, points := range batch {
		if len(points) > 0 {
			if e.run.Summary == nil {
				e.run.Summary = map[string]float64{}
			}
			e.run.Summary[name] = points[len(points)-1].Value
		}
	}
	if e.restarted == nil {
		return e.Tracker.LogMetrics(ctx, e.run.ID, batch)
	}
	begins, goesOn := experiments.MetricBatch{}, experiments.MetricBatch{}
	for name, points := range batch {
		if e.restarted[name] {
			goesOn[name] = points
		} else {
			begins[name] = points
		}
	}
	if len(begins) > 0 {
		if err := e.Tracker.RestartMetrics(ctx, e.run.ID, begins); err != nil {
			return err
		}
		for name := range begins {
			e.restarted[name] = true
		}
	}
	if len(goesOn) == 0 {
		return nil
	}
	return e.Tracker.LogMetrics(ctx, e.run.ID, goesOn)
}

func (s *runSink) Note(text string) {
	s.notes = append(s.notes, text)
	if s.Watcher != nil {
		s.Watcher.Note(s.kind, text)
	}
}

// finish stores a step's metrics and artifacts and, last, the marker that makes it reusable.
func (e *execution) finish(ctx context.Context, s *step, record *experiments.Step, sink *runSink, outputs []string) error {
	if len(sink.batch) > 0 {
		if err := writeJSON(filepath.Join(s.dir, metricsName), sink.batch); err != nil {
			return err
		}
	}
	if err := e.saveArtifacts(ctx, s, outputs); err != nil {
		return err
	}
	m := marker{
		Kind: s.kind, Key: s.key, RunID: e.run.ID, FinishedAt: record.EndedAt,
		Seconds: record.EndedAt.Sub(record.StartedAt).Seconds(), Outputs: outputs, Notes: sink.notes,
	}
	if err := writeJSON(filepath.Join(s.dir, markerName), m); err != nil {
		return err
	}
	return removeCheckpoints(s.dir)
}

// artifacts are the small results of each step that the tracker keeps with the run, where the step has the
// output that they are in: full fine-tuning has no adapter.
var artifacts = map[experiments.StepKind][]struct{ file, path, mediaType string }{
	experiments.StepConvert:  {{summaryName, "convert/summary.json", "application/json"}},
	experiments.StepFinetune: {{"adapter/adapter_config.json", "finetune/adapter_config.json", "application/json"}, {"adapter/adapter_model.safetensors", "finetune/adapter_model.safetensors", "application/octet-stream"}},
	experiments.StepReplace:  {{"model/replacement.json", "replace/replacement.json", "application/json"}},
	experiments.StepABTest:   {{resultsName, ResultArtifact, "application/json"}},
	experiments.StepReport:   {{reportName, "report.html", "text/html; charset=utf-8"}},
}

func (e *execution) saveArtifacts(ctx context.Context, s *step, outputs []string) error {
	for _, a := range artifacts[s.kind] {
		if output, _, _ := strings.Cut(a.file, "/"); !slices.Contains(outputs, output) {
			continue
		}
		f, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(a.file)))
		if err != nil {
			return fmt.Errorf("artifact %s: %w", a.path, err)
		}
		_, err = e.Tracker.SaveArtifact(ctx, e.run.ID, a.path, a.mediaType, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("artifact %s: %w", a.path, err)
		}
	}
	return nil
}

// report renders the run so far. Metric series come from the steps' own files, so that a reused step
// looks as it did.
func (e *execution) report(ctx context.Context, dir string) error {
	in := experiments.ReportInput{
		Experiment: e.experiment, Run: *e.run, Series: map[string][]experiments.Point{},
		Environment: e.environment(), Language: e.plan.cfg.Report.Language,
	}
	// The report is the run's last step: what it shows is the finished run.
	in.Run.Status, in.Run.EndedAt = experiments.Finished, time.Now().UTC()
	in.Run.Steps = slices.Clone(in.Run.Steps)
	last := &in.Run.Steps[len(in.Run.Steps)-1]
	last.Status, last.EndedAt = experiments.Finished, in.Run.EndedAt
	for _, s := range e.plan.steps {
		if s.kind == experiments.StepReport {
			continue
		}
		var batch experiments.MetricBatch
		if err := readJSON(filepath.Join(s.dir, metricsName), &batch); err != nil && !os.IsNotExist(err) {
			return err
		}
		for name, points := range batch {
			in.Series[name] = points
		}
	}
	data, ab := new(experiments.DatasetSummary), new(experiments.ABResult)
	if err := readJSON(filepath.Join(e.plan.dir(experiments.StepConvert), summaryName), data); err != nil {
		return err
	}
	if err := readJSON(filepath.Join(e.plan.dir(experiments.StepABTest), resultsName), ab); err != nil {
		return err
	}
	in.Data, in.AB = data, ab
	var replacement json.RawMessage
	if err := readJSON(filepath.Join(e.plan.dir(experiments.StepReplace), "model", "replacement.json"), &replacement); err != nil {
		return err
	}
	in.Replacement = replacement
	return WriteReport(ctx, e.Reporter, in, filepath.Join(dir, reportName))
}

// WriteReport renders a report to a file, whole or not at all.
func WriteReport(ctx context.Context, r experiments.Reporter, in experiments.ReportInput, path string) error {
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return r.Render(ctx, in, w) })
}
