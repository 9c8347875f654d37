package config

import "triality/experiments"

// FP8 is the value of model.quantization that holds linear modules in e4m3.
const FP8 = "fp8"

// Numbers is how every model of a run is held while it computes; it is part of the keys of what is computed.
type Numbers struct {
	LoadIn8bit         bool    `yaml:"load_in_8bit" doc:"as model.load_in_8bit"`
	FP16               bool    `yaml:"fp16" doc:"as training.fp16"`
	BF16               bool    `yaml:"bf16" doc:"as training.bf16"`
	TF32               bool    `yaml:"tf32" doc:"as training.tf32"`
	AllowUnknownConfig bool    `yaml:"allow_unknown_config" doc:"as model.allow_unknown_config"`
	Int8Threshold      float64 `yaml:"llm_int8_threshold" as:"model.llm_int8_threshold" doc:"as model.llm_int8_threshold"`
	Quantization       string  `yaml:"quantization" as:"model.quantization" doc:"as model.quantization"`
	// No result depends on the two below, and no key has them.
	GradientCheckpointing bool   `yaml:"gradient_checkpointing" doc:"as training.gradient_checkpointing"`
	CheckpointingPolicy   string `yaml:"gradient_checkpointing_policy" as:"training.gradient_checkpointing_policy" doc:"as training.gradient_checkpointing_policy"`
}

func (n Numbers) faults() (out []fault) {
	if n.FP16 && n.BF16 {
		out = append(out, fault{"fp16, bf16", "are both true: choose one"})
	}
	if n.LoadIn8bit && n.Quantization == FP8 {
		out = append(out, fault{"load_in_8bit, quantization", "are two ways to hold the same weights: choose one"})
	}
	return out
}

// WithTraining is how a training holds its model: what its own section says of numbers wins, and stands in one place.
func (n Numbers) WithTraining(t Training) (Numbers, error) {
	for _, p := range []struct {
		key          string
		mine, theirs bool
	}{{"fp16", n.FP16, t.FP16}, {"bf16", n.BF16, t.BF16}, {"tf32", n.TF32, t.TF32}, {"gradient_checkpointing", n.GradientCheckpointing, t.GradientCheckpointing}} {
		if p.mine && !p.theirs {
			return n, experiments.Errorf(experiments.CodeInvalid, "numbers.%[1]s: give training.%[1]s instead", p.key)
		}
	}
	n.FP16, n.BF16, n.TF32 = t.FP16, t.BF16, t.TF32
	n.GradientCheckpointing, n.CheckpointingPolicy = t.GradientCheckpointing, t.CheckpointingPolicy
	return n, nil
}

// Numbers is how the configuration holds models.
func (p Pipeline) Numbers() Numbers {
	return Numbers{
		LoadIn8bit: p.Model.LoadIn8bit, FP16: p.Training.FP16, BF16: p.Training.BF16, TF32: p.Training.TF32,
		AllowUnknownConfig: p.Model.AllowUnknownConfig, Int8Threshold: p.Model.Int8Threshold,
		Quantization:          p.Model.Quantization,
		GradientCheckpointing: p.Training.GradientCheckpointing, CheckpointingPolicy: p.Training.CheckpointingPolicy,
	}
}

// Parts are what a key hashes: what was added later is left out where it is unset, so that older keys hold.
func (n Numbers) Parts() []any {
	parts := []any{n.LoadIn8bit, n.FP16, n.BF16, n.TF32}
	if n.AllowUnknownConfig {
		parts = append(parts, "allow_unknown_config")
	}
	if n.LoadIn8bit {
		parts = append(parts, n.Int8Threshold)
	}
	if n.Quantization == FP8 {
		parts = append(parts, "quantization", n.Quantization)
	}
	return parts
}
