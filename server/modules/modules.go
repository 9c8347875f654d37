// Package modules is the server's side of metric modules: it validates uploads in the sandbox and runs
// a stored module on a finished A/B test, without its models.
package modules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
	"triality/server/store"
)

// Service adds and tries modules.
type Service struct {
	store  *store.Store
	engine *pipeline.Engine
	turns  *turns

	mu     sync.Mutex
	saving map[string]*saver
}

// saver keeps two trials from writing one run's result over each other.
type saver struct {
	sync.Mutex
	users int
}

// New makes a service; host stays the caller's.
func New(st *store.Store, host *sandbox.Host) *Service {
	return &Service{store: st, engine: &pipeline.Engine{Sandbox: host}, turns: newTurns(host.Workers()), saving: map[string]*saver{}}
}

// Add validates a module and stores it. A module that fails is a CodeInvalid error whose Details hold
// "checks".
func (s *Service) Add(ctx context.Context, wasm []byte) (experiments.Module, error) {
	m, err := pipeline.CheckModule(ctx, s.engine.Sandbox, wasm)
	if err != nil {
		return m, err
	}
	return s.store.AddModule(ctx, m, wasm)
}

// Try runs a stored module on a run's A/B test, and on the rows of each value of the columns that slices
// names, and, where it gives a result, keeps it with the run: in the test's result and as metrics. The same
// module with the same parameters replaces its earlier result. A module that fails is a CodeInvalid error,
// and the run stays as it was.
func (s *Service) Try(ctx context.Context, runID, sha256 string, params map[string]any, slices ...string) (experiments.ModuleResult, error) {
	record, wasm, err := s.store.Module(ctx, sha256)
	if err != nil {
		return experiments.ModuleResult{}, err
	}
	before, ab, err := s.result(ctx, runID)
	if err != nil {
		return experiments.ModuleResult{}, err
	}
	waited, err := s.turns.enter(ctx, runID)
	if err != nil {
		return experiments.ModuleResult{}, err
	}
	out := s.engine.EvaluateModule(ctx, pipeline.Module{Name: record.Name, SHA256: sha256, Wasm: wasm, Params: params, Slices: slices}, ab)
	s.turns.leave(runID)
	if out.Error != "" {
		return out, failure(record.Name, out)
	}
	if err := s.save(ctx, runID, before, out, record, wasm); err != nil {
		return out, err
	}
	if waited > time.Second {
		out.Notes = append(out.Notes, fmt.Sprintf("the trial waited %.0f s for others to end", waited.Seconds()))
	}
	return out, nil
}

// failure is the error of a module that gave no result.
func failure(name string, out experiments.ModuleResult) error {
	code, reason := experiments.CodeInvalid, strings.TrimPrefix(out.Error, "metric module: ")
	if out.System {
		code, reason = experiments.CodeUnavailable, "it could not be run here: "+reason
	}
	e := experiments.Errorf(code, "metric %s: %s", name, reason)
	if out.Log != "" {
		e.Details = map[string]any{"log": out.Log}
	}
	return e
}

// save puts a result beside what the run holds by now; before is what it was computed from.
func (s *Service) save(ctx context.Context, runID string, before []byte, out experiments.ModuleResult, record experiments.Module, wasm []byte) error {
	defer s.lock(runID)()
	now, _, err := s.result(ctx, runID)
	if err != nil {
		return err
	}
	if same, err := sameSamples(before, now); err != nil || !same {
		return errors.Join(err, experiments.Errorf(experiments.CodeConflict, "the A/B test of run %s was made anew while the metric was tried on it; try it again", runID))
	}
	text, err := withResult(now, out, &record.Description)
	if err != nil {
		return fmt.Errorf("A/B result of run %s: %w", runID, err)
	}
	if err := s.store.UseModule(ctx, runID, record, wasm); err != nil {
		return err
	}
	if _, err := s.store.SaveArtifact(ctx, runID, pipeline.ResultArtifact, "application/json", bytes.NewReader(text)); err != nil {
		return err
	}
	return s.log(ctx, runID, out)
}

// lock locks what is kept with a run, and returns what unlocks it.
func (s *Service) lock(runID string) (unlock func()) {
	s.mu.Lock()
	l := s.saving[runID]
	if l == nil {
		l = new(saver)
		s.saving[runID] = l
	}
	l.users++
	s.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(s.saving, runID)
		}
	}
}

// sameSamples reports whether two texts of an A/B result hold the same rows.
func sameSamples(a, b []byte) (bool, error) {
	if bytes.Equal(a, b) {
		return true, nil
	}
	var x, y struct{ Samples json.RawMessage }
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		return false, err
	}
	var p, q bytes.Buffer
	if err := errors.Join(canonical(&p, x.Samples), canonical(&q, y.Samples)); err != nil {
		return false, err
	}
	return bytes.Equal(p.Bytes(), q.Bytes()), nil
}

// canonical writes JSON as encoding it again would: a saved result is.
func canonical(to *bytes.Buffer, text []byte) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return err
	}
	json.HTMLEscape(to, compact.Bytes())
	return nil
}

// log adds the scalar outputs to the run's metrics and summary.
func (s *Service) log(ctx context.Context, runID string, out experiments.ModuleResult) error {
	batch := pipeline.ModuleMetrics(out)
	if len(batch) == 0 {
		return nil
	}
	if err := s.store.LogMetrics(ctx, runID, batch); err != nil {
		return err
	}
	_, err := s.store.UpdateRun(ctx, runID, func(r *experiments.Run) error {
		summary := maps.Clone(r.Summary)
		if summary == nil {
			summary = map[string]float64{}
		}
		for name, points := range batch {
			summary[name] = points[len(points)-1].Value
		}
		r.Summary = summary
		return nil
	})
	return err
}

// withResult puts a module's result into the JSON of an A/B result, in the place of its earlier one. All
// else stays as it is written there, nulls included.
func withResult(stored []byte, out experiments.ModuleResult, d *metricabi.Description) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(stored, &fields); err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if text := fields["metrics"]; text != nil {
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, err
		}
	}
	entry, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	at := len(list)
	for i := range list {
		var m experiments.ModuleResult
		if err := json.Unmarshal(list[i], &m); err != nil {
			return nil, err
		}
		if m.Key == out.Key || m.SHA256 == out.SHA256 && sameParams(d, m.Params, out.Params) {
			at = i
		}
	}
	if at == len(list) {
		list = append(list, nil)
	}
	list[at] = entry
	if fields["metrics"], err = json.Marshal(list); err != nil {
		return nil, err
	}
	return json.MarshalIndent(fields, "", "  ")
}

// sameParams holds for parameters that a module is handed as the same values: results of before there were
// keys have only what was given.
func sameParams(d *metricabi.Description, a, b map[string]any) bool {
	ta, errA := d.CanonicalParameters(a)
	tb, errB := d.CanonicalParameters(b)
	return errA == nil && errB == nil && bytes.Equal(ta, tb)
}

// result reads a run's A/B result, as it is written and decoded.
func (s *Service) result(ctx context.Context, runID string) (text []byte, ab *experiments.ABResult, err error) {
	_, f, err := s.store.OpenArtifact(ctx, runID, pipeline.ResultArtifact)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return nil, nil, experiments.Errorf(experiments.CodeNotFound, "run %s has no finished A/B test to try a metric on", runID)
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	text, err = io.ReadAll(f)
	if err != nil {
		return nil, nil, fmt.Errorf("read A/B result of run %s: %w", runID, err)
	}
	ab = new(experiments.ABResult)
	if err := json.Unmarshal(text, ab); err != nil {
		return nil, nil, experiments.Errorf(experiments.CodeInvalid, "A/B result of run %s: %w", runID, err)
	}
	if len(ab.Samples) == 0 {
		return nil, nil, experiments.Errorf(experiments.CodeConflict, "the A/B result of run %s holds no rows; a metric needs them", runID)
	}
	return text, ab, nil
}
