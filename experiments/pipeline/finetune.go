package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/kinds/finetune"
	"triality/runtime/device/cpu"
	"triality/runtime/hub"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/train"
)

// FinetuneOptions configures Finetune.
type FinetuneOptions = finetune.Options

// FinetuneOutputs names the folders that Finetune writes: full fine-tuning has no adapter.
func FinetuneOutputs(t config.Training) []string { return finetune.Outputs(t) }

// Finetune trains a LoRA adapter on the train split and merges it, or every weight. A call that finds checkpoints of
// the same run in OutDir resumes.
func (e *Engine) Finetune(ctx context.Context, o FinetuneOptions, sink Sink) error {
	if has, want := len(e.devices()), max(1, o.Training.Devices); has != want {
		return experiments.Errorf(experiments.CodeInvalid, "training.devices: %d devices are to share a step, and this engine has %d", want, has)
	}
	unclaim, err := claim(o.OutDir)
	if err != nil {
		return err
	}
	defer unclaim()
	base, err := e.Locate(ctx, o.BaseModel, hub.ModelFiles, sink)
	if err != nil {
		return err
	}
	cfg, err := model.LoadConfig(base.Dir, e.Config...)
	if err == nil {
		err = cfg.CheckTrainable()
	}
	if err != nil {
		return invalid(err)
	}
	if _, err := loadTokenizer(base.Dir); err != nil {
		return err
	}
	weights, err := model.OpenFolder(base.Dir, cfg)
	if err != nil {
		return invalid(err)
	}
	defer weights.Close()
	splits, err := dataset.Open(o.Dataset)
	if err != nil {
		return err
	}
	trainSet, err := examples(splits, "train", o.Dataset, cfg.VocabSize)
	if err != nil {
		return err
	}
	var valSet []train.Example
	if splits["val"] != nil {
		if valSet, err = examples(splits, "val", o.Dataset, cfg.VocabSize); err != nil {
			return err
		}
	}
	opt := trainOptions(o.Training, o.MaxLength, o.Seed)
	opt.Storage, opt.Recompute = e.Storage, e.Recompute
	if err := e.choosing(&opt, base, o, trainSet, splits["train"], splits["val"], sink); err != nil {
		return err
	}
	what := "every weight"
	if opt.LoRA != nil {
		what = fmt.Sprintf("LoRA r=%d", opt.LoRA.R)
	}
	sink.Note(fmt.Sprintf("fine-tuning %s: %s parameters, %s, on %d training rows", cfg.ModelType, thousands(model.Elements(weights)), what, len(trainSet)))
	if n := len(e.devices()); n > 1 {
		sink.Note(fmt.Sprintf("%d devices share each step", n))
	}
	need, err := train.PlanMemory(e.Device, cfg, weights, trainSet, valSet, opt)
	if err != nil {
		return invalid(err)
	}
	how := e.trainAdvice("training", opt.BatchSize, o.MaxLength, opt.LoRA != nil)
	if opt.Scoring != nil {
		how[train.SharedActivations] = append(how[train.SharedActivations], "set training.eval_rows: 0")
	}
	release, err := e.reserve(need, how, sink)
	if err != nil {
		return err
	}
	defer release()
	obs := observe(sink, "train", "eval")
	result, err := train.Run(ctx, e.Device, cfg, reading(sink, "loading", model.WithContext(ctx, weights)), trainSet, valSet, filepath.Join(o.OutDir, "checkpoints"), opt, obs)
	if err = errors.Join(err, obs.err); err != nil {
		return trainError(err)
	}
	if c := choiceOf(&result.Result, or(o.Training.MetricForBest, config.EvalLoss)); c != nil {
		if err := obs.chosen(c, o.OutDir); err != nil {
			return err
		}
	}
	var merged model.Source = result.Params
	if a := result.Adapter; a != nil {
		if len(a.Unmatched) > 0 {
			sink.Note(fmt.Sprintf("the model has no module called %s", strings.Join(a.Unmatched, ", ")))
		}
		a.BaseModel = or(base.Repo, o.BaseModel) // peft finds a repository by its name
		if err := stageFolder(filepath.Join(o.OutDir, "adapter"), a.Write); err != nil {
			return err
		}
		host := cpu.New(cpu.Options{}) // the card may be full
		defer host.Close()
		var whole model.Source
		cfg, whole = a.Model(cfg, weights)
		if merged, err = a.Merge(host, whole); err != nil {
			return err
		}
	}
	out := filepath.Join(o.OutDir, "merged")
	if err := writeModel(ctx, out, base.Dir, cfg, reading(sink, "writing", merged), weights.DType()); err != nil {
		return err
	}
	return writeCard(out, "fine-tuned", base, o.Dataset)
}

// Merge folds an adapter folder into its base model and writes the result to out.
func Merge(ctx context.Context, base, adapter, out string, options ...model.Option) error {
	if exists(out) {
		return experiments.Errorf(experiments.CodeConflict, "%s exists; name another folder or delete it", out)
	}
	return mergeInto(ctx, base, adapter, out, func(w model.Source) model.Source { return w }, options...)
}

// mergeInto is Merge where an old folder is replaced; watched is told of the weights as they are read.
func mergeInto(ctx context.Context, base, adapter, out string, watched func(model.Source) model.Source, options ...model.Option) error {
	cfg, err := model.LoadConfig(base, options...)
	if err != nil {
		return invalid(err)
	}
	weights, err := model.OpenFolder(base, cfg)
	if err != nil {
		return invalid(err)
	}
	defer weights.Close()
	if _, err := loadTokenizer(base); err != nil {
		return err
	}
	a, err := lora.Read(adapter, cfg)
	if err != nil {
		return invalid(err)
	}
	host := cpu.New(cpu.Options{})
	defer host.Close()
	cfg, whole := a.Model(cfg, weights)
	merged, err := a.Merge(host, whole)
	if err != nil {
		return invalid(err)
	}
	return writeModel(ctx, out, base, cfg, watched(merged), weights.DType())
}

// examples gives a split as the trainer takes it.
func examples(splits map[string]*dataset.Stored, name, dir string, vocab int) ([]train.Example, error) {
	s := splits[name]
	if s == nil || len(s.Rows) == 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "dataset %s: the %s split is empty", dir, name)
	}
	if s.IDs == nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "dataset %s: it was not tokenized; run convert without --no-tokenize", dir)
	}
	out := make([]train.Example, len(s.IDs))
	for i := range out {
		for _, id := range s.IDs[i] {
			if int(id) >= vocab || id < 0 {
				return nil, experiments.Errorf(experiments.CodeInvalid,
					"dataset %s: split %s, row %d: token id %d, but the model has %d; convert with this model's tokenizer (--base-model)", dir, name, i, id, vocab)
			}
		}
		out[i] = train.Example{IDs: s.IDs[i], Labels: s.Labels[i]}
	}
	return out, nil
}

// trainOptions maps the configuration to the trainer's options.
func trainOptions(t config.Training, maxLength int, seed uint64) train.Options {
	o := train.DefaultOptions()
	o.Epochs, o.BatchSize, o.EvalBatchSize = t.Epochs, t.BatchSize, t.EvalBatchSize
	o.GradientAccumulation = t.GradientAccumulation
	o.LearningRate, o.WeightDecay, o.WarmupRatio, o.Scheduler = t.LearningRate, t.WeightDecay, t.WarmupRatio, t.Scheduler
	o.MaxGradNorm, o.LoggingSteps, o.EvalSteps = t.MaxGradNorm, t.LoggingSteps, t.EvalSteps
	o.SaveSteps, o.SaveTotalLimit, o.CheckpointInterval = t.SaveSteps, t.SaveTotalLimit, time.Duration(t.CheckpointInterval)
	o.Packing = packing(t.Packing, maxLength)
	o.Seed = seed
	o.Optimizer = Optimizer(t.Optim)
	o.LoRA = t.LoRA()
	return o
}

// packing is the trainer's option: the tokens of a sequence, 0 where rows are not put together.
func packing(on bool, maxLength int) int {
	if on {
		return maxLength
	}
	return 0
}

// Optimizer is the trainer's name of a training.optim, empty where there is none.
func Optimizer(optim string) string { return optimizers[optim] }

var optimizers = map[string]string{
	"adamw_torch": train.AdamW, "adamw_8bit": train.AdamW8bit, "paged_adamw_32bit": train.PagedAdamW, "paged_adamw_8bit": train.PagedAdamW8bit,
}
