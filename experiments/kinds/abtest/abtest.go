// Package abtest is the kind of step that compares two models on the same rows.
package abtest

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "abtest"

// ResultsName is the file of the result, and ResultArtifact the artifact that keeps it with the run.
const (
	ResultsName    = "results.json"
	ResultArtifact = "abtest/results.json"
)

// resultVersion is that of what a result holds: 2 has the inference by the design, and the verdict; 3 repeated
// timings, and the linear model among the floors.
const resultVersion = "result 3"

// Body of a step.
type Body struct {
	ModelA     graph.Input    `yaml:"model_a" takes:"model" doc:"model A"`
	ModelB     graph.Input    `yaml:"model_b" takes:"model" doc:"model B"`
	TestData   graph.Input    `yaml:"test_data" takes:"data set" doc:"rows to test on (.jsonl, or a data set's test split)"`
	TrainData  graph.Input    `yaml:"train_data" takes:"data set" optional:"true" doc:"what the models were trained on, which the rows are checked against"`
	Arms       []graph.Input  `yaml:"arms" takes:"model" doc:"models beside A and B that answer the same rows after them, and decide nothing; test.arms names them, in the same order, and others that need no model: 8bit, majority, naive_bayes, linear"`
	Test       config.Test    `yaml:"test" doc:"warm-up, resamples, metrics and texts; its paths are the keys above"`
	FormatType string         `yaml:"format_type" as:"data.format_type" doc:"how rows are written"`
	MaxLength  int            `yaml:"max_length" as:"data.max_length" doc:"longest row in tokens"`
	Strict     bool           `yaml:"strict" doc:"refuse rows with a bad line instead of skipping the line"`
	Numbers    config.Numbers `yaml:"numbers" doc:"how models are held"`
	Seed       uint64         `yaml:"seed" doc:"of the bootstrap and of texts"`
	// Look names the look at the rows that the test is a part of; empty: it is one of its own. Tests of a plan that was made before
	// any of them, such as those of several trainings, are one look.
	Look string `yaml:"-"`
	// Modules are those of Test.Metrics where they have been read; nil: planning reads them.
	Modules []Module `yaml:"-"`
}

// Arm is one beside A and B.
type Arm struct {
	Name  string
	Model string // a folder, or "org/name" of the Hub; empty: Name says what it is
}

// arms pairs the names of further arms with their models.
func (b *Body) arms() (out []Arm, err error) {
	names := b.Test.Arms
	if len(names) == 0 {
		for i := range b.Arms {
			names = append(names, string(rune('C'+i)))
		}
	}
	models := b.Arms
	for i, name := range names {
		a := Arm{Name: name}
		switch {
		case name == "" || name == "A" || name == "B" || slices.Contains(names[:i], name):
			return nil, experiments.Errorf(experiments.CodeInvalid, "test.arms[%d]: %q: each arm wants a name of its own, other than A and B", i, name)
		case experiments.NeedsModel(name) && len(models) == 0:
			return nil, experiments.Errorf(experiments.CodeInvalid, "test.arms[%d]: %s has no model: arms has %d", i, name, len(b.Arms))
		case experiments.NeedsModel(name):
			a.Model, models = models[0].Path(), models[1:]
		}
		out = append(out, a)
	}
	if len(models) > 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "arms: %d models have no name in test.arms", len(models))
	}
	return out, nil
}

// Module is a WebAssembly metric to run in an A/B test.
type Module struct {
	Name   string // for errors: the file, or the name it was uploaded under
	SHA256 string
	Wasm   []byte
	Params map[string]any
	Slices []string // columns by whose values it is computed too
	// Timeout bounds one call; 0 is the sandbox's own.
	Timeout time.Duration
}

// Options are what the engine gets.
type Options struct {
	ModelA, ModelB string // folders, or "org/name" of the Hub
	TestData       string // a .jsonl file, a dataset folder (its test split), or a folder of jsonl files
	TrainData      string // what the models were trained on, likewise (its train split); empty: TestData's own train split, or not known
	Strict         bool   // refuse bad lines instead of skipping them
	OutDir         string // gets results.json
	Format         string
	MaxLength      int
	Test           config.Test
	Modules        []Module
	Arms           []Arm // beside the two
	Seed           uint64
	Environment    map[string]string // kept with the result; may be nil
	// ID and Count are of the look at the rows: see experiments.Look. Without Count it is counted beside them.
	ID    string
	Count func(ctx context.Context, l experiments.Look) (experiments.Looks, error)
}

// Engine does the work.
type Engine interface {
	// Modules reads the metrics that a configuration names. Those that cannot come to a result are refused: two that are the
	// same, and where the test writes none, one that needs texts.
	Modules(ctx context.Context, list []config.Metric, texts bool) ([]Module, error)
	// Compare tests, logs the figures and records the modules that gave metrics.
	Compare(ctx context.Context, at graph.Place, o Options, sink graph.Sink) error
	// RecordModules records for this run the modules of a result that another made.
	RecordModules(ctx context.Context, dir string, modules []Module) error
}

// Kind is the kind.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Costly,
		Body: func() any {
			d := config.Default()
			d.Test.Arms = nil // a pipeline has steps that make them
			return &Body{Test: d.Test, FormatType: d.Data.FormatType, MaxLength: d.Data.MaxLength, Numbers: d.Numbers(), Seed: d.Seed}
		},
		Gives:     []graph.Output{{Name: "result", Type: graph.ABResult}},
		Artifacts: []graph.Artifact{{File: ResultsName, Path: ResultArtifact, MediaType: "application/json"}},
		Plan: func(ctx context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			if err := b.samePaths(); err != nil {
				return graph.Outline{}, err
			}
			if _, err := b.arms(); err != nil {
				return graph.Outline{}, err
			}
			if b.Modules == nil && len(b.Test.Metrics) > 0 {
				var err error
				if b.Modules, err = e.Modules(ctx, b.Test.Metrics, !b.Test.Generate.IsZero()); err != nil {
					return graph.Outline{}, err
				}
			}
			key, err := b.key(p.Device)
			return graph.Outline{Key: key, Files: []string{ResultsName}, Gives: map[string]string{"result": ResultsName}}, err
		},
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			arms, err := b.arms()
			if err != nil {
				return err
			}
			return e.Compare(ctx, w.Place(&b.Numbers), Options{
				Arms:   arms,
				ModelA: b.ModelA.Path(), ModelB: b.ModelB.Path(), TestData: b.TestData.Path(), TrainData: b.TrainData.Path(),
				Strict: b.Strict, OutDir: w.Dir, Format: b.FormatType, MaxLength: b.MaxLength, Test: b.Test, Modules: b.Modules, Seed: b.Seed, ID: cmp.Or(b.Look, w.Step.Key),
			}, w.Sink)
		},
		Values: values,
		TakeOver: func(ctx context.Context, w graph.Work) error {
			return e.RecordModules(ctx, w.Dir, w.Body.(*Body).Modules)
		},
	}
}

func values(dir string) (map[string]any, error) {
	var r experiments.ABResult
	if err := graph.ReadJSON(filepath.Join(dir, ResultsName), &r); err != nil {
		return nil, err
	}
	return r.Values(), nil
}

// samePaths refuses paths in the test section beside other inputs: they would be ignored.
func (b *Body) samePaths() error {
	for _, p := range []struct{ key, path, input, have string }{
		{"model_a_path", b.Test.ModelAPath, "model_a", b.ModelA.Text},
		{"model_b_path", b.Test.ModelBPath, "model_b", b.ModelB.Text},
		{"test_data_path", b.Test.TestDataPath, "test_data", b.TestData.Text},
	} {
		if p.path != "" && p.path != p.have {
			return experiments.Errorf(experiments.CodeInvalid, "test.%s: give %s instead", p.key, p.input)
		}
	}
	return nil
}

func (b *Body) key(device string) (string, error) {
	test := b.TestData.Key()
	if train := b.TrainData.Key(); train != test {
		test += train // the rows are checked against the training rows, which the floors are made of
	}
	compare := b.Test.Keyed()
	compare.Metrics = slices.Clone(compare.Metrics)
	if len(b.Modules) != len(compare.Metrics) {
		return "", fmt.Errorf("%d modules for %d metrics", len(b.Modules), len(compare.Metrics))
	}
	for i, m := range b.Modules {
		compare.Metrics[i].Module = m.SHA256 // the content decides, not the path
	}
	parts := []any{
		b.ModelA.Key(), b.ModelB.Key(), test, compare, b.MaxLength, b.FormatType, b.Seed, device, b.Numbers.Parts(), resultVersion, b.Test.Design.Hash(),
	}
	if len(b.Arms)+len(b.Test.Arms) > 0 { // a test of two alone has the key that it had before there were more
		parts = append(parts, b.Test.Arms)
		for _, a := range b.Arms {
			parts = append(parts, a.Key())
		}
	}
	return graph.Key(Name, parts...)
}
