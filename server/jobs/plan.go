package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
	"triality/server/store"
	"triality/server/worker"
)

// Bounds of planning, which reads what the configuration names: workers at once, those that may wait for them, and how long
// one may take from when it begins. Hashing a model of 70 billion parameters takes some minutes.
const (
	plansAtOnce = 2
	plansWait   = 16
	planTime    = 5 * time.Minute
)

// errPlanTime is the cause of the end of a plan that took too long.
var errPlanTime = errors.New("planning took too long")

// Plan says what a run of a configuration would do. A worker does it, since planning reads data and models.
func (q *Queue) Plan(ctx context.Context, text, dir string) ([]pipeline.PlannedStep, error) {
	spec, err := pipeline.ParseSpec("config", []byte(text))
	if err != nil {
		return nil, err
	}
	if dir, err = q.within(spec, dir); err != nil {
		return nil, err
	}
	if q.plans.Add(1) > plansAtOnce+plansWait {
		q.plans.Add(-1)
		return nil, experiments.Errorf(experiments.CodeUnavailable, "%d plans are being made or wait; ask again later", plansAtOnce+plansWait)
	}
	defer q.plans.Add(-1)
	select {
	case q.planning <- struct{}{}:
		defer func() { <-q.planning }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, q.planTime, errPlanTime)
	defer cancel()
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
	case errors.Is(context.Cause(ctx), errPlanTime):
		return nil, experiments.Errorf(experiments.CodeUnavailable, "planning took longer than %v, and was stopped: a file that it reads is slow or endless", q.planTime)
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
