package pipeline

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/runtime/wallclock"
)

// Watcher follows a run from outside: the terminal's.
type Watcher interface {
	Step(s experiments.Step)
	Progress(step string, p experiments.Progress)
	Note(step, text string)
}

// Runner runs whole pipelines and records them.
type Runner struct {
	Engine   *Engine
	Tracker  experiments.Tracker
	Reporter experiments.Reporter
	Watcher  Watcher // may be nil
	Version  string  // of the program, for the environment table
	// Shared has the results of others; nil: there are none.
	Shared graph.Shared
}

// RunOptions says which run to make of a configuration.
type RunOptions struct {
	RunID string // empty: a new one
	// Resume goes on with the run RunID, which the tracker has: it keeps its age and tags, and its curves
	// are logged anew.
	Resume bool
	Name   string // empty: the date
	YAML   string // Run: the configuration's text, kept with the run
}

// NewRunID makes an identifier that sorts by time.
func NewRunID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("new run id: %w", err)
	}
	return strings.ReplaceAll(id.String(), "-", ""), nil
}

// Run is RunSpec for a pipeline.
func (r *Runner) Run(ctx context.Context, cfg config.Pipeline, o RunOptions) (run experiments.Run, upToDate bool, err error) {
	s := FiveSteps(cfg)
	s.Text = o.YAML
	return r.RunSpec(ctx, s, o)
}

// RunSpec runs what a configuration needs and gives the finished run. Where every step has a finished
// result already and the tracker knows the run that made them all, nothing runs and that run comes
// back with upToDate set. A failed or interrupted run is recorded as such and its error returned.
func (r *Runner) RunSpec(ctx context.Context, s Spec, o RunOptions) (run experiments.Run, upToDate bool, err error) {
	e := &execution{Runner: r, cfg: s.Pipeline, run: &run}
	p, err := r.plan(ctx, s, r.Engine.Device.Info().Name, e, o.RunID)
	if err != nil {
		return run, false, err
	}
	if p.Done() && o.RunID == "" {
		if run, ok := r.madeBy(ctx, p.Plan); ok {
			graph.Executor{Tell: r.tell(run.ID)}.Share(ctx, p.Plan) // made before there was a store, or while it was away
			return run, true, nil
		}
	}
	if e.experiment, err = r.Tracker.EnsureExperiment(ctx, s.Name); err != nil {
		return run, false, err
	}
	if o.RunID == "" {
		if o.RunID, err = NewRunID(); err != nil {
			return run, false, err
		}
	}
	now := wallclock.Now().UTC()
	if o.Name == "" {
		o.Name = now.Local().Format("2006-01-02 15:04:05")
	}
	run = experiments.Run{
		ID: o.RunID, ExperimentID: e.experiment.ID, Name: o.Name, Status: experiments.Running, CreatedAt: now, StartedAt: now,
		Params: p.params, Config: s.Text, Tags: map[string]string{"kind": "pipeline"},
	}
	if o.Resume {
		before, err := r.Tracker.Run(ctx, o.RunID)
		if err != nil {
			return run, false, err
		}
		run.CreatedAt, run.Name = before.CreatedAt, before.Name
		maps.Copy(run.Tags, before.Tags)
	}
	e.plan = p.Plan
	e.follow(p.Steps)
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
	devices := 1
	if r.Engine.Devices != nil {
		devices = r.Engine.Devices.Count()
	}
	err = graph.Executor{RunID: run.ID, Devices: devices, Tell: r.tell(run.ID)}.Run(ctx, p.Plan, e)
	err = errors.Join(err, e.closeParts(context.WithoutCancel(ctx)))
	run.EndedAt = wallclock.Now().UTC()
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

// tell shows what is said of a step's result as the step's own.
func (r *Runner) tell(runID string) func(*graph.Planned) graph.Teller {
	return func(s *graph.Planned) graph.Teller { return planTeller{r, runID, title(s)} }
}

// madeBy gives the run that a plan's results make up: the one that made the last of them, where it had them all.
func (r *Runner) madeBy(ctx context.Context, p *graph.Plan) (experiments.Run, bool) {
	run, err := r.Tracker.Run(ctx, p.Steps[len(p.Steps)-1].Done.RunID)
	if err != nil {
		return run, false
	}
	var have, want []string
	for _, s := range run.Steps {
		have = append(have, s.Title()+" "+s.Key)
	}
	for _, s := range p.Steps {
		want = append(want, s.Name+" "+s.Key)
	}
	slices.Sort(have)
	slices.Sort(want)
	return run, slices.Equal(have, want)
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
