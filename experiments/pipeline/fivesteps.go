package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/experiments/kinds/abtest"
	"triality/experiments/kinds/basemodel"
	"triality/experiments/kinds/burnin"
	"triality/experiments/kinds/convert"
	"triality/experiments/kinds/finetune"
	"triality/experiments/kinds/repeats"
	"triality/experiments/kinds/replace"
	"triality/experiments/kinds/report"
	"triality/runtime/model"
	"triality/runtime/tokenizer"
)

// fiveSteps is a pipeline YAML as a graph: convert, finetune, replace, abtest and report, and before them, where the
// configuration says how, the base model. Each step is named as its kind; with repeats, finetune, replace and abtest are there
// once for each training, and a step puts their results together. The rows are read here, once: a base model
// without a text of its own is pre-trained on them.
func fiveSteps(ctx context.Context, cfg config.Pipeline, modules []Module, found sources, tell Teller) (graph.Graph, error) {
	g := graph.Graph{}
	rows, err := dataset.Prepare(ctx, convert.RowOptions(cfg.Data, cfg.Seeds().Split), tell)
	if err != nil {
		return g, atKey("data.input_path", trainError(err))
	}
	create, err := baseOf(cfg, found, rows)
	if err != nil {
		return g, err
	}
	return joinedSteps(cfg, create, rows, modules), nil
}

// joinedSteps are the steps of a pipeline YAML: create makes the base model, where it is not nil; rows and modules are there where
// they have been read.
func joinedSteps(cfg config.Pipeline, create *basemodel.Body, rows *dataset.Prepared, modules []Module) (g graph.Graph) {
	seeds := cfg.Seeds()
	add := func(name, kind string, body any) {
		g.Steps = append(g.Steps, graph.Step{Name: name, Kind: kind, Body: body})
	}
	base := graph.Literal(cfg.Model.BaseModel)
	if create != nil {
		add(basemodel.Name, basemodel.Name, create)
		base = graph.Ref(basemodel.Name, "model")
	}
	rowsOf := graph.Ref(convert.Name, "dataset")
	add(convert.Name, convert.Name, &convert.Body{Data: cfg.Data, BaseModel: base, Seed: seeds.Split, Rows: rows})
	names := trained(cfg, add, base, rowsOf, modules)
	result := graph.Ref(names[0], "result")
	if len(names) > 1 {
		all := &repeats.Body{Seed: seeds.Eval}
		for r, name := range names {
			all.Results, all.Seeds = append(all.Results, graph.Ref(name, "result")), append(all.Seeds, cfg.SeedOf(r))
		}
		add(repeats.Name, repeats.Name, all)
		result = graph.Ref(repeats.Name, "result")
	}
	add(report.Name, report.Name, &report.Body{
		AB: result, Data: graph.Ref(convert.Name, "summary"), Training: graph.Ref(finetune.Name, "model"),
		Replacement: graph.Ref(replace.Name, "model"), Report: cfg.Report, Name: cfg.Name,
	})
	return g
}

// trained adds the steps of each training, and gives the names of its A/B tests. Those of one training are named as their
// kinds. Each training differs from the first by its seed alone, so that its steps are those of a run with that seed_train.
func trained(cfg config.Pipeline, add func(name, kind string, body any), base, rowsOf graph.Input, modules []Module) (tests []string) {
	numbers, look := cfg.Numbers(), ""
	if cfg.Repeats > 1 {
		look = "trainings"
	}
	for r := range max(1, cfg.Repeats) {
		named := func(kind string) string {
			if r == 0 {
				return kind
			}
			return fmt.Sprintf("%s-%d", kind, r+1)
		}
		tuned, replaced, test := named(finetune.Name), named(replace.Name), named(abtest.Name)
		if cfg.Repeats > 1 && r == 0 {
			test += "-1" // the step that puts them together has the run's result
		}
		add(tuned, finetune.Name, &finetune.Body{
			BaseModel: base, Dataset: rowsOf, Training: cfg.Training, Numbers: numbers, MaxLength: cfg.Data.MaxLength, Seed: cfg.SeedOf(r),
		})
		add(replaced, replace.Name, &replace.Body{
			Model: graph.Ref(tuned, "model"), Dataset: rowsOf, SO8T: cfg.SO8T, Numbers: numbers, MaxLength: cfg.Data.MaxLength, Seed: cfg.SeedOf(r),
		})
		var arms []graph.Input
		for _, name := range cfg.Test.Arms {
			switch name {
			case experiments.ArmBase:
				arms = append(arms, base)
			case experiments.ArmFinetuned:
				arms = append(arms, graph.Ref(tuned, "model"))
			case experiments.ArmSO8T:
				arms = append(arms, graph.Ref(replaced, "model"))
			case experiments.ArmIdentity:
				untrained := cfg.SO8T
				untrained.Epochs = 0
				add(named(name), replace.Name, &replace.Body{
					Model: graph.Ref(tuned, "model"), Dataset: rowsOf, SO8T: untrained, Numbers: numbers, MaxLength: cfg.Data.MaxLength, Seed: cfg.SeedOf(r),
				})
				arms = append(arms, graph.Ref(named(name), "model"))
			case experiments.ArmBurnedIn:
				add(named(burnin.Name), burnin.Name, &burnin.Body{Model: graph.Ref(replaced, "model"), AllowUnknownConfig: numbers.AllowUnknownConfig})
				arms = append(arms, graph.Ref(named(burnin.Name), "model"))
			}
		}
		add(test, abtest.Name, &abtest.Body{
			Arms:   arms,
			ModelA: inputOr(cfg.Test.ModelAPath, base), ModelB: inputOr(cfg.Test.ModelBPath, graph.Ref(replaced, "model")),
			TestData: inputOr(cfg.Test.TestDataPath, rowsOf), TrainData: rowsOf, Test: cfg.Test, FormatType: cfg.Data.FormatType,
			MaxLength: cfg.Data.MaxLength, Strict: cfg.Data.Strict, Numbers: numbers, Seed: cfg.Seeds().Eval, Look: look, Modules: modules,
		})
		tests = append(tests, test)
	}
	return tests
}

func inputOr(text string, in graph.Input) graph.Input {
	if text != "" {
		return graph.Literal(text)
	}
	return in
}

// baseOf looks for the base model: the commit of the Hub or the folder that model.base_model names. Where there is none,
// it gives the step that makes one from model.create, beside that folder, whose name carries its key so that no created
// model overwrites another.
func baseOf(cfg config.Pipeline, found sources, rows *dataset.Prepared) (*basemodel.Body, error) {
	c, named := cfg.Model.Create, cfg.Model.BaseModel
	if source, ok := found["model.base_model"]; ok {
		_, err := loadTokenizer(source.Dir)
		return nil, err
	}
	if exists(filepath.Join(named, model.ConfigFile)) {
		_, err := loadTokenizer(named)
		return nil, err
	}
	if c.Shape == "" {
		if !exists(named) {
			return nil, experiments.Errorf(experiments.CodeNotFound, "model.base_model: %s: no such folder; name a model in Hugging Face form, or give model.create.shape to make one", named)
		}
		return nil, experiments.Errorf(experiments.CodeInvalid, "model.base_model: %s has no config.json; it is not a model in Hugging Face form", named)
	}
	body := &basemodel.Body{
		Folder: named, Create: c, FormatType: cfg.Data.FormatType, Strict: cfg.Data.Strict, MaxLength: cfg.Data.MaxLength, Seed: cfg.Seeds().Train,
	}
	if c.Text != "" {
		return body, nil
	}
	var err error
	body.Docs, err = prompts(rows.Of(0), cfg.Data.FormatType)
	return body, err
}

// makePlan plans a configuration. device is the name of the device that computes.
func makePlan(ctx context.Context, cfg config.Pipeline, modules []Module, device string, found sources, tell Teller, list []graph.Kind, shared graph.Shared) (*graph.Plan, error) {
	g, err := fiveSteps(ctx, cfg, modules, found, tell)
	if err != nil {
		return nil, err
	}
	return g.Make(ctx, list, graph.Env{
		Dir: cfg.OutputDir, Device: device,
		Literal: func(ctx context.Context, takes []graph.Type, text string) (graph.Value, error) {
			v, err := found.literal(ctx, takes, text)
			return v, atKey(keyOfPath(cfg, takes, text), err)
		},
		Tell:   func(*graph.Planned) graph.Teller { return tell },
		Shared: shared,
	})
}

// keyOfPath is the configuration's key that names a model or a test set.
func keyOfPath(cfg config.Pipeline, takes []graph.Type, text string) string {
	if slices.Contains(takes, graph.Dataset) {
		return "test.test_data_path"
	}
	for _, p := range config.Paths(&cfg) {
		if p.Kind == config.ModelPath && p.Path == text {
			return p.Key
		}
	}
	return ""
}

// atKey puts a configuration's key before an error that names none.
func atKey(key string, err error) error {
	if err == nil || key == "" {
		return err
	}
	text := err.Error()
	if slices.ContainsFunc(config.Keys(), func(k string) bool { return strings.Contains(k, ".") && strings.Contains(text, k+":") }) {
		return err
	}
	return fmt.Errorf("%s: %w", key, err)
}

// literal says what a model's or a data set's name in a body stands for, and hashes it.
func (found sources) literal(_ context.Context, takes []graph.Type, text string) (graph.Value, error) {
	var err error
	v := graph.Value{Path: text}
	switch {
	case slices.Contains(takes, graph.Model):
		source := Source{Name: text, Dir: text}
		for _, s := range found {
			if s.Name == text {
				source = s
			}
		}
		if v.Key, err = source.key(); err == nil {
			_, err = loadTokenizer(source.Dir) // what is missing is said before anything is computed
		}
	case slices.Contains(takes, graph.Dataset):
		v.Key, err = hashTestData(text)
	default:
		err = experiments.Errorf(experiments.CodeInvalid, "%q: it comes from a step; write ${step.output}", text)
	}
	return v, err
}

// hashTestData hashes the files of a test set: the rows of a dataset folder, or the .jsonl files.
func hashTestData(path string) (string, error) {
	files, err := TestFiles(path)
	if err != nil {
		return "", err
	}
	if isDataset(path) {
		files = slices.DeleteFunc(files, func(name string) bool { return filepath.Ext(name) != ".arrow" })
	}
	return hashFiles(files...)
}

var _ dataset.Encoder = (*tokenizer.Tokenizer)(nil)
