package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/experiments/kinds/burnin"
	"triality/experiments/kinds/export"
	"triality/experiments/kinds/merge"
	"triality/experiments/kinds/metric"
	"triality/runtime/gguf"
	"triality/runtime/hub"
	"triality/runtime/model"
	"triality/runtime/so8t"
)

// Merge implements merge.Engine.
func (h host) Merge(ctx context.Context, o merge.Options, sink graph.Sink) error {
	base, err := h.Locate(ctx, o.BaseModel, hub.ModelFiles, sink)
	if err != nil {
		return err
	}
	return mergeInto(ctx, base.Dir, o.Adapter, o.Out, func(w model.Source) model.Source { return reading(sink, "merging", w) }, model.AllowUnknown(o.AllowUnknownConfig))
}

// BurnIn implements burnin.Engine.
func (h host) BurnIn(ctx context.Context, o burnin.Options, sink graph.Sink) error {
	source, err := h.Locate(ctx, o.Model, hub.ModelFiles, sink)
	if err != nil {
		return err
	}
	return invalid(so8t.BurnIn(ctx, source.Dir, o.Out, "", model.AllowUnknown(o.AllowUnknownConfig)))
}

// Export implements export.Engine.
func (h host) Export(ctx context.Context, o export.Options, sink graph.Sink) error {
	source, err := h.Locate(ctx, o.Model, hub.ModelFiles, sink)
	if err != nil {
		return err
	}
	t, err := gguf.ParseType(o.Type)
	if err != nil {
		return invalid(err)
	}
	r, err := gguf.Export(ctx, source.Dir, o.Out, gguf.Options{
		Type: t, Name: o.Name, Config: []model.Option{model.AllowUnknown(o.AllowUnknownConfig)},
		Progress: func(done, total int64) { sink.Progress(weightsRead("writing", int(done), int(total))) },
	})
	if err != nil {
		return invalid(err)
	}
	for _, note := range r.Notes {
		sink.Note(note)
	}
	if n := len(r.Fallback); n > 0 {
		sink.Note(fmt.Sprintf("%s stored as f16: the rows are not in blocks of 32 (%s and so on)", plural(n, "matrices"), r.Fallback[0]))
	}
	return nil
}

// MetricModule implements metric.Engine.
func (h host) MetricModule(ctx context.Context, m config.Metric) (metric.Module, error) {
	list, err := h.modules(ctx, []config.Metric{m})
	if err != nil {
		return metric.Module{}, err
	}
	return metric.Module{SHA256: list[0].SHA256, Wasm: list[0].Wasm, Name: list[0].Name}, nil
}

// Measure implements metric.Engine.
func (h host) Measure(ctx context.Context, o metric.Options, sink graph.Sink) error {
	ab := new(experiments.ABResult)
	if err := graph.ReadJSON(o.Result, ab); err != nil {
		return err
	}
	if o.Other != "" {
		other := new(experiments.ABResult)
		if err := graph.ReadJSON(o.Other, other); err != nil {
			return err
		}
		var err error
		if ab, err = joined(ab, other, o.Arms); err != nil {
			return err
		}
	}
	if len(ab.Samples) == 0 {
		return experiments.Errorf(experiments.CodeConflict, "the A/B result holds no rows; a metric needs them")
	}
	m := Module{Name: o.Module.Name, SHA256: o.Module.SHA256, Wasm: o.Module.Wasm, Params: o.Metric.Params, Slices: o.Metric.Slices, Timeout: o.Metric.Timeout.Duration()}
	out := h.EvaluateModule(ctx, m, ab)
	if err := ctx.Err(); err != nil {
		return trainError(err)
	}
	if out.Error != "" {
		code := experiments.CodeInvalid
		if out.System {
			code = experiments.CodeUnavailable
		}
		return experiments.Errorf(code, "metric %s: %s", out.Name, out.Error)
	}
	for _, note := range out.Notes {
		sink.Note(note)
	}
	if err := graph.WriteJSON(o.Out, out); err != nil {
		return err
	}
	if err := h.keepModule(ctx, m, sink.Note); err != nil {
		return err
	}
	return sink.Metrics(ModuleMetrics(out))
}

// RecordModule implements metric.Engine.
func (h host) RecordModule(ctx context.Context, m metric.Module) error {
	return h.keepModule(ctx, Module{Name: m.Name, SHA256: m.SHA256, Wasm: m.Wasm}, func(string) {}) // said when the step ran
}

// joined is an A/B result of one arm each of two: their rows must be the same.
func joined(a, b *experiments.ABResult, arms [2]string) (*experiments.ABResult, error) {
	if err := sameRows(a, b, "result", "other"); err != nil {
		return nil, err
	}
	out := *a
	out.Samples = slices.Clone(a.Samples)
	for i := range out.Samples {
		s, o := &out.Samples[i], &b.Samples[i]
		if arms[0] == "B" {
			s.PredictionA, s.ProbabilityA, s.LatencyAMS, s.OutputA, s.LogProbA = s.PredictionB, s.ProbabilityB, s.LatencyBMS, s.OutputB, s.LogProbB
		}
		if arms[1] == "B" {
			s.PredictionB, s.ProbabilityB, s.LatencyBMS, s.OutputB, s.LogProbB = o.PredictionB, o.ProbabilityB, o.LatencyBMS, o.OutputB, o.LogProbB
		} else {
			s.PredictionB, s.ProbabilityB, s.LatencyBMS, s.OutputB, s.LogProbB = o.PredictionA, o.ProbabilityA, o.LatencyAMS, o.OutputA, o.LogProbA
		}
	}
	return &out, nil
}

// sameRows refuses two results, by the keys that name them, whose rows are not the same in the same order.
func sameRows(a, b *experiments.ABResult, first, second string) error {
	if len(a.Samples) != len(b.Samples) {
		return experiments.Errorf(experiments.CodeInvalid, "%s has %s and %s %d: two results are compared on the same rows", first, plural(len(a.Samples), "rows"), second, len(b.Samples))
	}
	for i := range a.Samples {
		if s, o := &a.Samples[i], &b.Samples[i]; s.Text != o.Text || s.Label != o.Label || s.Index != o.Index || s.Group != o.Group {
			return experiments.Errorf(experiments.CodeInvalid, "row %d of %s and of %s differ: two results are compared on the same rows", s.Index, first, second)
		}
	}
	return nil
}

// AdapterFiles are what makes a PEFT folder.
func AdapterFiles(dir string) []string {
	return []string{filepath.Join(dir, "adapter_config.json"), filepath.Join(dir, "adapter_model.safetensors")}
}
