package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// peftVersion is the version of peft whose adapter_config.json fields are written.
const peftVersion = "0.15.0"

// peftConfig is adapter_config.json. Fields are in the order of their names, as peft writes them.
type peftConfig struct {
	AlphaPattern      map[string]float64 `json:"alpha_pattern"`
	AutoMapping       any                `json:"auto_mapping"`
	BaseModel         string             `json:"base_model_name_or_path"`
	Bias              string             `json:"bias"`
	ExcludeModules    any                `json:"exclude_modules"`
	FanInFanOut       bool               `json:"fan_in_fan_out"`
	InferenceMode     bool               `json:"inference_mode"`
	InitLoraWeights   any                `json:"init_lora_weights"`
	LayersPattern     any                `json:"layers_pattern"`
	LayersToTransform any                `json:"layers_to_transform"`
	LoftqConfig       map[string]any     `json:"loftq_config"`
	LoraAlpha         float64            `json:"lora_alpha"`
	LoraDropout       float64            `json:"lora_dropout"`
	ModulesToSave     any                `json:"modules_to_save"`
	PeftType          string             `json:"peft_type"`
	PeftVersion       string             `json:"peft_version"`
	R                 int                `json:"r"`
	RankPattern       map[string]int     `json:"rank_pattern"`
	Revision          any                `json:"revision"`
	TargetModules     any                `json:"target_modules"`
	TaskType          string             `json:"task_type"`
	UseDora           bool               `json:"use_dora"`
	UseRslora         bool               `json:"use_rslora"`
}

func formatPEFT(c Config, base string) ([]byte, error) {
	raw, err := json.MarshalIndent(peftConfig{
		AlphaPattern: map[string]float64{}, BaseModel: base, Bias: "none", InferenceMode: true, InitLoraWeights: true,
		LoftqConfig: map[string]any{}, LoraAlpha: c.Alpha, LoraDropout: c.Dropout, PeftType: "LORA", PeftVersion: peftVersion,
		R: c.R, RankPattern: map[string]int{}, TargetModules: c.TargetModules, TaskType: "CAUSAL_LM", UseRslora: c.RSLoRA, UseDora: c.DoRA,
	}, "", "  ")
	return append(raw, '\n'), err
}

// ErrUnsupported names a feature of a peft adapter that this package does not apply.
var ErrUnsupported = errors.New("adapter feature is not supported")

// plain lists, for the adapter_config.json fields that change what an adapter computes, the values
// that leave it the plain LoRA of this package. Everything else in them is refused.
var plain = map[string][]string{
	"peft_type":               {`"LORA"`},
	"bias":                    {`"none"`, "null"},
	"fan_in_fan_out":          {"false", "null"},
	"modules_to_save":         {"null", "[]"},
	"rank_pattern":            {"{}", "null"},
	"alpha_pattern":           {"{}", "null"},
	"layers_to_transform":     {"null", "[]"},
	"layers_pattern":          {"null", "[]", `""`},
	"exclude_modules":         {"null", "[]", `""`},
	"init_lora_weights":       {"true", "false", "null", `"gaussian"`}, // the others change the base model too
	"megatron_config":         {"null"},
	"layer_replication":       {"null", "[]"},
	"trainable_token_indices": {"null", "[]"},
	"target_parameters":       {"null", "[]"},
	"use_qalora":              {"false", "null"},
	"lora_bias":               {"false", "null"},
	"corda_config":            {"null"},
	"eva_config":              {"null"},
	"alora_invocation_tokens": {"null", "[]"},
	"arrow_config":            {"null"},
	"ensure_weight_tying":     {"false", "null"},
	"lora_ga_config":          {"null"},
	"velora_config":           {"null"},
	"monteclora_config":       {"null"},
	"kasa_config":             {"null"},
	"use_bdlora":              {"null"},
}

// parsePEFT reads adapter_config.json.
func parsePEFT(raw []byte) (c Config, base string, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return c, "", err
	}
	var unsupported []error
	for name, values := range plain {
		raw, ok := fields[name]
		if !ok {
			if name == "peft_type" {
				return c, "", errors.New("peft_type is missing")
			}
			continue
		}
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return c, "", fmt.Errorf("%s: %w", name, err)
		}
		if !slices.Contains(values, b.String()) {
			unsupported = append(unsupported, fmt.Errorf("%w: %s: %s", ErrUnsupported, name, b.String()))
		}
	}
	if len(unsupported) > 0 {
		slices.SortFunc(unsupported, func(a, b error) int { return bytes.Compare([]byte(a.Error()), []byte(b.Error())) })
		return c, "", errors.Join(unsupported...)
	}
	var p struct {
		BaseModel     *string         `json:"base_model_name_or_path"`
		R             int             `json:"r"`
		LoraAlpha     *float64        `json:"lora_alpha"`
		LoraDropout   float64         `json:"lora_dropout"`
		UseRslora     bool            `json:"use_rslora"`
		UseDora       bool            `json:"use_dora"`
		TargetModules json.RawMessage `json:"target_modules"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return c, "", err
	}
	if p.LoraAlpha == nil {
		return c, "", errors.New("lora_alpha is missing")
	}
	c = Config{R: p.R, Alpha: *p.LoraAlpha, Dropout: p.LoraDropout, RSLoRA: p.UseRslora, DoRA: p.UseDora}
	if len(p.TargetModules) == 0 {
		return c, "", errors.New("target_modules is missing")
	}
	var one string
	if json.Unmarshal(p.TargetModules, &one) == nil {
		if one != AllLinear {
			return c, "", fmt.Errorf("%w: target_modules: the pattern %q (a list is)", ErrUnsupported, one)
		}
		c.TargetModules = []string{one}
	} else if err := json.Unmarshal(p.TargetModules, &c.TargetModules); err != nil {
		return c, "", fmt.Errorf("target_modules: %w", err)
	}
	if p.BaseModel != nil {
		base = *p.BaseModel
	}
	return c, base, c.Validate()
}
