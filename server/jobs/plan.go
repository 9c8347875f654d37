package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
	"triality/server/store"
	"triality/server/worker"
)

// plansAtOnce bounds the workers that plan: each reads what the configuration names.
const plansAtOnce = 2

// Plan says what a run of a configuration would do. A worker does it, since planning reads data and models.
func (q *Queue) Plan(ctx context.Context, text, dir string) ([]pipeline.PlannedStep, error) {
	spec, err := pipeline.ParseSpec("config", []byte(text))
	if err != nil {
		return nil, err
	}
	if dir, err = q.within(spec, dir); err != nil {
		return nil, err
	}
	select {
	case q.planning <- struct{}{}:
		defer func() { <-q.planning }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	id, err := pipeline.NewRunID()
	if err != nil {
		return nil, err
	}
	lock, err := filepath.Abs(filepath.Join(folder(q.store), "plan-"+id+".lock"))
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p := &planner{Store: q.store}
	err = errors.Join(q.worker.Run(ctx, worker.Job{RunID: id, Config: text, Dir: dir, Lock: lock, Plan: true}, p, io.Discard), remove(lock))
	var death *worker.Death
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &death):
		return nil, experiments.Errorf(experiments.CodeUnavailable, "planning: %w", err)
	case err != nil:
		return nil, err
	}
	var steps []pipeline.PlannedStep
	if err := json.Unmarshal(p.text, &steps); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return steps, nil
}

func remove(path string) error {
	if err := disk.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// planner is the store for a worker that plans: it keeps the one file that the worker hands in and changes nothing.
type planner struct {
	*store.Store
	text []byte
}

var errPlanning = errors.New("a worker that plans records nothing")

func (p *planner) SaveArtifact(_ context.Context, _, path, _ string, r io.Reader) (experiments.Artifact, error) {
	text, err := io.ReadAll(r)
	p.text = text
	return experiments.Artifact{Path: path, Size: int64(len(text))}, err
}

func (p *planner) EnsureExperiment(context.Context, string) (experiments.Experiment, error) {
	return experiments.Experiment{}, errPlanning
}
func (p *planner) SaveRun(context.Context, experiments.Run) error { return errPlanning }
func (p *planner) LogMetrics(context.Context, string, experiments.MetricBatch) error {
	return errPlanning
}
func (p *planner) RestartMetrics(context.Context, string, experiments.MetricBatch) error {
	return errPlanning
}
func (p *planner) Progress(string, string, experiments.Progress) {}
func (p *planner) UseModule(context.Context, string, experiments.Module, []byte) error {
	return errPlanning
}
