package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/runtime/model"
	"triality/runtime/tokenizer"
)

// step is one planned step of a run: its key, its folder and whether a finished result is there.
type step struct {
	kind experiments.StepKind
	key  string
	dir  string
	done *marker // nil when the step has to run
}

// plan is everything that a configuration decides before any work: the rows, the keys and the
// folders. A key hashes what the step's result depends on and nothing else, so that changing one
// configuration key reruns just what depends on it.
type plan struct {
	cfg     config.Pipeline
	rows    *dataset.Prepared
	base    string // the base model: its folder, or "org/name@commit"
	sources sources
	docs    []string
	device  string
	modules []Module
	steps   []*step
}

func (p *plan) step(kind experiments.StepKind) *step {
	for _, s := range p.steps {
		if s.kind == kind {
			return s
		}
	}
	return nil
}

// dir is the folder of a step that the plan has.
func (p *plan) dir(kind experiments.StepKind) string { return p.step(kind).dir }

// makePlan reads the inputs and computes the keys. device is the name of the device that computes:
// what is trained on one differs in its last bits from what is trained on another.
func makePlan(ctx context.Context, cfg config.Pipeline, modules []Module, device string, found sources, tell Teller) (*plan, error) {
	p := &plan{cfg: cfg, modules: modules, device: device, sources: found}
	var err error
	if p.rows, err = dataset.Prepare(ctx, convertOptions(cfg.Data, cfg.Seed), tell); err != nil {
		return nil, trainError(err)
	}
	inputs := p.rows.Digest // of what was read, not of what the files may be by now
	baseKey, err := p.planBase(ctx, tell)
	if err != nil {
		return nil, err
	}

	data := cfg.Data
	data.InputPath, data.Strict = "", false // the content decides, not the path; strict refuses or changes nothing
	convert, err := p.add(experiments.StepConvert, inputs, data, cfg.Seed, baseKey)
	if err != nil {
		return nil, err
	}
	training := cfg.Training
	training.SaveSteps, training.SaveTotalLimit, training.CheckpointInterval = 0, 0, 0 // no result depends on these
	// Every model of the run is held as these say.
	numbers := []any{cfg.Model.LoadIn8bit, training.FP16, training.BF16, training.TF32}
	if cfg.Model.AllowUnknownConfig {
		numbers = append(numbers, "allow_unknown_config")
	}
	if cfg.Model.LoadIn8bit {
		numbers = append(numbers, cfg.Model.Int8Threshold)
	}
	finetune, err := p.add(experiments.StepFinetune, convert, baseKey, training, cfg.Seed, device, numbers)
	if err != nil {
		return nil, err
	}
	replace, err := p.add(experiments.StepReplace, finetune, convert, cfg.SO8T, cfg.Seed, device, numbers)
	if err != nil {
		return nil, err
	}

	modelA, modelB, test := baseKey, replace, convert
	for _, m := range []struct {
		name, path string
		key        *string
	}{{"test.model_a_path", cfg.Test.ModelAPath, &modelA}, {"test.model_b_path", cfg.Test.ModelBPath, &modelB}} {
		if m.path != "" {
			source, ok := found[m.name]
			if !ok {
				source.Dir = m.path
			}
			if *m.key, err = source.key(); err != nil {
				return nil, err
			}
		}
	}
	if path := cfg.Test.TestDataPath; path != "" {
		if test, err = hashTestData(path); err != nil {
			return nil, err
		}
		test += convert // its rows are checked against the training rows, which the floors are made of
	}
	compare := cfg.Test
	compare.Metrics = slices.Clone(compare.Metrics)
	for i, m := range modules {
		compare.Metrics[i].Module = m.SHA256 // here too
	}
	abtest, err := p.add(experiments.StepABTest, modelA, modelB, test, compare, cfg.Data.MaxLength, cfg.Data.FormatType, cfg.Seed, device, numbers)
	if err != nil {
		return nil, err
	}
	_, err = p.add(experiments.StepReport, abtest, convert, finetune, replace, cfg.Report, cfg.Name)
	return p, err
}

// add plans a step and looks for its finished result.
func (p *plan) add(kind experiments.StepKind, parts ...any) (key string, err error) {
	if key, err = keyOf(kind, parts...); err != nil {
		return "", err
	}
	p.addAt(kind, key, filepath.Join(p.cfg.OutputDir, string(kind), short(key)))
	return key, nil
}

func (p *plan) addAt(kind experiments.StepKind, key, dir string) {
	s := &step{kind: kind, key: key, dir: dir}
	if m, ok := finished(dir, key); ok {
		s.done = &m
	}
	p.steps = append(p.steps, s)
}

// planBase finds the base model: the commit of the Hub or the folder that model.base_model names, or beside it one made from
// model.create, whose name carries its key so that no created model overwrites another.
func (p *plan) planBase(ctx context.Context, tell Teller) (key string, err error) {
	c, named := p.cfg.Model.Create, p.cfg.Model.BaseModel
	if source, ok := p.sources["model.base_model"]; ok {
		p.base = source.Name
		if _, err := loadTokenizer(source.Dir); err != nil {
			return "", err
		}
		return source.key()
	}
	if exists(filepath.Join(named, model.ConfigFile)) {
		p.base = named
		if _, err := loadTokenizer(named); err != nil {
			return "", err
		}
		return hashModel(named)
	}
	if c.Shape == "" {
		if !exists(named) {
			return "", experiments.Errorf(experiments.CodeNotFound, "model.base_model: %s: no such folder; name a model in Hugging Face form, or give model.create.shape to make one", named)
		}
		return "", experiments.Errorf(experiments.CodeInvalid, "model.base_model: %s has no config.json; it is not a model in Hugging Face form", named)
	}
	if c.Text != "" {
		p.docs, err = PretrainText(ctx, c.Text, p.cfg.Data.FormatType, p.cfg.Data.Strict, tell)
	} else {
		p.docs, err = prompts(p.rows.Of(0), p.cfg.Data.FormatType)
	}
	if err != nil {
		return "", err
	}
	c.Text = ""
	if key, err = keyOf(experiments.StepBase, p.docs, c, p.cfg.Data.MaxLength, p.cfg.Seed, p.device); err != nil {
		return "", err
	}
	p.base = filepath.Clean(named) + "-" + short(key)
	p.addAt(experiments.StepBase, key, p.base)
	return key, nil
}

// allDone says whether every step has a finished result.
func (p *plan) allDone() bool {
	for _, s := range p.steps {
		if s.done == nil {
			return false
		}
	}
	return true
}

func convertOptions(d config.Data, seed uint64) dataset.Options {
	return dataset.Options{
		InputPath: d.InputPath, Format: d.FormatType, MaxLength: d.MaxLength,
		ValRatio: d.ValRatio, TestRatio: d.TestRatio, Seed: seed, Strict: d.Strict,
	}
}

// hashTestData hashes the files of a test set: a dataset folder's, or the .jsonl files.
func hashTestData(path string) (string, error) {
	if isDataset(path) {
		files, err := filepath.Glob(filepath.Join(path, "*", "*.arrow"))
		if err != nil {
			return "", fmt.Errorf("hash test data: %w", err)
		}
		return hashFiles(files...)
	}
	files, err := dataset.Find(path)
	if err != nil {
		return "", err
	}
	return hashFiles(files...)
}

var _ dataset.Encoder = (*tokenizer.Tokenizer)(nil)
