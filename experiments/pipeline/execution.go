package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/runtime/disk"
)

// execution is a run under way: it records what happens to the steps. Steps that run side by side share it.
type execution struct {
	*Runner
	cfg        config.Pipeline
	experiment experiments.Experiment

	whole *execution // that this is a part of; nil: it is a run of its own
	plan  *graph.Plan

	mu        sync.Mutex // over all below, the tracker's record of the run and the watcher; of a part, the whole's
	run       *experiments.Run
	index     map[*graph.Planned]int // of each step in run.Steps
	restarted map[string]bool        // series that a resumed run has begun anew; nil: the run is new
	parts     map[*graph.Variant]*execution
}

// follow makes the run's steps those of a plan.
func (e *execution) follow(steps []*graph.Planned) {
	e.index = map[*graph.Planned]int{}
	for i, s := range steps {
		e.index[s] = i
		step := experiments.Step{Kind: s.Kind.Name, Key: s.Key, Status: experiments.Queued}
		if s.Name != s.Kind.Name {
			step.Name = s.Name
		}
		e.run.Steps = append(e.run.Steps, step)
	}
}

// change changes a step's record, shows it and saves the run.
func (e *execution) change(ctx context.Context, s *graph.Planned, change func(*experiments.Step)) error {
	e.guard().Lock()
	defer e.guard().Unlock()
	record := &e.run.Steps[e.index[s]]
	change(record)
	if e.whole != nil {
		e.conclude()
	}
	if e.Watcher != nil {
		shown := *record
		if e.whole != nil {
			shown.Name = title(s)
		}
		e.Watcher.Step(shown)
	}
	return e.Tracker.SaveRun(ctx, *e.run)
}

// Begin implements graph.Recorder.
func (e *execution) Begin(ctx context.Context, s *graph.Planned, at time.Time) (graph.Sink, error) {
	e, err := e.of(ctx, s)
	if err != nil {
		return nil, err
	}
	err = e.change(ctx, s, func(r *experiments.Step) {
		r.Status, r.StartedAt, r.Output, r.Notes = experiments.Running, at, s.Dir, nil
	})
	return &runSink{execution: e, ctx: ctx, step: s}, err
}

// End implements graph.Recorder.
func (e *execution) End(ctx context.Context, s *graph.Planned, at time.Time, err error, cut bool) error {
	e, ofErr := e.of(ctx, s)
	if ofErr != nil {
		return ofErr
	}
	return e.change(ctx, s, func(r *experiments.Step) {
		r.EndedAt = at
		switch {
		case err == nil:
			r.Status = experiments.Finished
		case cut:
			r.Status = experiments.Interrupted
		default:
			r.Status, r.Error = experiments.Failed, err.Error()
		}
	})
}

// Reuse implements graph.Recorder: the metrics and artifacts of a finished result go to this run too.
func (e *execution) Reuse(ctx context.Context, s *graph.Planned, points experiments.MetricBatch) error {
	e, err := e.of(ctx, s)
	if err != nil {
		return err
	}
	err = e.change(ctx, s, func(r *experiments.Step) {
		r.Status, r.Output, r.EndedAt, r.Notes = experiments.Reused, s.Here(), s.Done.FinishedAt, s.Done.Told()
	})
	if err == nil && len(points) > 0 {
		err = e.log(ctx, s.InRun(points))
	}
	if err == nil {
		err = e.Keep(ctx, s)
	}
	if err != nil {
		return err
	}
	e.guard().Lock()
	defer e.guard().Unlock()
	return e.Tracker.SaveRun(ctx, *e.run) // its summary has changed
}

// Keep implements graph.Recorder: the tracker keeps a step's artifacts.
func (e *execution) Keep(ctx context.Context, s *graph.Planned) error {
	e, err := e.of(ctx, s)
	if err != nil {
		return err
	}
	for _, a := range s.Kind.Artifacts {
		if output, _, _ := strings.Cut(a.File, "/"); !slices.Contains(s.Files, output) {
			continue // full fine-tuning has no adapter
		}
		path := a.PathOf(s)
		f, err := disk.OpenRegular(filepath.Join(s.Here(), filepath.FromSlash(a.File)))
		if s.Away != "" && errors.Is(err, fs.ErrNotExist) {
			continue // what is large stays in the shared store until a step takes it
		}
		if err != nil {
			return fmt.Errorf("artifact %s: %w", path, err)
		}
		_, err = e.Tracker.SaveArtifact(ctx, e.run.ID, path, a.MediaType, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("artifact %s: %w", path, err)
		}
	}
	return nil
}

// log stores metric points and keeps each series' last value in the run's summary. A run that is resumed
// logs its curves whole again, so each series begins anew with the first points of this execution.
func (e *execution) log(ctx context.Context, batch experiments.MetricBatch) error {
	e.guard().Lock()
	defer e.guard().Unlock()
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

// runSink sends what a step says to the tracker and the watcher.
type runSink struct {
	*execution
	ctx  context.Context
	step *graph.Planned
}

func (s *runSink) Progress(p experiments.Progress) {
	s.guard().Lock()
	defer s.guard().Unlock()
	s.Tracker.Progress(s.run.ID, s.step.Name, p)
	if s.Watcher != nil {
		s.Watcher.Progress(title(s.step), p)
	}
}

func (s *runSink) Metrics(batch experiments.MetricBatch) error {
	return s.log(context.WithoutCancel(s.ctx), s.step.InRun(batch))
}

// maxNotes bounds the notes of a step that are kept with the run; all are in its log.
const maxNotes = 50

func (s *runSink) Note(text string) {
	s.guard().Lock()
	defer s.guard().Unlock()
	if record := &s.run.Steps[s.index[s.step]]; len(record.Notes) < maxNotes {
		record.Notes = append(record.Notes, text)
	}
	if s.Watcher != nil {
		s.Watcher.Note(title(s.step), text)
	}
}

func (e *execution) environment() map[string]string {
	i := e.Engine.Device.Info()
	env := map[string]string{
		"triality": e.Version, "engine": EngineVersion, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		"device": i.Name, "processor": i.Model, "simd": i.SIMD,
		"seed": fmt.Sprint(e.cfg.Seed), "started": e.run.StartedAt.Format(time.RFC3339),
	}
	for name, seed := range map[string]uint64{"seed_split": e.cfg.SeedSplit, "seed_train": e.cfg.SeedTrain, "seed_eval": e.cfg.SeedEval} {
		if seed != 0 {
			env[name] = fmt.Sprint(seed)
		}
	}
	if i.Threads > 0 {
		env["threads"] = fmt.Sprint(i.Threads)
	}
	return env
}
