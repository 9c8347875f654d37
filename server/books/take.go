package books

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/notebook"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
	"triality/server/store"
)

// tagShared is the tag by which a run that was made of shared results says who made them.
const tagShared = "shared"

// take makes a run of a notebook's shared results that no run of the tracker has, so that what they gave can be shown, and gives
// the notebook's runs. Nothing is computed.
func (d *Desk) take(ctx context.Context, name string, doc *notebook.Document, steps []pipeline.PlannedStep) ([]experiments.Run, error) {
	runs, err := d.results.runsOf(ctx, name)
	if err != nil || name == "" || len(d.shared(ctx, steps, runs)) == 0 {
		return runs, err
	}
	d.taking.Lock()
	defer d.taking.Unlock()
	if runs, err = d.results.runsOf(ctx, name); err != nil { // another window may have asked
		return nil, err
	}
	list := d.shared(ctx, steps, runs)
	if len(list) == 0 {
		return runs, nil
	}
	run, err := d.begin(ctx, doc, list)
	if err != nil {
		return nil, err
	}
	refused := make([]error, len(list)) // by the tracker: anyone may have written them
	for i, s := range list {
		refused[i] = keep(ctx, d.results.store, run.ID, s)
	}
	if run, err = d.results.store.Run(ctx, run.ID); err != nil { // its summary has changed
		return nil, err
	}
	for i, err := range refused {
		if err != nil {
			run.Steps[i].Notes = append(run.Steps[i].Notes, fmt.Sprintf("not all of it is shown: %v", err))
		}
	}
	run.Status, run.EndedAt = experiments.Finished, time.Now().UTC()
	run.Tags[experiments.TagBook] = name
	if err := d.results.store.SaveRun(ctx, run); err != nil {
		return nil, err
	}
	d.results.take(run)
	return append([]experiments.Run{run}, runs...), nil
}

// shared are the steps whose results came from the shared store and that no run shows.
func (d *Desk) shared(ctx context.Context, steps []pipeline.PlannedStep, runs []experiments.Run) (list []pipeline.PlannedStep) {
	for _, s := range steps {
		if s.Shared != nil && s.TakenOver && !has(runs, s) {
			if _, known := d.results.of(ctx, s.Key); !known {
				list = append(list, s)
			}
		}
	}
	return list
}

// has says whether one of a notebook's runs shows a step's result.
func has(runs []experiments.Run, s pipeline.PlannedStep) bool {
	return slices.ContainsFunc(runs, func(r experiments.Run) bool {
		step := stepOf(r, s.Name)
		return step != nil && step.Key == s.Key && hasResult(step)
	})
}

// begin records the run, which is of no notebook before it is whole.
func (d *Desk) begin(ctx context.Context, doc *notebook.Document, list []pipeline.PlannedStep) (experiments.Run, error) {
	id, err := pipeline.NewRunID()
	if err != nil {
		return experiments.Run{}, err
	}
	e, err := d.results.store.EnsureExperiment(ctx, doc.Name())
	if err != nil {
		return experiments.Run{}, err
	}
	now := time.Now().UTC()
	by := map[string]bool{}
	run := experiments.Run{
		ID: id, ExperimentID: e.ID, Status: experiments.Running, CreatedAt: now, StartedAt: now, Config: doc.String(), Tags: map[string]string{"kind": "pipeline"},
	}
	for _, s := range list {
		by[s.Shared.By] = true
		step := experiments.Step{Kind: s.Kind, Key: s.Key, Status: experiments.Reused, Output: s.Output, EndedAt: s.FinishedAt, Notes: s.Shared.Notes}
		if s.Name != s.Kind {
			step.Name = s.Name
		}
		run.Steps = append(run.Steps, step)
	}
	run.Tags[tagShared] = strings.Join(slices.Sorted(maps.Keys(by)), ", ")
	run.Name = "from " + run.Tags[tagShared]
	return run, d.results.store.SaveRun(ctx, run)
}

// keep gives a run what a shared result has for the tracker.
func keep(ctx context.Context, st *store.Store, id string, s pipeline.PlannedStep) error {
	points, err := graph.ReadMetrics(s.Shared.Dir)
	if err != nil {
		return err
	}
	batch := experiments.MetricBatch{}
	for name, list := range points {
		batch[s.Shared.Prefix+name] = list
	}
	if len(batch) > 0 {
		if err := st.RestartMetrics(ctx, id, batch); err != nil {
			return err
		}
	}
	for _, a := range s.Shared.Artifacts {
		f, err := disk.OpenRegular(filepath.Join(s.Shared.Dir, filepath.FromSlash(a.File)))
		if err != nil {
			return err
		}
		_, err = st.SaveArtifact(ctx, id, a.Path, a.MediaType, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
