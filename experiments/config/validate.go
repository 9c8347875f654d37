package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"triality/experiments"
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

	check(p.Repeats < 2 || p.Test.Design.Looks != experiments.LooksAny, "repeats, test.design.looks", "any is of rows alone, and says nothing of other seeds: take once, or repeats: 1")
	check(p.Repeats < 2 || p.Test.ModelBPath == "", "repeats, test.model_b_path", "with a model B of your own nothing is trained that is compared: leave one out")
	for i, name := range p.Test.Arms {
		hint := ""
		if near, ok := Nearest(name, experiments.OtherArms()); ok {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		check(slices.Contains(experiments.OtherArms(), name), fmt.Sprintf("test.arms[%d]", i), "want one of %s, have %q%s", strings.Join(experiments.OtherArms(), ", "), name, hint)
		check(!slices.Contains(p.Test.Arms[:i], name), fmt.Sprintf("test.arms[%d]", i), "%s is given twice", name)
		check(name != experiments.Arm8bit || !p.Model.LoadIn8bit && p.Model.Quantization != FP8, fmt.Sprintf("test.arms[%d]", i), "8bit: the models are held in 8 bits already")
	}
	check(p.Model.BaseModel != "", "model.base_model", "is needed: a folder with config.json, model.safetensors and tokenizer.json, or org/name of the Hub")
	check(p.Training.FinetuningType == "lora" || !p.Model.LoadIn8bit, "training.finetuning_type", "full trains the weights themselves, which model.load_in_8bit freezes: choose one")
	check(p.Training.FinetuningType == "lora" || p.Model.Quantization != FP8, "training.finetuning_type", "full trains the weights themselves, which model.quantization freezes: choose one")
	check(!p.Model.LoadIn8bit || p.Model.Quantization != FP8, "model.load_in_8bit, model.quantization", "are two ways to hold the same weights: choose one")
	for _, f := range slices.Concat(under("data", p.Data.faults()), under("training", p.Training.faults()), under("test", p.Test.faults())) {
		out = append(out, fmt.Sprintf("%s: %s: %s", file, f.key, f.text))
	}
	return out
}

// fault is what is wrong with a key's value.
type fault struct{ key, text string }

// faulty is a section whose keys depend on each other.
type faulty interface{ faults() []fault }

// under puts a section before the keys of faults; several keys are named in one, joined by commas.
func under(section string, list []fault) []fault {
	for i, f := range list {
		list[i].key = section + "." + strings.ReplaceAll(f.key, ", ", ", "+section+".")
	}
	return list
}

func (d Data) faults() (out []fault) {
	if d.InputPath == "" {
		out = append(out, fault{"input_path", "is needed: a .jsonl file, a folder or a glob pattern"})
	}
	if !(d.ValRatio+d.TestRatio < 1) {
		out = append(out, fault{"val_ratio, test_ratio", fmt.Sprintf("must sum to less than 1, are %v and %v", d.ValRatio, d.TestRatio)})
	}
	return out
}

func (t Training) faults() (out []fault) {
	if t.FP16 && t.BF16 {
		out = append(out, fault{"fp16, bf16", "are both true: choose one"})
	}
	if t.Devices > 1 && t.GradientAccumulation%t.Devices != 0 {
		out = append(out, fault{"devices, gradient_accumulation_steps", fmt.Sprintf("%d devices cannot share %d micro-batches of a step evenly: give a multiple", t.Devices, t.GradientAccumulation)})
	}
	out = append(out, t.choiceFaults()...)
	c := t.LoRA()
	if c == nil {
		return out
	}
	if err := c.Validate(); err != nil {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			key, text, _ := strings.Cut(text, ": ")
			out = append(out, fault{key, text})
		}
	}
	return out
}

func (t Test) faults() (out []fault) {
	add := func(ok bool, key, format string, args ...any) {
		if !ok {
			out = append(out, fault{key, fmt.Sprintf(format, args...)})
		}
	}
	g := t.Generate
	unset := g
	unset.Stop = nil // a list without items is none
	add(!g.IsZero() || len(g.Stop) == 0 && reflect.ValueOf(unset).IsZero(), "generate.max_new_tokens", "is needed: how many tokens a text may have")
	add(!slices.Contains(g.Stop, ""), "generate.stop", "an empty text would end every answer before it starts")
	if err := (generate.Sampling{Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, RepetitionPenalty: g.RepetitionPenalty}).Check(); err != nil {
		add(false, "generate", "%v", err)
	}
	add(t.FalseAllowLimit == 0 || t.Thresholds == experiments.ThresholdsFalseAllow, "false_allow_limit", "is of test.thresholds: false_allow, not of %s", t.Thresholds)
	for i, m := range t.Metrics {
		for _, f := range m.faults() {
			add(false, fmt.Sprintf("metrics[%d].%s", i, f.key), "%s", f.text)
		}
	}
	return append(out, designFaults(t.Design)...)
}

func (m Metric) faults() (out []fault) {
	if m.Module == "" {
		out = append(out, fault{"module", "is needed: a .wasm file or an uploaded module's SHA-256"})
	}
	if err := CheckSlices(m.Slices); err != nil {
		out = append(out, fault{"slices", err.Error()})
	}
	return out
}
