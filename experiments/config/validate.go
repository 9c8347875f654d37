package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"triality/runtime/generate"
)

// maxSlices is how many columns a metric's rows may be sliced by.
const maxSlices = 8

// CheckSlices refuses a list of columns to slice by that is too long or names one twice.
func CheckSlices(columns []string) error {
	switch {
	case len(columns) > maxSlices:
		return fmt.Errorf("%d columns, at most %d", len(columns), maxSlices)
	case slices.Contains(columns, ""):
		return fmt.Errorf("a column's name is empty")
	case len(columns) != len(slices.Compact(slices.Sorted(slices.Values(columns)))):
		return fmt.Errorf("a column is named twice: %q", columns)
	}
	return nil
}

// problems lists what is wrong with the values, each with its key and what is wanted.
func (p *Pipeline) problems(file string) []string {
	var out []string
	check := func(ok bool, key, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf("%s: %s: ", file, key)+fmt.Sprintf(format, args...))
		}
	}
	// Numbers have an upper bound too: one past what counters hold would wrap round and "finish" at once.
	const most, mostCount, fewest = 1_000_000, 1_000_000_000, 1e-6
	positive := func(key string, v float64) {
		check(v > 0, key, "must be over 0, is %v", v)
		check(!(v > most), key, "must be at most %d, is %v", most, v)
	}
	atLeast := func(key string, v, low float64) {
		check(v >= low, key, "must be at least %v, is %v", low, v)
		check(!(v > mostCount), key, "must be at most %d, is %v", mostCount, v)
	}
	epochs := func(key string, v, low float64) {
		check(v >= low, key, "must be at least %v passes over the data, is %v", low, v)
		check(!(v > most), key, "must be at most %d passes over the data, is %v", most, v)
	}

	for _, c := range Choices() {
		v := p.value(c.Key).String()
		check(slices.Contains(c.Values, v), c.Key, "want %s, have %q", strings.TrimPrefix(strings.Join(c.Values, ", "), ", "), v)
	}
	check(p.Name != "", "name", "must not be empty")
	check(p.OutputDir != "", "output_dir", "must not be empty")
	atLeast("threads", float64(p.Threads), 0)

	check(p.Data.InputPath != "", "data.input_path", "is needed: a .jsonl file, a folder or a glob pattern")
	atLeast("data.max_length", float64(p.Data.MaxLength), 16)
	check(p.Data.ValRatio >= 0 && p.Data.TestRatio >= 0 && p.Data.ValRatio+p.Data.TestRatio < 1,
		"data.val_ratio, data.test_ratio", "must be at least 0 and sum to less than 1, are %v and %v", p.Data.ValRatio, p.Data.TestRatio)

	check(p.Model.BaseModel != "", "model.base_model", "is needed: a folder with config.json, model.safetensors and tokenizer.json, or org/name of the Hub")
	atLeast("model.llm_int8_threshold", p.Model.Int8Threshold, 0)
	if c := p.Model.Create; c.Shape != "" {
		atLeast("model.create.vocab_size", float64(c.VocabSize), 300)
		epochs("model.create.num_train_epochs", c.Epochs, 0)
		positive("model.create.learning_rate", c.LearningRate)
		atLeast("model.create.per_device_train_batch_size", float64(c.BatchSize), 1)
	}

	t := p.Training
	epochs("training.num_train_epochs", t.Epochs, fewest)
	atLeast("training.per_device_train_batch_size", float64(t.BatchSize), 1)
	atLeast("training.per_device_eval_batch_size", float64(t.EvalBatchSize), 1)
	atLeast("training.gradient_accumulation_steps", float64(t.GradientAccumulation), 1)
	positive("training.learning_rate", t.LearningRate)
	atLeast("training.weight_decay", t.WeightDecay, 0)
	check(t.WarmupRatio >= 0 && t.WarmupRatio <= 1, "training.warmup_ratio", "must lie between 0 and 1, is %v", t.WarmupRatio)
	atLeast("training.max_grad_norm", t.MaxGradNorm, 0)
	atLeast("training.logging_steps", float64(t.LoggingSteps), 1)
	atLeast("training.save_steps", float64(t.SaveSteps), 0)
	atLeast("training.save_total_limit", float64(t.SaveTotalLimit), 0)
	atLeast("training.eval_steps", float64(t.EvalSteps), 0)
	check(t.FinetuningType == "lora" || !p.Model.LoadIn8bit, "training.finetuning_type", "full trains the weights themselves, which model.load_in_8bit freezes: choose one")
	check(!t.FP16 || !t.BF16, "training.fp16, training.bf16", "are both true: choose one")
	if c := t.LoRA(); c != nil {
		if err := c.Validate(); err != nil {
			for fault := range strings.SplitSeq(err.Error(), "\n") {
				out = append(out, fmt.Sprintf("%s: training.%s", file, fault))
			}
		}
	}

	epochs("so8t.num_train_epochs", p.SO8T.Epochs, 0)
	positive("so8t.learning_rate", p.SO8T.LearningRate)
	atLeast("so8t.per_device_train_batch_size", float64(p.SO8T.BatchSize), 1)
	atLeast("so8t.pet_lambda", p.SO8T.PETLambda, 0)
	atLeast("so8t.head_weight", p.SO8T.HeadWeight, 0)

	atLeast("test.warmup", float64(p.Test.Warmup), 0)
	check(p.Test.Resamples >= 100 && p.Test.Resamples <= 100000, "test.bootstrap_resamples", "must lie between 100 and 100000, is %d", p.Test.Resamples)
	g := p.Test.Generate
	atLeast("test.generate.max_new_tokens", float64(g.MaxNewTokens), 0)
	unset := g
	unset.Stop = nil // a list without items is none
	check(!g.IsZero() || len(g.Stop) == 0 && reflect.ValueOf(unset).IsZero(), "test.generate.max_new_tokens", "is needed: how many tokens a text may have")
	atLeast("test.generate.batch_size", float64(g.BatchSize), 0)
	check(!slices.Contains(g.Stop, ""), "test.generate.stop", "an empty text would end every answer before it starts")
	if err := (generate.Sampling{Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, RepetitionPenalty: g.RepetitionPenalty}).Check(); err != nil {
		check(false, "test.generate", "%v", err)
	}
	for i, m := range p.Test.Metrics {
		check(m.Module != "", fmt.Sprintf("test.metrics[%d].module", i), "is needed: a .wasm file or an uploaded module's SHA-256")
		if err := CheckSlices(m.Slices); err != nil {
			check(false, fmt.Sprintf("test.metrics[%d].slices", i), "%v", err)
		}
	}
	return out
}
