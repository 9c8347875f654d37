package pipeline

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
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
	e := &execution{Runner: r, cfg: pinned, run: &run}
	p, err := makePlan(ctx, pinned, modules, r.Engine.Device.Info().Name, found, planTeller{r, o.RunID, experiments.StepConvert}, stepkinds.All(host{r.Engine, e}))
	if err != nil {
		return run, false, err
	}
	if p.Done() && o.RunID == "" {
		last := p.Steps[len(p.Steps)-1] // the report
		if run, err := r.Tracker.Run(ctx, last.Done.RunID); err == nil {
			return run, true, nil
		}
	}
	if e.experiment, err = r.Tracker.EnsureExperiment(ctx, cfg.Name); err != nil {
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
		ID: o.RunID, ExperimentID: e.experiment.ID, Name: o.Name, Status: experiments.Running, CreatedAt: now, StartedAt: now,
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
	e.follow(p)
	if o.Resume {
		e.restarted = map[string]bool{}
	}
	if err := r.Tracker.SaveRun(ctx, run); err != nil {
		return run, false, err
	}
	if r.Watcher != nil {
		for _, n := range r.Engine.Notes {
			r.Watcher.Note("device", n)
		}
	}
	err = graph.Executor{RunID: run.ID}.Run(ctx, p, e)
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

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
