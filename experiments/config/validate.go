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
	for _, r := range ranges() {
		v := number(p.value(r.key))
		check(r.holds(v), r.key, "must %s, is %v", r, v)
	}
	for _, c := range Choices() {
		v := p.value(c.Key).String()
		check(slices.Contains(c.Values, v), c.Key, "want %s, have %q", strings.TrimPrefix(strings.Join(c.Values, ", "), ", "), v)
	}
	check(p.Name != "", "name", "must not be empty")
	check(p.OutputDir != "", "output_dir", "must not be empty")

	check(p.Data.InputPath != "", "data.input_path", "is needed: a .jsonl file, a folder or a glob pattern")
	check(p.Data.ValRatio+p.Data.TestRatio < 1, "data.val_ratio, data.test_ratio", "must sum to less than 1, are %v and %v", p.Data.ValRatio, p.Data.TestRatio)

	check(p.Model.BaseModel != "", "model.base_model", "is needed: a folder with config.json, model.safetensors and tokenizer.json, or org/name of the Hub")

	t := p.Training
	check(t.FinetuningType == "lora" || !p.Model.LoadIn8bit, "training.finetuning_type", "full trains the weights themselves, which model.load_in_8bit freezes: choose one")
	check(t.FinetuningType == "lora" || p.Model.Quantization != FP8, "training.finetuning_type", "full trains the weights themselves, which model.quantization freezes: choose one")
	check(!p.Model.LoadIn8bit || p.Model.Quantization != FP8, "model.load_in_8bit, model.quantization", "are two ways to hold the same weights: choose one")
	check(!t.FP16 || !t.BF16, "training.fp16, training.bf16", "are both true: choose one")
	if c := t.LoRA(); c != nil {
		if err := c.Validate(); err != nil {
			for fault := range strings.SplitSeq(err.Error(), "\n") {
				out = append(out, fmt.Sprintf("%s: training.%s", file, fault))
			}
		}
	}

	g := p.Test.Generate
	unset := g
	unset.Stop = nil // a list without items is none
	check(!g.IsZero() || len(g.Stop) == 0 && reflect.ValueOf(unset).IsZero(), "test.generate.max_new_tokens", "is needed: how many tokens a text may have")
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
