package jobs

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/store"
	"triality/server/worker"
)

// planning is a worker that answers plans.
type planning struct{ err error }

func (p planning) Run(ctx context.Context, job worker.Job, t experiments.Tracker, _ io.Writer) error {
	if !job.Plan || job.Config != yamlOf("x") || job.Dir != "/somewhere" || job.Lock == "" {
		return errors.New("not asked for a plan")
	}
	if p.err != nil {
		return p.err
	}
	if err := t.SaveRun(ctx, experiments.Run{ID: job.RunID}); err == nil {
		return errors.New("a worker that plans can save a run")
	}
	_, err := t.SaveArtifact(ctx, job.RunID, "plan.json", "application/json", strings.NewReader(`[{"name":"a","kind":"convert","key":"k","cost":"cheap","taken_over":true,"output":"o"}]`))
	return err
}

func TestAPlanIsMadeByAWorkerAndLeavesNothing(t *testing.T) {
	q := begin(t, open(t), planning{})
	steps, err := q.Plan(t.Context(), yamlOf("x"), "/somewhere")
	if err != nil || len(steps) != 1 || steps[0].Name != "a" || !steps[0].TakenOver {
		t.Errorf("%+v, %v", steps, err)
	}
	if _, err := q.Plan(t.Context(), "sed: 1", ""); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("%v", err)
	}
	runs, _, err := q.store.Runs(t.Context(), store.RunFilter{})
	left, globErr := filepath.Glob(filepath.Join(folder(q.store), "*"))
	if err != nil || globErr != nil || len(runs) > 0 || len(left) > 0 {
		t.Errorf("%d runs, files %v", len(runs), left)
	}
}

func TestAWorkerThatDiesPlanningIsSaid(t *testing.T) {
	q := begin(t, open(t), planning{&worker.Death{Cause: "out of memory"}})
	if _, err := q.Plan(t.Context(), yamlOf("x"), "/somewhere"); experiments.CodeOf(err) != experiments.CodeUnavailable || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("%v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := q.Plan(ended, yamlOf("x"), "/somewhere"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// slow is a worker that plans until it is stopped.
type slow struct{ began chan struct{} }

func (s slow) Run(ctx context.Context, _ worker.Job, _ experiments.Tracker, _ io.Writer) error {
	s.began <- struct{}{}
	<-ctx.Done()
	return &worker.Death{Cause: "it did not stop within 8s and was killed"}
}

func TestAPlanThatTakesTooLongIsStoppedAndMoreThanSomeDoNotWait(t *testing.T) {
	w := slow{make(chan struct{}, plansAtOnce+plansWait)}
	q := begin(t, open(t), w)
	q.planTime = 20 * time.Millisecond
	if _, err := q.Plan(t.Context(), yamlOf("x"), ""); experiments.CodeOf(err) != experiments.CodeUnavailable || !strings.Contains(err.Error(), "longer than 20ms") {
		t.Errorf("%v", err)
	}
	<-w.began
	q.planTime = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range plansAtOnce + plansWait {
		wg.Go(func() {
			if _, err := q.Plan(ctx, yamlOf("x"), ""); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for range plansAtOnce {
		<-w.began
	}
	for q.plans.Load() < plansAtOnce+plansWait {
		time.Sleep(time.Millisecond)
	}
	if _, err := q.Plan(ctx, yamlOf("x"), ""); experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Errorf("one more: %v", err)
	}
	cancel()
	wg.Wait()
	if n := q.plans.Load(); n != 0 {
		t.Errorf("%d plans are left", n)
	}
}
