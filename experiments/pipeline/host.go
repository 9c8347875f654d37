package pipeline

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/kinds/abtest"
	"triality/experiments/kinds/basemodel"
	"triality/runtime/atomicfile"
)

// host is what the kinds of steps run on: the engine, and the run that they belong to.
type host struct {
	*Engine
	*execution
}

var _ stepkinds.Engine = host{}

// Documents implements basemodel.Engine.
func (host) Documents(ctx context.Context, path, format string, strict bool, tell graph.Teller) ([]string, error) {
	return PretrainText(ctx, path, format, strict, tell)
}

// CreateBase implements basemodel.Engine.
func (h host) CreateBase(ctx context.Context, o basemodel.Options, sink graph.Sink) error {
	return h.Engine.createBase(ctx, o.Dir, o.Create, o.Docs, o.MaxLength, o.Seed, sink)
}

// Modules implements abtest.Engine.
func (h host) Modules(ctx context.Context, list []config.Metric) ([]Module, error) {
	return h.modules(ctx, list)
}

// Compare implements abtest.Engine.
func (h host) Compare(ctx context.Context, o abtest.Options, sink graph.Sink) error {
	o.Environment = h.environment()
	result, err := h.ABTest(ctx, o, sink)
	if err != nil {
		return err
	}
	if err := h.recordModules(ctx, result, o.Modules, sink.Note); err != nil {
		return err
	}
	return sink.Metrics(resultMetrics(result))
}

// RecordModules implements abtest.Engine.
func (h host) RecordModules(ctx context.Context, dir string, modules []Module) error {
	result, err := ReadABResult(dir)
	if err != nil {
		return err
	}
	return h.recordModules(ctx, result, modules, func(string) {}) // said when the step ran
}

// WriteReport implements report.Engine.
func (h host) WriteReport(ctx context.Context, in experiments.ReportInput, path string) error {
	in.Experiment, in.Environment = h.experiment, h.environment()
	h.mu.Lock()
	in.Run = *h.run
	in.Run.Steps, in.Run.Summary = slices.Clone(in.Run.Steps), maps.Clone(in.Run.Summary)
	h.mu.Unlock()
	// The report is the run's last step: what it shows is the finished run.
	in.Run.Status, in.Run.EndedAt = experiments.Finished, time.Now().UTC()
	for i := range in.Run.Steps {
		if s := &in.Run.Steps[i]; s.Kind == experiments.StepReport && s.Status == experiments.Running {
			s.Status, s.EndedAt = experiments.Finished, in.Run.EndedAt
		}
	}
	return WriteReport(ctx, h.Reporter, in, path)
}

// WriteReport renders a report to a file, whole or not at all.
func WriteReport(ctx context.Context, r experiments.Reporter, in experiments.ReportInput, path string) error {
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return r.Render(ctx, in, w) })
}

// recordModules stores the modules that gave the test's metrics, each once, and that this run used
// them.
func (e *execution) recordModules(ctx context.Context, result *experiments.ABResult, modules []Module, note func(string)) error {
	gave := map[string]bool{}
	for _, m := range result.Metrics {
		gave[m.SHA256] = gave[m.SHA256] || m.Error == "" // one module may have run with several sets of parameters
	}
	for _, module := range modules {
		if !gave[module.SHA256] {
			continue
		}
		record, _, err := e.Tracker.Module(ctx, module.SHA256)
		if experiments.CodeOf(err) == experiments.CodeNotFound {
			record, err = CheckModule(ctx, e.Engine.Sandbox, module.Wasm)
			if experiments.CodeOf(err) == experiments.CodeInvalid {
				note(fmt.Sprintf("metric %s: its module is not kept with the run: %v", module.Name, err))
				continue
			}
		}
		if err == nil {
			err = e.Tracker.UseModule(ctx, e.run.ID, record, module.Wasm)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resultMetrics are the A/B test's headline figures as single points, so that runs can be compared by
// them.
func resultMetrics(r *experiments.ABResult) experiments.MetricBatch {
	batch := experiments.MetricBatch{}
	now := time.Now().UnixMilli()
	put := func(name string, v float64) {
		batch["abtest/"+name] = []experiments.Point{{Time: now, Value: v}}
	}
	for _, d := range r.Differences {
		put("a/"+d.Metric, d.A)
		put("b/"+d.Metric, d.B)
		put("delta/"+d.Metric, d.Delta)
	}
	put("mcnemar_p", r.McNemar.PValue)
	for _, b := range r.Baselines {
		put("baseline/"+b.Name, b.Scores.Accuracy)
	}
	for _, m := range r.Metrics {
		maps.Copy(batch, ModuleMetrics(m))
	}
	return batch
}

// ModuleMetrics are a module's scalar outputs, and the estimates of its intervals, as single points. The series' names have the result's key
// beside the metric's name, so that no two modules, or sets of parameters, write to one.
func ModuleMetrics(m experiments.ModuleResult) experiments.MetricBatch {
	batch := experiments.MetricBatch{}
	now := time.Now().UnixMilli()
	for _, o := range m.Outputs {
		if o.Kind == "scalar" && len(o.Values) == 1 || o.Kind == "interval" && len(o.Values) == 3 {
			batch["abtest/metric/"+m.Name+"/"+m.Key+"/"+o.Name] = []experiments.Point{{Time: now, Value: o.Values[0]}}
		}
	}
	return batch
}
