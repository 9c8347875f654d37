package jobs

import (
	"context"
	"testing"

	"triality/experiments"
)

func TestARunIsFiledWhereItWasAskedForWhateverItsConfigurationIsNamed(t *testing.T) {
	ctx := context.Background()
	q, f := queue(t)
	mine, err := q.store.EnsureExperiment(ctx, "mine")
	if err != nil {
		t.Fatal(err)
	}
	_, err = q.Submit(ctx, experiments.Submission{Config: yamlOf("other"), Experiment: "nope"})
	if experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("error %v", err)
	}
	run, err := q.Submit(ctx, experiments.Submission{Config: yamlOf("other"), Experiment: mine.ID})
	if err != nil {
		t.Fatal(err)
	}
	starts(t, f, run.ID)
	// The worker asks for the experiment that its configuration names, and is given the run's own.
	if e, err := (recorder{q.store, run.ID, 1, &reached{}, false}).EnsureExperiment(ctx, "other"); err != nil || e.ID != mine.ID {
		t.Errorf("the worker is given %q, %v", e.Name, err)
	}
	to, err := q.store.EnsureExperiment(ctx, "to")
	if err != nil {
		t.Fatal(err)
	}
	if run = becomes(t, q, run.ID, experiments.Running); run.ExperimentID != mine.ID {
		t.Errorf("it is in %s", run.ExperimentID)
	}
	// Someone moves it while it runs.
	if _, err := q.store.UpdateRun(ctx, run.ID, func(r *experiments.Run) error { r.ExperimentID = to.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	f.end <- nil
	if run = becomes(t, q, run.ID, experiments.Finished); run.ExperimentID != to.ID {
		t.Errorf("it ended in %s", run.ExperimentID)
	}
	all, _, err := q.store.Experiments(ctx, 0, "")
	if err != nil || len(all) != 2 {
		t.Errorf("%d experiments, %v: none is made for the configuration's name", len(all), err)
	}
}
