package config

import (
	"reflect"
	"strings"

	"triality/experiments"
	"triality/runtime/model"
)

// Choice is a key that takes one of a few values.
type Choice struct {
	Key    string
	Values []string // empty text among them: the key may be left empty
}

// Choices lists the keys that take one of a few values, in the order of the struct. Parse holds a
// configuration to it, and a test runs a pipeline with every value.
func Choices() []Choice {
	shapes := []string{""}
	for _, s := range model.Shapes() {
		shapes = append(shapes, s.Name)
	}
	return []Choice{
		{"device", []string{"auto", "cpu", "cuda"}},
		{"data.format_type", []string{"instruction", "chat", "completion"}},
		{"data.audit", []string{"", "off", "warn", "redact", "refuse"}},
		{"model.create.shape", shapes},
		{"model.quantization", []string{"none", FP8}},
		{"training.lr_scheduler_type", []string{"cosine", "linear", "constant"}},
		{"training.metric_for_best", EvalMetrics()},
		{"training.gradient_checkpointing_policy", []string{"layer", "selective"}},
		{"training.optim", []string{"adamw_torch", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit"}},
		{"training.finetuning_type", []string{"lora", "full"}},
		{"test.calibration", []string{"none", "temperature"}},
		{"test.thresholds", []string{experiments.ThresholdsNone, experiments.ThresholdsAccuracy, experiments.ThresholdsMacroF1, experiments.ThresholdsFalseAllow}},
		{"test.design.claim", []string{experiments.ClaimSuperiority, experiments.ClaimNonInferiority, experiments.ClaimEquivalence}},
		{"test.design.looks", []string{experiments.LooksOnce, experiments.LooksAny}},
		{"report.language", []string{"en", "ja"}},
	}
}

// value is a key's field.
func (p *Pipeline) value(key string) reflect.Value {
	v := reflect.ValueOf(p).Elem()
	for part := range strings.SplitSeq(key, ".") {
		v, _ = fieldByKey(v, part)
	}
	return v
}
