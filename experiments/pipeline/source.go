package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/runtime/hub"
)

// Source is where a model named in a configuration or a flag lies on this machine.
type Source struct {
	Name   string // what a step takes as its model: the folder, or "org/name@commit"
	Dir    string // folder in Hugging Face form
	Repo   string // "org/name"; empty for a folder of one's own
	Commit string // of Repo
}

// key is what decides a step's result: the commit, or the folder's content.
func (s Source) key() (string, error) {
	if s.Repo == "" {
		return hashModel(s.Dir)
	}
	return graph.Key("base", "hub", s.Repo, s.Commit)
}

// Teller takes what finding a model has to say.
type Teller = graph.Teller

// Locate finds a model by the name that a configuration or a flag gives: a folder, or where there is
// none, a repository "org/name" or "org/name@revision" of the Hub, of which the files that match
// patterns are taken from the cache or downloaded.
func (e *Engine) Locate(ctx context.Context, name string, patterns []string, tell Teller) (Source, error) {
	ref, err := hub.ParseRef(name)
	if exists(name) || err != nil {
		return Source{Name: name, Dir: name}, nil // the reader of the folder says what it lacks
	}
	o := hub.Options{}
	if e.Hub != nil {
		o = *e.Hub
	} else if o, err = hub.FromEnv(os.Getenv); err != nil {
		return Source{}, experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	o.Note, o.Progress = tell.Note, Transfer(tell)
	client, err := hub.New(o)
	if err != nil {
		return Source{}, experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	s, err := client.Snapshot(ctx, ref, patterns)
	if ctx.Err() != nil {
		return Source{}, fmt.Errorf("download of %s interrupted; the same again goes on where it was cut: %w", ref, ctx.Err())
	}
	if err != nil {
		return Source{}, HubError(fmt.Errorf("there is no folder %s, and from the Hub: %w", name, err))
	}
	if ref.Revision != s.Commit {
		tell.Note(fmt.Sprintf("%s is commit %s, in %s", ref, s.Commit, s.Dir))
	}
	return Source{Name: hub.Ref{Repo: ref.Repo, Revision: s.Commit}.String(), Dir: s.Dir, Repo: ref.Repo, Commit: s.Commit}, nil
}

// Transfer turns the hub client's bytes into a step's progress; what the cache holds already is silent.
func Transfer(tell Teller) func(hub.Progress) {
	var start time.Time
	var before int64
	return func(p hub.Progress) {
		if p.Files == p.TotalFiles && start.IsZero() {
			return
		}
		if start.IsZero() {
			start, before = time.Now(), p.Bytes
		}
		unit, size := "kB", int64(1e3)
		if p.TotalBytes >= 1e8 {
			unit, size = "MB", 1e6
		}
		out := experiments.Progress{Done: p.Bytes / size, Total: p.TotalBytes / size, Unit: unit, Note: p.File}
		if s := time.Since(start).Seconds(); s > 0 {
			out.Rate = float64(p.Bytes-before) / float64(size) / s
		}
		tell.Progress(out)
	}
}

// HubError gives an error of the hub its code.
func HubError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	code := experiments.CodeInternal
	switch {
	case errors.Is(err, hub.ErrNotFound):
		code = experiments.CodeNotFound
	case errors.Is(err, hub.ErrAccess), errors.Is(err, hub.ErrOffline), errors.Is(err, os.ErrNotExist):
		code = experiments.CodeInvalid
	}
	return experiments.Errorf(code, "%w", err)
}

// sources are the models of the Hub that a configuration names, by the keys that name them.
type sources map[string]Source

// locate finds the models that a configuration names before anything is planned, since their commits
// are part of the steps' keys. In the configuration it gives, each name holds its commit.
func (r *Runner) locate(ctx context.Context, cfg config.Pipeline, runID string) (config.Pipeline, sources, error) {
	out := sources{}
	for _, m := range []struct {
		key  string
		name *string
	}{{"model.base_model", &cfg.Model.BaseModel}, {"test.model_a_path", &cfg.Test.ModelAPath}, {"test.model_b_path", &cfg.Test.ModelBPath}} {
		if *m.name == "" || m.name == &cfg.Model.BaseModel && cfg.Model.Create.Shape != "" {
			continue // made on the spot
		}
		s, err := r.Engine.Locate(ctx, *m.name, hub.ModelFiles, planTeller{r, runID, "base"})
		if err != nil {
			return cfg, nil, fmt.Errorf("%s: %w", m.key, err)
		}
		if s.Repo != "" {
			out[m.key], *m.name = s, s.Name
		}
	}
	return cfg, out, nil
}

// planTeller shows what happens before a run's first step as that of a step: a download as the base model's, reading
// rows as convert's.
type planTeller struct {
	*Runner
	runID string // empty: the run has no record yet
	kind  string
}

func (t planTeller) Progress(p experiments.Progress) {
	if t.runID != "" {
		t.Tracker.Progress(t.runID, t.kind, p)
	}
	if t.Watcher != nil {
		t.Watcher.Progress(t.kind, p)
	}
}

func (t planTeller) Note(text string) {
	if t.Watcher != nil {
		t.Watcher.Note(t.kind, text)
	}
}
