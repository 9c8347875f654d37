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
	AlphaPattern      byKey[float64] `json:"alpha_pattern"`
	AutoMapping       any            `json:"auto_mapping"`
	BaseModel         string         `json:"base_model_name_or_path"`
	Bias              string         `json:"bias"`
	ExcludeModules    any            `json:"exclude_modules"`
	FanInFanOut       bool           `json:"fan_in_fan_out"`
	InferenceMode     bool           `json:"inference_mode"`
	InitLoraWeights   any            `json:"init_lora_weights"`
	LayersPattern     any            `json:"layers_pattern"`
	LayersToTransform any            `json:"layers_to_transform"`
	LoftqConfig       map[string]any `json:"loftq_config"`
	LoraAlpha         float64        `json:"lora_alpha"`
	LoraDropout       float64        `json:"lora_dropout"`
	ModulesToSave     any            `json:"modules_to_save"`
	PeftType          string         `json:"peft_type"`
	PeftVersion       string         `json:"peft_version"`
	R                 int            `json:"r"`
	RankPattern       byKey[int]     `json:"rank_pattern"`
	Revision          any            `json:"revision"`
	TargetModules     any            `json:"target_modules"`
	TaskType          string         `json:"task_type"`
	UseDora           bool           `json:"use_dora"`
	UseRslora         bool           `json:"use_rslora"`
}

func formatPEFT(c Config, base string) ([]byte, error) {
	p := peftConfig{
		AlphaPattern: c.AlphaPattern, BaseModel: base, Bias: "none", InferenceMode: true, InitLoraWeights: true,
		LoftqConfig: map[string]any{}, LoraAlpha: c.Alpha, LoraDropout: c.Dropout, PeftType: "LORA", PeftVersion: peftVersion,
		R: c.R, RankPattern: c.RankPattern, TaskType: "CAUSAL_LM", UseRslora: c.RSLoRA, UseDora: c.DoRA,
		TargetModules: listOr(c.TargetModules, c.TargetPattern), ExcludeModules: listOr(c.ExcludeModules, c.ExcludePattern),
		ModulesToSave: listOr(c.SaveModules, ""), LayersPattern: listOr(c.LayersPattern, ""),
		LayersToTransform: listOr(c.Layers, ""),
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	return append(raw, '\n'), err
}

// listOr is a field of peft's that is a list, one text, or null.
func listOr[T any](list []T, text string) any {
	switch {
	case text != "":
		return text
	case len(list) > 0:
		return list
	}
	return nil
}

// ErrUnsupported names a feature of a peft adapter that this package does not apply.
var ErrUnsupported = errors.New("adapter feature is not supported")

// plain lists, for the adapter_config.json fields that change what an adapter computes, the values
// that leave it the plain LoRA of this package. Everything else in them is refused.
var plain = map[string][]string{
	"peft_type":               {`"LORA"`},
	"bias":                    {`"none"`, "null"},
	"fan_in_fan_out":          {"false", "null"},
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
		BaseModel   *string         `json:"base_model_name_or_path"`
		R           int             `json:"r"`
		LoraAlpha   *float64        `json:"lora_alpha"`
		LoraDropout float64         `json:"lora_dropout"`
		UseRslora   bool            `json:"use_rslora"`
		UseDora     bool            `json:"use_dora"`
		Targets     textList        `json:"target_modules"`
		Excluded    textList        `json:"exclude_modules"`
		Save        textList        `json:"modules_to_save"`
		Layers      json.RawMessage `json:"layers_to_transform"`
		Pattern     textList        `json:"layers_pattern"`
		Ranks       byKey[int]      `json:"rank_pattern"`
		Alphas      byKey[float64]  `json:"alpha_pattern"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return c, "", err
	}
	if p.LoraAlpha == nil {
		return c, "", errors.New("lora_alpha is missing")
	}
	c = Config{
		R: p.R, Alpha: *p.LoraAlpha, Dropout: p.LoraDropout, RSLoRA: p.UseRslora, DoRA: p.UseDora,
		TargetModules: p.Targets.list, TargetPattern: p.Targets.text, ExcludeModules: p.Excluded.list, ExcludePattern: p.Excluded.text,
		SaveModules: p.Save.list, LayersPattern: p.Pattern.list, RankPattern: p.Ranks, AlphaPattern: p.Alphas,
	}
	if c.TargetPattern == AllLinear {
		c.TargetModules, c.TargetPattern = []string{AllLinear}, ""
	}
	if p.Save.text != "" {
		return c, "", fmt.Errorf("modules_to_save is %q, want a list", p.Save.text)
	}
	if p.Pattern.text != "" {
		c.LayersPattern = []string{p.Pattern.text}
	}
	if c.Layers, err = layers(p.Layers); err != nil {
		return c, "", err
	}
	if len(c.TargetModules) == 0 && c.TargetPattern == "" {
		return c, "", errors.New("target_modules is missing")
	}
	if p.BaseModel != nil {
		base = *p.BaseModel
	}
	return c, base, c.Validate()
}

// textList is a list of texts, or one text.
type textList struct {
	list []string
	text string
}

// UnmarshalJSON reads either.
func (t *textList) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &t.text) == nil {
		return nil
	}
	return json.Unmarshal(raw, &t.list)
}

// layers reads one number or a list of them.
func layers(raw json.RawMessage) ([]int, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var one *int
	if json.Unmarshal(raw, &one) == nil {
		if one == nil {
			return nil, nil
		}
		return []int{*one}, nil
	}
	var list []int
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("layers_to_transform: %w", err)
	}
	return list, nil
}

// byKey is an object whose order counts, as it does to peft.
type byKey[T any] []Pattern[T]

// MarshalJSON writes an object in its order.
func (o byKey[T]) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, p := range o {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := json.Marshal(p.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(p.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads an object in its order.
func (o *byKey[T]) UnmarshalJSON(raw []byte) error {
	var values map[string]T
	if err := json.Unmarshal(raw, &values); err != nil || values == nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return err
		}
		at := slices.IndexFunc(*o, func(p Pattern[T]) bool { return p.Key == name })
		if at < 0 {
			*o = append(*o, Pattern[T]{name, values[name]})
		}
	}
	return nil
}
