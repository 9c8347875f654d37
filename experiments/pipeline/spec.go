package pipeline

import (
	"errors"
	"io/fs"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/kinds/finetune"
	"triality/experiments/notebook"
	"triality/runtime/disk"
)

// Spec is what a configuration file asks for: a pipeline, or, where it has steps, a graph of them.
type Spec struct {
	config.Pipeline              // of a graph: its settings, and the defaults elsewhere
	Graph           *graph.Graph // nil: the five steps
	Devices         int          // costly steps side by side; 0: as many as there are cards
	Text            string       // what ParseSpec reads to the same, kept with the run
}

// FiveSteps is the spec of a pipeline.
func FiveSteps(cfg config.Pipeline) Spec { return Spec{Pipeline: cfg, Devices: 1} }

// Together is how many devices share the steps of a training, the most of those that the spec has.
func (s Spec) Together() int {
	if s.Graph == nil {
		return max(1, s.Training.Devices)
	}
	most := 1
	for _, step := range s.Graph.Steps {
		if b, ok := step.Body.(*finetune.Body); ok {
			most = max(most, b.Training.Devices)
		}
	}
	return most
}

// Params are the spec as a run's parameters, without what is only known when it is planned.
func (s Spec) Params() map[string]string {
	if s.Graph != nil {
		return s.Graph.Params(stepkinds.All(nil))
	}
	return flatten(s.Pipeline)
}

// ParseSpec reads a pipeline YAML, a graph or a notebook, over the defaults. Overrides are KEY=VALUE pairs that win over
// the text; in a graph, NAME.KEY is a key of the step NAME's body. name stands for the file in errors, which name the line
// and the key.
func ParseSpec(name string, text []byte, overrides ...string) (Spec, error) {
	if notebook.Is(string(text)) {
		return parseNotebook(name, string(text), overrides...)
	}
	if !graph.IsGraph(text) {
		cfg, err := config.Parse(name, text, overrides...)
		s := FiveSteps(cfg)
		if s.Text = string(text); err == nil && len(overrides) > 0 {
			s.Text, err = cfg.YAML()
		}
		return s, err
	}
	g, err := graph.Parse(name, text, stepkinds.All(nil), overrides...)
	if err != nil {
		return Spec{}, err
	}
	s := ofGraph(g)
	s.Text, err = graph.Text(name, text, overrides...)
	return s, err
}

func ofGraph(g graph.Graph) Spec {
	return Spec{Pipeline: g.Settings.Pipeline(), Graph: &g, Devices: g.Settings.Devices}
}

// parseNotebook reads a notebook. With overrides the text that is kept is the graph's, since they are not in the notebook.
func parseNotebook(name, text string, overrides ...string) (Spec, error) {
	d := notebook.Parse(name, text)
	g, err := d.Graph(stepkinds.All(nil), overrides...)
	if err != nil {
		return Spec{}, err
	}
	s := ofGraph(g)
	if s.Text = text; len(overrides) > 0 {
		yaml, err := d.YAML()
		if err != nil {
			return Spec{}, err
		}
		s.Text, err = graph.Text(name, yaml, overrides...)
		return s, err
	}
	return s, nil
}

// LoadSpec is ParseSpec for a file.
func LoadSpec(path string, overrides ...string) (Spec, error) {
	text, err := disk.ReadRegular(path, disk.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return Spec{}, experiments.Errorf(experiments.CodeNotFound, "%s: no such configuration file", path)
	}
	if err != nil {
		return Spec{}, experiments.Errorf(experiments.CodeInvalid, "read configuration: %w", err)
	}
	return ParseSpec(path, text, overrides...)
}
