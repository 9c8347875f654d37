package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
	"triality/server/store"
)

// endless evaluates until it is stopped, in minutes.
func endless(t *testing.T) (*Service, *store.Store, experiments.Module) {
	t.Helper()
	_, st := setup(t, finished)
	host, err := sandbox.NewHost(sandbox.Options{Fuel: 1 << 62, Timeout: 10 * time.Minute, MaxWorkers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	s := New(st, host)
	wasm := wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }).Bytes()
	m, err := st.AddModule(context.Background(), moduleRecord(t, s, wasm), wasm)
	if err != nil {
		t.Fatal(err)
	}
	return s, st, m
}

// another is a second run with the same A/B test.
func another(t *testing.T, st *store.Store, id string) {
	t.Helper()
	ctx := context.Background()
	r, err := st.Run(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SaveRun(ctx, experiments.Run{ID: id, ExperimentID: r.ExperimentID, Name: id, Status: experiments.Finished}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.SaveArtifact(ctx, id, pipeline.ResultArtifact, "application/json", strings.NewReader(finished)); err != nil {
		t.Fatal(err)
	}
}

func TestASlowModuleHoldsUpNeitherTrialsOnOtherRunsNorUploads(t *testing.T) {
	s, st, slow := endless(t)
	another(t, st, "other")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	for range 3 { // one runs, since a run has half of the places; the others wait
		go func() {
			_, err := s.Try(ctx, "r", slow.SHA256, nil)
			ended <- err
		}()
	}
	for s.turns.length() < 2 {
		time.Sleep(time.Millisecond)
	}
	patient, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m, err := s.Add(patient, metrictest.Good("quick", 0.5))
	if err != nil {
		t.Fatalf("an upload: %v", err)
	}
	if _, err := s.Try(patient, "other", m.SHA256, nil); err != nil {
		t.Errorf("a trial on another run: %v", err)
	}
	if len(ended) > 0 {
		t.Errorf("the slow trial had ended by then: %v", <-ended)
	}
	stop()
	for range 3 {
		if err := <-ended; err == nil {
			t.Error("an endless metric gave a result")
		}
	}
	if s.turns.free != 2 || len(s.turns.running) > 0 {
		t.Errorf("places were lost: %+v", s.turns)
	}
}

// length is how many wait.
func (t *turns) length() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

func TestConcurrentTrialsOnOneRunLoseNothing(t *testing.T) {
	s, st := setup(t, strings.Replace(finished, `"label":"ALLOW"`, `"text":"a<b","label":"ALLOW"`, 1))
	ctx := context.Background()
	const n = 12
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			m, err := s.Add(ctx, metrictest.Good(fmt.Sprintf("metric%d", i), float64(i)))
			if err == nil {
				_, err = s.Try(ctx, "r", m.SHA256, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, ab := stored(t, st)
	if len(ab.Metrics) != n+1 {
		t.Errorf("%d results, want %d and the one that was there", len(ab.Metrics), n)
	}
	run, err := st.Run(ctx, "r")
	if err != nil || len(run.Summary) != n {
		t.Errorf("%v; summary of %d values: %v", err, len(run.Summary), run.Summary)
	}
	if len(s.saving) > 0 {
		t.Errorf("locks are left: %v", s.saving)
	}
}

func TestATrialOnATestThatWasMadeAnewMeanwhileIsNotKept(t *testing.T) {
	s, st := setup(t, finished)
	ctx := context.Background()
	before, ab, err := s.result(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	wasm := metrictest.Good("mine", 1)
	out := s.engine.EvaluateModule(ctx, pipeline.Module{Name: "mine", Wasm: wasm}, ab)
	anew := strings.Replace(finished, `"prediction_b":"DENY"`, `"prediction_b":"ALLOW"`, 1)
	if _, err := st.SaveArtifact(ctx, "r", pipeline.ResultArtifact, "application/json", strings.NewReader(anew)); err != nil {
		t.Fatal(err)
	}
	err = s.save(ctx, "r", before, out, moduleRecord(t, s, wasm), wasm)
	if experiments.CodeOf(err) != experiments.CodeConflict || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("%v, want a conflict", err)
	}
	if _, now := stored(t, st); len(now.Metrics) != 1 {
		t.Errorf("metrics %+v", now.Metrics)
	}
}

func TestTurnsAreFairAndBounded(t *testing.T) {
	ctx := context.Background()
	turns := newTurns(4)
	for range 2 {
		if _, err := turns.enter(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := turns.enter(short, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third trial on a run: %v", err)
	}
	if _, err := turns.enter(ctx, "b"); err != nil {
		t.Error(err)
	}
	got := make(chan error)
	for range mostWaiting {
		go func() {
			_, err := turns.enter(ctx, "a")
			got <- err
		}()
	}
	for turns.length() < mostWaiting {
		time.Sleep(time.Millisecond)
	}
	if _, err := turns.enter(ctx, "c"); experiments.CodeOf(err) != experiments.CodeUnavailable || !strings.Contains(err.Error(), "64 trials") {
		t.Errorf("more than may wait: %v", err)
	}
	for range mostWaiting {
		turns.leave("a")
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
}

func TestAModuleThatThisMachineCannotRunIsNotBlamed(t *testing.T) {
	_, st := setup(t, finished)
	host, err := sandbox.NewHost(sandbox.Options{Executable: "/nonexistent/triality"})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	s := New(st, host)
	ctx := context.Background()
	wasm := metrictest.Good("mine", 1)
	if _, err := s.Add(ctx, wasm); experiments.CodeOf(err) != experiments.CodeUnavailable || !strings.Contains(err.Error(), "no fault of its own") {
		t.Errorf("an upload: %v", err)
	}
	info, err := sandbox.Preflight(wasm)
	if err != nil {
		t.Fatal(err)
	}
	m, err := st.AddModule(ctx, experiments.Module{SHA256: info.SHA256, Name: "mine", Version: "1"}, wasm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Try(ctx, "r", m.SHA256, nil); experiments.CodeOf(err) != experiments.CodeUnavailable || !strings.Contains(err.Error(), "could not be run here") {
		t.Errorf("a trial: %v", err)
	}
}
