package pipeline

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/disk"
)

// Watcher follows a run from outside: the terminal's.
type Watcher interface {
	Step(s experiments.Step)
	Progress(kind experiments.StepKind, p experiments.Progress)
	Note(kind experiments.StepKind, text string)
}

// Runner runs whole pipelines and records them.
type Runner struct {
	Engine   *Engine
	Tracker  experiments.Tracker
	Reporter experiments.Reporter
	Watcher  Watcher // may be nil
	Version  string  // of the program, for the environment table
}

// RunOptions says which run to make of a configuration.
type RunOptions struct {
	RunID string // empty: a new one
	// Resume goes on with the run RunID, which the tracker has: it keeps its age and tags, and its curves
	// are logged anew.
	Resume bool
	Name   string // empty: the date
	YAML   string // the configuration's text, kept with the run
}

// NewRunID makes an identifier that sorts by time.
func NewRunID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("new run id: %w", err)
	}
	return strings.ReplaceAll(id.String(), "-", ""), nil
}

// Run runs what a configuration needs and gives the finished run. Where every step has a finished
// result already and the tracker knows the run that made the report, nothing runs and that run comes
// back with upToDate set. A failed or interrupted run is recorded as such and its error returned.
func (r *Runner) Run(ctx context.Context, cfg config.Pipeline, o RunOptions) (run experiments.Run, upToDate bool, err error) {
	modules, err := r.modules(ctx, cfg.Test.Metrics)
	if err != nil {
		return run, false, err
	}
	if err := r.Engine.checkModules(ctx, modules, !cfg.Test.Generate.IsZero()); err != nil {
		return run, false, err
	}
	pinned, found, err := r.locate(ctx, cfg, o.RunID)
	if err != nil {
		return run, false, err
	}
	p, err := makePlan(ctx, pinned, modules, r.Engine.Device.Info().Name, found, planTeller{r, o.RunID, experiments.StepConvert})
	if err != nil {
		return run, false, err
	}
	if p.allDone() && o.RunID == "" {
		if run, err := r.Tracker.Run(ctx, p.step(experiments.StepReport).done.RunID); err == nil {
			return run, true, nil
		}
	}
	experiment, err := r.Tracker.EnsureExperiment(ctx, cfg.Name)
	if err != nil {
		return run, false, err
	}
	if o.RunID == "" {
		if o.RunID, err = NewRunID(); err != nil {
			return run, false, err
		}
	}
	now := time.Now().UTC()
	if o.Name == "" {
		o.Name = now.Local().Format("2006-01-02 15:04:05")
	}
	run = experiments.Run{
		ID: o.RunID, ExperimentID: experiment.ID, Name: o.Name, Status: experiments.Running, CreatedAt: now, StartedAt: now,
		Params: flatten(cfg), Config: o.YAML, Tags: map[string]string{"kind": "pipeline"},
	}
	if o.Resume {
		before, err := r.Tracker.Run(ctx, o.RunID)
		if err != nil {
			return run, false, err
		}
		run.CreatedAt, run.Name = before.CreatedAt, before.Name
		maps.Copy(run.Tags, before.Tags)
	}
	for key, s := range found {
		run.Params[key+".commit"] = s.Commit
	}
	for _, s := range p.steps {
		run.Steps = append(run.Steps, experiments.Step{Kind: s.kind, Key: s.key, Status: experiments.Queued})
	}
	e := &execution{Runner: r, plan: p, run: &run, experiment: experiment}
	if o.Resume {
		e.restarted = map[string]bool{}
	}
	if err := r.Tracker.SaveRun(ctx, run); err != nil {
		return run, false, err
	}
	err = e.steps(ctx)
	run.EndedAt = time.Now().UTC()
	switch {
	case err == nil:
		run.Status = experiments.Finished
	case ctx.Err() != nil:
		run.Status, run.Error = experiments.Interrupted, "interrupted; the same configuration resumes"
		if experiments.CodeOf(err) != experiments.CodeUnavailable {
			err = trainError(err)
		}
	default:
		run.Status, run.Error = experiments.Failed, err.Error()
	}
	// The run's end is recorded even when ctx is what ended it.
	return run, false, errors.Join(err, r.Tracker.SaveRun(context.WithoutCancel(ctx), run))
}

// modules loads the metrics: files by path, uploaded modules by hash.
func (r *Runner) modules(ctx context.Context, list []config.Metric) ([]Module, error) {
	var out []Module
	for _, m := range list {
		if raw, err := hex.DecodeString(m.Module); err == nil && len(raw) == 32 {
			record, wasm, err := r.Tracker.Module(ctx, m.Module)
			if err != nil {
				return nil, fmt.Errorf("test.metrics: module %s: %w", short(m.Module), err)
			}
			out = append(out, Module{Name: record.Name, SHA256: m.Module, Wasm: wasm, Params: m.Params, Slices: m.Slices, Timeout: time.Duration(m.Timeout)})
			continue
		}
		module, err := ReadModule(m.Module, m.Params, time.Duration(m.Timeout))
		if err != nil {
			return nil, err
		}
		module.Slices = m.Slices
		out = append(out, module)
	}
	return out, nil
}

// execution is a run under way.
type execution struct {
	*Runner
	plan       *plan
	run        *experiments.Run
	experiment experiments.Experiment
	restarted  map[string]bool // series that a resumed run has begun anew; nil: the run is new
}

func (e *execution) steps(ctx context.Context) error {
	if e.Watcher != nil {
		for _, n := range e.Engine.Notes {
			e.Watcher.Note("device", n)
		}
	}
	for i, s := range e.plan.steps {
		record := &e.run.Steps[i]
		if s.done != nil {
			if err := e.reuse(ctx, s, record); err != nil {
				return err
			}
			continue
		}
		if err := e.execute(ctx, s, record); err != nil {
			return fmt.Errorf("%s: %w", s.kind, err)
		}
	}
	return nil
}

// reuse takes over a finished result: its metrics and artifacts go to this run too.
func (e *execution) reuse(ctx context.Context, s *step, record *experiments.Step) error {
	record.Status, record.Output, record.EndedAt = experiments.Reused, s.dir, s.done.FinishedAt
	e.watch(*record)
	batch := experiments.MetricBatch{}
	if err := readJSON(filepath.Join(s.dir, metricsName), &batch); err == nil && len(batch) > 0 {
		if err := e.log(ctx, batch); err != nil {
			return err
		}
	}
	if err := e.saveArtifacts(ctx, s, s.done.Outputs); err != nil {
		return err
	}
	if s.kind == experiments.StepABTest {
		result, err := ReadABResult(s.dir)
		if err == nil {
			err = e.recordModules(ctx, result, func(string) {}) // said when the step ran
		}
		if err != nil {
			return err
		}
	}
	return e.Tracker.SaveRun(ctx, *e.run)
}

// execute runs a step and marks its folder finished.
func (e *execution) execute(ctx context.Context, s *step, record *experiments.Step) (err error) {
	record.Status, record.StartedAt, record.Output = experiments.Running, time.Now().UTC(), s.dir
	e.watch(*record)
	sink := &runSink{execution: e, ctx: ctx, kind: s.kind, batch: experiments.MetricBatch{}}
	var outputs []string
	if err = e.Tracker.SaveRun(ctx, *e.run); err == nil {
		outputs, err = e.work(ctx, s, sink)
	}
	record.EndedAt = time.Now().UTC()
	if err == nil {
		err = e.finish(ctx, s, record, sink, outputs)
	}
	switch {
	case err == nil:
		record.Status = experiments.Finished
	case ctx.Err() != nil:
		record.Status = experiments.Interrupted
	default:
		record.Status, record.Error = experiments.Failed, err.Error()
	}
	e.watch(*record)
	return errors.Join(err, e.Tracker.SaveRun(context.WithoutCancel(ctx), *e.run))
}

// work does a step's work and names its outputs, relative to the step's folder.
func (e *execution) work(ctx context.Context, s *step, sink Sink) (outputs []string, err error) {
	cfg := e.plan.cfg
	if s.kind != experiments.StepBase {
		if err := disk.MkdirAll(s.dir, 0o755); err != nil {
			return nil, fmt.Errorf("output_dir: %w", err)
		}
	}
	switch s.kind {
	case experiments.StepBase:
		return []string{"config.json", "model.safetensors", "tokenizer.json"},
			e.Engine.createBase(ctx, s.dir, cfg.Model.Create, e.plan.docs, cfg.Data.MaxLength, cfg.Seed, sink)
	case experiments.StepConvert:
		return []string{"dataset", summaryName}, e.Engine.Convert(ctx, ConvertOptions{
			Rows: e.plan.rows, Options: convertOptions(cfg.Data, cfg.Seed), BaseModel: e.plan.base, OutDir: s.dir,
		}, sink)
	case experiments.StepFinetune:
		return FinetuneOutputs(cfg.Training), e.Engine.Finetune(ctx, FinetuneOptions{
			BaseModel: e.plan.base, Dataset: e.dataset(), OutDir: s.dir, Training: cfg.Training, MaxLength: cfg.Data.MaxLength, Seed: cfg.Seed,
		}, sink)
	case experiments.StepReplace:
		return []string{"model"}, e.Engine.Replace(ctx, ReplaceOptions{
			Model: filepath.Join(e.plan.dir(experiments.StepFinetune), "merged"), Dataset: e.dataset(), OutDir: s.dir, SO8T: cfg.SO8T, MaxLength: cfg.Data.MaxLength, Seed: cfg.Seed,
		}, sink)
	case experiments.StepABTest:
		return []string{resultsName}, e.abtest(ctx, s.dir, sink)
	case experiments.StepReport:
		return []string{reportName}, e.report(ctx, s.dir)
	}
	return nil, fmt.Errorf("no step %q", s.kind)
}

func (e *execution) dataset() string {
	return filepath.Join(e.plan.dir(experiments.StepConvert), "dataset")
}

func (e *execution) abtest(ctx context.Context, dir string, sink Sink) error {
	cfg := e.plan.cfg
	o := ABTestOptions{
		ModelA: or(cfg.Test.ModelAPath, e.plan.base), ModelB: or(cfg.Test.ModelBPath, filepath.Join(e.plan.dir(experiments.StepReplace), "model")),
		TestData: or(cfg.Test.TestDataPath, e.dataset()), TrainData: e.dataset(), Strict: cfg.Data.Strict, OutDir: dir, Format: cfg.Data.FormatType, MaxLength: cfg.Data.MaxLength,
		Test: cfg.Test, Modules: e.plan.modules, Seed: cfg.Seed, Environment: e.environment(),
	}
	result, err := e.Engine.ABTest(ctx, o, sink)
	if err != nil {
		return err
	}
	if err := e.recordModules(ctx, result, sink.Note); err != nil {
		return err
	}
	return sink.Metrics(resultMetrics(result))
}

// recordModules stores the modules that gave the test's metrics, each once, and that this run used
// them.
func (e *execution) recordModules(ctx context.Context, result *experiments.ABResult, note func(string)) error {
	gave := map[string]bool{}
	for _, m := range result.Metrics {
		gave[m.SHA256] = gave[m.SHA256] || m.Error == "" // one module may have run with several sets of parameters
	}
	for _, module := range e.plan.modules {
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

func (e *execution) environment() map[string]string {
	i := e.Engine.Device.Info()
	env := map[string]string{
		"triality": e.Version, "engine": EngineVersion, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		"device": i.Name, "processor": i.Model, "simd": i.SIMD,
		"seed": fmt.Sprint(e.plan.cfg.Seed), "started": e.run.StartedAt.Format(time.RFC3339),
	}
	if i.Threads > 0 {
		env["threads"] = fmt.Sprint(i.Threads)
	}
	return env
}

func (e *execution) watch(s experiments.Step) {
	if e.Watcher != nil {
		e.Watcher.Step(s)
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
