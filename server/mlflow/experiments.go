package mlflow

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"triality/experiments"
)

// DefaultExperiment is the name of the experiment that clients know by the id 0 without having made it.
const DefaultExperiment = "Default"

// experimentID is an experiment's id here.
func (a *API) experimentID(ctx context.Context, id text) (string, error) {
	switch id {
	case "":
		return "", invalid("Missing value for required parameter 'experiment_id'.")
	case "0":
		e, err := a.Store.EnsureExperiment(ctx, DefaultExperiment)
		return e.ID, err
	}
	return string(id), nil
}

func (a *API) experimentOf(ctx context.Context, id text) (experiments.Experiment, error) {
	at, err := a.experimentID(ctx, id)
	if err != nil {
		return experiments.Experiment{}, err
	}
	e, err := a.Store.Experiment(ctx, at)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		err = missing("No Experiment with id=%s exists", at)
	}
	return e.Experiment, err
}

// infoOf is an experiment as clients know it.
func infoOf(e experiments.Experiment) experimentInfo {
	tags := maps.Clone(e.Tags)
	if e.Description != "" {
		if tags == nil {
			tags = map[string]string{}
		}
		tags[tagNote] = e.Description
	}
	return experimentInfo{ID: e.ID, Name: e.Name, Location: artifactScheme + "/" + e.ID, Stage: stage(e.ArchivedAt),
		Updated: millis(e.UpdatedAt), Created: millis(e.CreatedAt), Tags: pairs(tags)}
}

// pairs is a map by its keys.
func pairs(m map[string]string) []pair {
	out := make([]pair, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{text(k), text(m[k])})
	}
	return out
}

type newExperiment struct {
	Name text   `json:"name"`
	Tags []pair `json:"tags"`
	// artifact_location is not read: artifacts are stored by content, in this server's data folder alone.
}

func (a *API) createExperiment(ctx context.Context, in newExperiment) (any, error) {
	if in.Name == "" {
		return nil, invalid("Missing value for required parameter 'name'.")
	}
	e := experiments.Experiment{Name: string(in.Name)}
	for _, t := range in.Tags {
		if err := setExperimentTag(&e, t); err != nil {
			return nil, err
		}
	}
	e, err := a.Store.CreateExperiment(ctx, e)
	if experiments.CodeOf(err) == experiments.CodeConflict {
		return nil, &failure{http.StatusBadRequest, codeExists, err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return map[string]string{"experiment_id": e.ID}, nil
}

type byExperiment struct {
	ID    text `json:"experiment_id"`
	Name  text `json:"new_name"`
	Key   text `json:"key"`
	Value text `json:"value"`
}

type oneExperiment struct {
	Experiment experimentInfo `json:"experiment"`
}

func (a *API) getExperiment(ctx context.Context, in byExperiment) (any, error) {
	e, err := a.experimentOf(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return oneExperiment{infoOf(e)}, nil
}

func (a *API) experimentByName(ctx context.Context, in struct {
	Name text `json:"experiment_name"`
}) (any, error) {
	e, err := a.Store.ExperimentNamed(ctx, string(in.Name))
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return nil, missing("Could not find experiment with name '%s'", in.Name)
	}
	if err != nil {
		return nil, err
	}
	return oneExperiment{infoOf(e)}, nil
}

// changeExperiment changes one that is not deleted, unless deleted allows it.
func (a *API) changeExperiment(ctx context.Context, id text, deleted bool, change func(*experiments.Experiment) error) error {
	e, err := a.experimentOf(ctx, id)
	if err != nil {
		return err
	}
	_, err = a.Store.UpdateExperiment(ctx, e.ID, func(e *experiments.Experiment) error {
		if !deleted && !e.ArchivedAt.IsZero() {
			return invalid("The experiment %s must be in the 'active' state. Current state is deleted.", e.ID)
		}
		return change(e)
	})
	if experiments.CodeOf(err) == experiments.CodeConflict {
		return &failure{http.StatusBadRequest, codeExists, err.Error()}
	}
	return err
}

func (a *API) deleteExperiment(ctx context.Context, in byExperiment) (any, error) {
	return empty{}, a.changeExperiment(ctx, in.ID, false, func(e *experiments.Experiment) error {
		e.ArchivedAt = time.Now().UTC()
		return nil
	})
}

func (a *API) restoreExperiment(ctx context.Context, in byExperiment) (any, error) {
	return empty{}, a.changeExperiment(ctx, in.ID, true, func(e *experiments.Experiment) error {
		e.ArchivedAt = time.Time{}
		return nil
	})
}

func (a *API) renameExperiment(ctx context.Context, in byExperiment) (any, error) {
	return empty{}, a.changeExperiment(ctx, in.ID, false, func(e *experiments.Experiment) error {
		if in.Name != "" {
			e.Name = string(in.Name)
		}
		return nil
	})
}

func (a *API) tagExperiment(ctx context.Context, in byExperiment) (any, error) {
	return empty{}, a.changeExperiment(ctx, in.ID, false, func(e *experiments.Experiment) error {
		return setExperimentTag(e, pair{in.Key, in.Value})
	})
}

func (a *API) untagExperiment(ctx context.Context, in byExperiment) (any, error) {
	return empty{}, a.changeExperiment(ctx, in.ID, false, func(e *experiments.Experiment) error {
		if in.Key == tagNote {
			e.Description = ""
			return nil
		}
		if _, ok := e.Tags[string(in.Key)]; !ok {
			return missing("No tag with name: %s in experiment with id %s", in.Key, e.ID)
		}
		e.Tags = without(e.Tags, string(in.Key))
		return nil
	})
}

func setExperimentTag(e *experiments.Experiment, t pair) error {
	if err := checkPair("tag", t, maxTag); err != nil {
		return err
	}
	if t.Key == tagNote {
		e.Description = string(t.Value)
		return nil
	}
	return put(&e.Tags, "tags", t)
}

// with and without are a map with a key and without it; the one given stays as it is.
func with(m map[string]string, key, value string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	out[key] = value
	return out
}

func without(m map[string]string, key string) map[string]string {
	out := maps.Clone(m)
	delete(out, key)
	return out
}
