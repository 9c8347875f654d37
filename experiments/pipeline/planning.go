package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/runtime/disk"
	"triality/runtime/hub"
)

// planned is a plan with what the run that follows it records.
type planned struct {
	*graph.Plan
	params map[string]string
}

// plan plans a spec's steps. Models of the Hub that it names are downloaded, since what they are decides keys.
func (r *Runner) plan(ctx context.Context, s Spec, device string, e *execution, runID string) (planned, error) {
	if s.Graph == nil {
		return r.planFive(ctx, s, device, e, runID)
	}
	list := stepkinds.All(host{r.Engine, e})
	l := &literals{runner: r, runID: runID, found: sources{}}
	p, err := s.Graph.Make(ctx, list, graph.Env{
		Dir: s.OutputDir, Device: device, Literal: l.of, Shared: r.Shared,
		Tell: func(step *graph.Planned) graph.Teller { return planTeller{r, runID, step.Name} },
	})
	if err != nil {
		return planned{}, err
	}
	params := s.Params()
	for name, source := range l.found {
		params[name+".commit"] = source.Commit
	}
	return planned{p, params}, nil
}

func (r *Runner) planFive(ctx context.Context, s Spec, device string, e *execution, runID string) (planned, error) {
	modules, err := r.modules(ctx, s.Test.Metrics)
	if err != nil {
		return planned{}, err
	}
	if err := r.Engine.checkModules(ctx, modules, !s.Test.Generate.IsZero()); err != nil {
		return planned{}, err
	}
	pinned, found, err := r.locate(ctx, s.Pipeline, runID)
	if err != nil {
		return planned{}, err
	}
	e.cfg = pinned
	p, err := makePlan(ctx, pinned, modules, device, found, planTeller{r, runID, "convert"}, stepkinds.All(host{r.Engine, e}), r.Shared)
	if err != nil {
		return planned{}, err
	}
	params := s.Params()
	for key, source := range found {
		params[key+".commit"] = source.Commit
	}
	return planned{p, params}, nil
}

// literals resolve what a graph's bodies name that no step gives.
type literals struct {
	runner *Runner
	runID  string
	found  sources // models of the Hub by the names they are called by
}

func (l *literals) of(ctx context.Context, takes []graph.Type, text string) (graph.Value, error) {
	switch {
	case slices.Contains(takes, graph.Model):
		s, err := l.runner.Engine.Locate(ctx, text, hub.ModelFiles, planTeller{l.runner, l.runID, "model"})
		if err != nil {
			return graph.Value{}, err
		}
		if s.Repo != "" {
			l.found[text] = s
		}
		return value(s.Name, s.key)
	case slices.Contains(takes, graph.Dataset):
		return value(text, func() (string, error) { return hashTestData(text) })
	case slices.Contains(takes, graph.Adapter):
		return value(text, func() (string, error) { return hashFiles(AdapterFiles(text)...) })
	case slices.Contains(takes, graph.ABResult):
		path := ResultFile(text)
		return value(path, func() (string, error) { return hashFiles(path) })
	case slices.Contains(takes, graph.Table):
		return value(text, func() (string, error) { return hashFiles(text) })
	}
	return graph.Value{}, experiments.Errorf(experiments.CodeInvalid, "%q: it comes from a step; write ${step.output}", text)
}

// ResultFile is the file of an A/B result that is named by its folder or itself.
func ResultFile(name string) string {
	if info, err := disk.Stat(name); err == nil && info.IsDir() {
		return filepath.Join(name, resultsName)
	}
	return name
}

func value(path string, key func() (string, error)) (graph.Value, error) {
	k, err := key()
	if errors.Is(err, fs.ErrNotExist) {
		err = experiments.Errorf(experiments.CodeNotFound, "%w", err)
	}
	return graph.Value{Path: path, Key: k}, err
}

// PlannedStep is what Plan says of a step.
type PlannedStep struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Key   string   `json:"key"`
	Cost  string   `json:"cost"` // "cheap": it needs no device; "costly": it has one to itself; "free": it shows what others gave
	Needs []string `json:"needs,omitempty"`
	// TakenOver says that the step has a finished result, in Output and of the time FinishedAt.
	TakenOver  bool      `json:"taken_over"`
	Output     string    `json:"output"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// Seconds is what the result took, or, where there is none, what the last step of the kind took below the same
	// output_dir; 0: nothing is known.
	Seconds float64 `json:"seconds,omitempty"`
	// Of a step whose Cost is "free": what it shows, or the steps without a result that it waits for, or what is wrong.
	Shown   json.RawMessage `json:"shown,omitempty"`
	Waits   []string        `json:"waits,omitempty"`
	Problem string          `json:"problem,omitempty"`
	// Shared is of a result that came from the shared store; nil: it was made here.
	Shared *SharedResult `json:"shared,omitempty"`
}

// SharedResult is what the tracker may keep of a result that someone else made.
type SharedResult struct {
	By        string           `json:"by"`
	Dir       string           `json:"dir"` // of what is here of it; absolute
	Notes     []string         `json:"notes,omitempty"`
	Artifacts []graph.Artifact `json:"artifacts,omitempty"` // those that are here, with their paths in the run
	// Prefix stands before the names of its series in a run.
	Prefix string `json:"prefix,omitempty"`
}

// sharedOf is nil where the step's result was made here.
func sharedOf(s *graph.Planned) (*SharedResult, error) {
	if s.Done == nil || s.Done.By == "" {
		return nil, nil
	}
	dir, err := filepath.Abs(s.Here())
	if err != nil {
		return nil, err
	}
	out := &SharedResult{By: s.Done.By, Dir: dir, Notes: s.Done.Told(), Prefix: s.Prefix()}
	for _, a := range s.Kind.Artifacts {
		if disk.Regular(filepath.Join(s.Here(), filepath.FromSlash(a.File))) == nil {
			a.Path = a.PathOf(s)
			out.Artifacts = append(out.Artifacts, a)
		}
	}
	return out, nil
}

// Plan says what a run of a spec would do, in its order, without running anything or opening a device.
func (r *Runner) Plan(ctx context.Context, s Spec) ([]PlannedStep, error) {
	device, err := deviceName(s.Pipeline)
	if err != nil {
		return nil, err
	}
	var run experiments.Run
	p, err := r.plan(ctx, s, device, &execution{Runner: r, cfg: s.Pipeline, run: &run}, "")
	if err != nil {
		return nil, err
	}
	shown := p.Show(ctx)
	out := make([]PlannedStep, len(p.Steps))
	for i, step := range p.Steps {
		o := PlannedStep{Name: step.Name, Kind: step.Kind.Name, Key: step.Key, Cost: step.Kind.Cost.String(), Needs: step.Needs(), Output: step.Here()}
		if m := step.Done; m != nil {
			o.TakenOver, o.FinishedAt, o.Seconds = true, m.FinishedAt, m.Seconds
			if o.Shared, err = sharedOf(step); err != nil {
				return nil, err
			}
		} else {
			o.Seconds = graph.LastSeconds(filepath.Dir(step.Dir), step.Kind.Name)
		}
		if s, ok := shown[step]; ok {
			if o.Shown, o.Waits = s.Value, s.Waits; s.Err != nil {
				o.Problem = s.Err.Error()
			}
		}
		out[i] = o
	}
	return out, nil
}
