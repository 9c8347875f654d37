package pipeline

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/kinds/abtest"
	"triality/experiments/kinds/basemodel"
	"triality/experiments/kinds/finetune"
	"triality/experiments/kinds/replace"
	"triality/runtime/atomicfile"
	"triality/runtime/model"
	"triality/runtime/wallclock"
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

// Requests implements basemodel.Engine.
func (host) Requests(ctx context.Context, o dataset.Options, tell graph.Teller) ([]string, error) {
	rows, err := dataset.Prepare(ctx, o, tell)
	if err != nil {
		return nil, trainError(err)
	}
	return prompts(rows.Of(0), o.Format)
}

// on is the engine at a step's place, whose devices work together.
func (h host) on(at graph.Place, together int) (*Engine, error) {
	e, tf32 := *h.Engine, h.cfg.Training.TF32
	if at.Numbers != nil {
		tf32 = at.Numbers.TF32
	}
	if e.Devices != nil {
		var err error
		if e.Device, err = e.Devices.Get(at.Device, tf32, together); err != nil {
			return nil, err
		}
	}
	if n := at.Numbers; n != nil {
		e.Storage, e.Config = storageOn(e.Device, *n), []model.Option{model.AllowUnknown(n.AllowUnknownConfig)}
		e.Recompute = Recompute(config.Training{GradientCheckpointing: n.GradientCheckpointing, CheckpointingPolicy: n.CheckpointingPolicy})
	}
	return &e, nil
}

// CreateBase implements basemodel.Engine.
func (h host) CreateBase(ctx context.Context, at graph.Place, o basemodel.Options, sink graph.Sink) error {
	e, err := h.on(at, 1)
	if err != nil {
		return err
	}
	return e.createBase(ctx, o.Dir, o.Create, o.Docs, o.MaxLength, o.Seed, sink)
}

// Finetune implements finetune.Engine.
func (h host) Finetune(ctx context.Context, at graph.Place, o finetune.Options, sink graph.Sink) error {
	e, err := h.on(at, max(1, o.Training.Devices))
	if err != nil {
		return err
	}
	return e.Finetune(ctx, o, sink)
}

// Replace implements replace.Engine.
func (h host) Replace(ctx context.Context, at graph.Place, o replace.Options, sink graph.Sink) error {
	e, err := h.on(at, 1)
	if err != nil {
		return err
	}
	return e.Replace(ctx, o, sink)
}

// Modules implements abtest.Engine.
func (h host) Modules(ctx context.Context, list []config.Metric, texts bool) ([]Module, error) {
	out, err := h.modules(ctx, list)
	if err != nil {
		return nil, err
	}
	return out, h.checkModules(ctx, out, texts)
}

// Compare implements abtest.Engine.
func (h host) Compare(ctx context.Context, at graph.Place, o abtest.Options, sink graph.Sink) error {
	e, err := h.on(at, 1)
	if err != nil {
		return err
	}
	o.Environment = h.environment()
	o.ID = h.run.ID + "/" + o.ID
	if counter, ok := h.Tracker.(experiments.LookCounter); ok {
		o.Count = func(ctx context.Context, l experiments.Look) (experiments.Looks, error) {
			return counter.CountLook(ctx, h.run.ID, o.TestData, l)
		}
	}
	result, err := e.ABTest(ctx, o, sink)
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
func (h host) WriteReport(ctx context.Context, step *graph.Planned, in experiments.ReportInput, path string) error {
	in.Experiment, in.Environment = h.experiment, h.environment()
	h.mu.Lock()
	in.Run = *h.run
	in.Run.Steps, in.Run.Summary = slices.Clone(in.Run.Steps), maps.Clone(in.Run.Summary)
	h.mu.Unlock()
	// What it shows is the run as it is when the report is there.
	in.Run.Status, in.Run.EndedAt = experiments.Finished, wallclock.Now().UTC()
	if s := &in.Run.Steps[h.index[step]]; s.Status == experiments.Running {
		s.Status, s.EndedAt = experiments.Finished, in.Run.EndedAt
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
		if err := e.keepModule(ctx, module, note); err != nil {
			return err
		}
	}
	return nil
}

// keepModule stores a module and that this run used it; one that an upload would refuse is said instead.
func (e *execution) keepModule(ctx context.Context, m Module, note func(string)) error {
	record, _, err := e.Tracker.Module(ctx, m.SHA256)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		record, err = CheckModule(ctx, e.Engine.Sandbox, m.Wasm)
		if experiments.CodeOf(err) == experiments.CodeInvalid {
			note(fmt.Sprintf("metric %s: its module is not kept with the run: %v", m.Name, err))
			return nil
		}
	}
	if err != nil {
		return err
	}
	return e.Tracker.UseModule(ctx, e.run.ID, record, m.Wasm)
}

// resultMetrics are the A/B test's headline figures as single points, so that runs can be compared by
// them.
func resultMetrics(r *experiments.ABResult) experiments.MetricBatch {
	batch := experiments.MetricBatch{}
	now := wallclock.Now().UnixMilli()
	put := func(name string, v float64) {
		batch["abtest/"+name] = []experiments.Point{{Time: now, Value: v}}
	}
	for _, d := range r.Differences {
		put("a/"+d.Metric, d.A)
		put("b/"+d.Metric, d.B)
		put("delta/"+d.Metric, d.Delta)
	}
	put("mcnemar_p", r.McNemar.PValue)
	for i, name := range []string{"a/", "b/"} {
		if c := r.Arms[i].Calibration; c != nil {
			put(name+"temperature", c.Temperature)
			put(name+"ece", c.Test.After.ECE)
			put(name+"ece_before", c.Test.Before.ECE)
			put(name+"log_loss_before", c.Test.Before.LogLoss)
		}
	}
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
	now := wallclock.Now().UnixMilli()
	for _, o := range m.Outputs {
		if o.Kind == "scalar" && len(o.Values) == 1 || o.Kind == "interval" && len(o.Values) == 3 {
			batch["abtest/metric/"+m.Name+"/"+m.Key+"/"+o.Name] = []experiments.Point{{Time: now, Value: o.Values[0]}}
		}
	}
	return batch
}
