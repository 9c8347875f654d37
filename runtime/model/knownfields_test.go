package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAFieldThatNothingKnowsIsRefusedByName(t *testing.T) {
	for extra, want := range map[string]string{
		`"embedding_multiplier": 12.0`:    "embedding_multiplier (12.0)",
		`"residual_multiplier": 0.22`:     "residual_multiplier",
		`"attention_multiplier": 0.0078`:  "attention_multiplier",
		`"logits_scaling": 16`:            "logits_scaling",
		`"final_logit_softcapping": 30.0`: "final_logit_softcapping",
		`"attn_logit_softcapping": 50.0`:  "attn_logit_softcapping",
		`"num_experts": 8`:                "num_experts",
		`"bias": true`:                    "bias (true)",
		`"rope_interleaved": true`:        "rope_interleaved",
		`"use_qk_norm": true`:             "use_qk_norm",
		`"no_rope_layers": [1, 0]`:        "no_rope_layers",
		`"partial_rotary_dim": 4`:         "partial_rotary_dim",
		`"norm_type": "layernorm"`:        "norm_type",
		`"kept": {"a": [1, 2]}`:           "kept",
		`"is_encoder_decoder": true`:      "is_encoder_decoder",
		`"Vocab_Size": 7`:                 "Vocab_Size",
		`"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "mrope_section": [1, 1]}`: "rope_scaling.mrope_section",
		`"rope_parameters": {"rope_type": "default", "llama_4_scaling_beta": 0.1}`:                                                         "rope_parameters.llama_4_scaling_beta (0.1)",
		`"model_type": "qwen2", "attention_bias": true`:                                                                                    "attention_bias",
		`"model_type": "mistral", "embedding_multiplier": 2, "z": 1`:                                                                       "embedding_multiplier (2), z (1)",
	} {
		_, err := ParseConfig(with(extra))
		var unknown *UnknownFieldsError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--allow-unknown-config") {
			t.Errorf("%s gives %v, want %s refused", extra, err, want)
		}
		if _, err := ParseConfig(with(extra), AllowUnknown(false)); err == nil {
			t.Errorf("%s: a switch that is off allows it", extra)
		}
		c, err := ParseConfig(with(extra), AllowUnknown(true))
		if err != nil || len(c.Ignored) == 0 || !strings.Contains(want, c.Ignored[0]) {
			t.Errorf("%s where that is allowed: ignored %v, %v", extra, c.Ignored, err)
		}
	}
}

func TestAFieldWithoutEffectIsNotRefused(t *testing.T) {
	for _, extra := range []string{
		`"embedding_multiplier": 1.0, "residual_multiplier": 1, "logits_scaling": 1.0`, `"unheard_of": null`,
		`"use_cache": false, "temperature": 0.7, "id2label": {"0": "x"}, "_name_or_path": "x", "auto_map": {"AutoConfig": "a.B"}`,
		`"is_llama_config": true, "rope_interleaved": false, "transformers.js_config": {"dtype": "q4"}`,
		`"model_type": "mistral", "attention_bias": false`, `"num_experts": 0`, `"attention_dropout": 0.0`, `"hidden_dropout": 0`,
		`"rope_scaling": {"type": "linear", "factor": 2.0, "llama_4_scaling_beta": 0}`, `"classifier_dropout": null`,
		`"pretraining_tp": 2, "unsloth_fixed": true, "max_sequence_length": 2048`,
	} {
		if c, err := ParseConfig(with(extra)); err != nil || c.Ignored != nil || c.Dropouts != nil {
			t.Errorf("%s: %v, ignored %v, dropouts %v", extra, err, c.Ignored, c.Dropouts)
		}
	}
}

func TestAModelWrittenFromOneThatWasAllowedIsReadAgain(t *testing.T) {
	c, err := ParseConfig(with(`"embedding_multiplier": 12.0`), AllowUnknown(true))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(dir)
	if err != nil || !slices.Equal(got.Ignored, []string{"embedding_multiplier"}) {
		t.Errorf("ignored %v, %v", got.Ignored, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	// But no other field than those that were allowed.
	more := strings.Replace(string(raw), "{", `{"logits_scaling": 3,`, 1)
	if _, err := ParseConfig([]byte(more)); err == nil || !strings.Contains(err.Error(), "logits_scaling") {
		t.Errorf("another field: %v", err)
	}
}

func TestTrainingIsRefusedWhereConfigAsksForDropout(t *testing.T) {
	for _, field := range []string{"attention_dropout", "resid_pdrop", "embd_pdrop", "hidden_dropout"} {
		text := with(fmt.Sprintf(`"%s": 0.5`, field))
		c, err := ParseConfig(text)
		if err != nil {
			t.Fatalf("inference with %s: %v", field, err)
		}
		if want := map[string]float64{field: 0.5}; !reflect.DeepEqual(c.Dropouts, want) {
			t.Errorf("dropouts %v, want %v", c.Dropouts, want)
		}
		if err := c.CheckTrainable(); err == nil || !strings.Contains(err.Error(), field+" is 0.5") {
			t.Errorf("%s: %v", field, err)
		}
		if c, err = ParseConfig(text, AllowUnknown(true)); err != nil || c.CheckTrainable() != nil {
			t.Errorf("%s where that is allowed: %v, %v", field, err, c.CheckTrainable())
		}
	}
}

func TestAFamilyThatIsNearIsRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		`"model_type": "qwen3_moe"`:                    "experts",
		`"model_type": "mixtral"`:                      "experts",
		`"model_type": "granite", "logits_scaling": 0`: "logits_scaling",
		`"model_type": "granitemoehybrid"`:             "num_local_experts is 8",
		`"model_type": "granitemoehybrid", "num_local_experts": 0, "layer_types": ["attention", "mamba"]`:                                         `layer_types[1] is "mamba"`,
		`"model_type": "granitemoehybrid", "num_local_experts": 0, "layer_types": ["attention", "attention"], "position_embedding_type": "alibi"`: "position_embedding_type",
		`"model_type": "granitemoehybrid", "num_local_experts": 0, "layer_types": ["attention", "attention"], "sliding_window": 4`:                "have no sliding window",
		`"model_type": "smollm3", "no_rope_layers": [1]`:                                                                                          "no_rope_layers lists 1",
		`"model_type": "smollm3", "no_rope_layer_interval": 0`:                                                                                    "no_rope_layer_interval",
		`"model_type": "ministral3"`: "rope_parameters is missing",
		`"model_type": "ministral3", "rope_parameters": {"rope_type": "default", "llama_4_scaling_beta": 0.1}`: "original_max_position_embeddings",
		`"model_type": "phi3", "partial_rotary_factor": 0.1`:                                                   "partial_rotary_factor",
		`"model_type": "phi3", "partial_rotary_factor": 1.5`:                                                   "partial_rotary_factor",
		`"model_type": "qwen3", "partial_rotary_factor": 0.5`:                                                  "partial_rotary_factor",
		`"model_type": "mistral3"`:                                                                             "text_config",
		`"model_type": "mistral3", "text_config": {"model_type": "bert"}`:                                      `"bert" is not supported`,
	} {
		if _, err := ParseConfig(with(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", text, err, want)
		}
	}
}
