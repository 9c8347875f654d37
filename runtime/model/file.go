package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// file is config.json's fields; a pointer tells absent (or null) from zero.
type file struct {
	ModelType        *string          `json:"model_type"`
	VocabSize        *int             `json:"vocab_size"`
	HiddenSize       *int             `json:"hidden_size"`
	IntermediateSize *int             `json:"intermediate_size"`
	Layers           *int             `json:"num_hidden_layers"`
	Heads            *int             `json:"num_attention_heads"`
	KVHeads          *int             `json:"num_key_value_heads"`
	HeadDim          *int             `json:"head_dim"`
	MaxPositions     *int             `json:"max_position_embeddings"`
	RMSNormEps       *float64         `json:"rms_norm_eps"`
	RopeTheta        *float64         `json:"rope_theta"`
	RopeParameters   *ropeParameters  `json:"rope_parameters"`
	RopeScaling      *ropeParameters  `json:"rope_scaling"`
	PartialRotary    *float64         `json:"partial_rotary_factor"`
	Tie              *bool            `json:"tie_word_embeddings"`
	AttentionBias    *bool            `json:"attention_bias"`
	MLPBias          *bool            `json:"mlp_bias"`
	HiddenAct        *string          `json:"hidden_act"`
	UseSlidingWindow *bool            `json:"use_sliding_window"`
	SlidingWindow    json.RawMessage  `json:"sliding_window"` // null is not the same as absent
	WindowLayers     *int             `json:"max_window_layers"`
	OriginalMax      *int             `json:"original_max_position_embeddings"`
	LayerTypes       []string         `json:"layer_types"`
	NoRopeLayers     []int            `json:"no_rope_layers"` // 0 is a layer without rotary embedding
	NoRopeInterval   *int             `json:"no_rope_layer_interval"`
	EmbeddingScale   *float64         `json:"embedding_multiplier"`
	ResidualScale    *float64         `json:"residual_multiplier"`
	AttentionScale   *float64         `json:"attention_multiplier"`
	LogitsDivisor    *float64         `json:"logits_scaling"`
	Experts          *int             `json:"num_local_experts"`
	SharedSize       *int             `json:"shared_intermediate_size"`
	Positions        *string          `json:"position_embedding_type"`
	Quantization     *json.RawMessage `json:"quantization_config"`
	BOS              *int             `json:"bos_token_id"`
	EOS              *tokenIDs        `json:"eos_token_id"`
}

// tokenIDs is one id or a list of them.
type tokenIDs []int

func (t *tokenIDs) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) == nil {
		*t = tokenIDs{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(t))
}

// ParseConfig reads the text of a config.json. It refuses, by name, what the engine would compute
// wrongly.
func ParseConfig(data []byte, options ...Option) (Config, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return Config{}, fmt.Errorf("not a JSON object: %w", err)
	}
	c := Config{BOS: -1}
	for _, o := range options {
		o(&c)
	}
	var err error
	if c.raw, c.Nested, err = textOf(raw); err != nil {
		return Config{}, err
	}
	return c.parse(raw)
}

// parse fills in the rest; outer is the whole file, c.raw the part of it that is the text model.
func (c Config) parse(outer map[string]json.RawMessage) (Config, error) {
	var f file
	if err := decodeExact(c.raw, &f); err != nil {
		return Config{}, err
	}
	if f.ModelType == nil {
		return Config{}, fmt.Errorf("model_type is missing; the engine has %s", familyNames())
	}
	fam, err := familyOf(*f.ModelType)
	if err != nil {
		return Config{}, err
	}
	c.ModelType = *f.ModelType
	for _, r := range []struct {
		name string
		from *int
		to   *int
	}{
		{"vocab_size", f.VocabSize, &c.VocabSize}, {"hidden_size", f.HiddenSize, &c.HiddenSize},
		{"intermediate_size", f.IntermediateSize, &c.IntermediateSize},
		{"num_hidden_layers", f.Layers, &c.Layers}, {"num_attention_heads", f.Heads, &c.Heads},
	} {
		if r.from == nil {
			return Config{}, fmt.Errorf("%s is missing", r.name)
		}
		*r.to = *r.from
	}
	if c.Heads <= 0 {
		return Config{}, fmt.Errorf("num_attention_heads is %d, must be positive", c.Heads)
	}
	if c.Layers <= 0 || c.Layers > maxLayers {
		return Config{}, fmt.Errorf("num_hidden_layers is %d, must be positive and at most %d", c.Layers, maxLayers)
	}
	c.KVHeads = or(f.KVHeads, c.Heads)
	c.HeadDim = fam.headDim
	if c.HeadDim == 0 {
		c.HeadDim = c.HiddenSize / c.Heads
	}
	c.HeadDim = or(f.HeadDim, c.HeadDim)
	if factor := f.partialRotary(); factor != 1 {
		if c.RotaryDim = int(float64(c.HeadDim) * factor); !fam.partial || c.RotaryDim == 0 {
			return Config{}, fmt.Errorf("partial_rotary_factor %g is not supported for %s; 1 is", factor, c.ModelType)
		}
	}
	c.MaxPositions = or(f.MaxPositions, fam.maxPositions)
	c.RMSNormEps = or(f.RMSNormEps, 1e-6)
	c.RopeTheta = or(f.RopeTheta, 10000)
	for _, r := range []*ropeParameters{f.RopeScaling, f.RopeParameters} {
		if r != nil && r.RopeTheta != nil {
			c.RopeTheta = *r.RopeTheta
		}
	}
	c.TieEmbeddings = or(f.Tie, fam.tied)
	if c.Nested {
		c.TieEmbeddings = tiedOutside(outer)
	}
	if f.BOS != nil {
		c.BOS = *f.BOS
	}
	if f.EOS != nil {
		c.EOS = *f.EOS
	}
	if err := f.unsupported(); err != nil {
		return Config{}, err
	}
	if c.Rope, err = f.rope(c); err != nil {
		return Config{}, err
	}
	if err := fam.details(&c, &f); err != nil {
		return Config{}, err
	}
	if err := c.Check(); err != nil {
		return Config{}, err
	}
	return c, c.checkFields(fam, outer)
}

// decodeExact decodes the fields whose keys are spelled exactly: encoding/json alone would also take
// "Vocab_Size" for vocab_size.
func decodeExact(raw map[string]json.RawMessage, f *file) error {
	exact := make(map[string]json.RawMessage, len(raw))
	for k, v := range raw {
		if strings.IndexFunc(k, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) < 0 {
			exact[k] = v
		}
	}
	b, err := json.Marshal(exact)
	if err != nil {
		return err
	}
	err = json.Unmarshal(b, f)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s: want %s, have a JSON %s", wrong.Field, jsonKind(wrong.Type), wrong.Value)
	}
	return err
}

// jsonKind is a field's Go type in JSON's words.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of " + strings.TrimPrefix(jsonKind(t.Elem()), "a ") + "s"
	case reflect.Float64:
		return "a number"
	case reflect.Int:
		return "a whole number"
	}
	return "an object"
}

// unsupported names what this engine does not compute.
func (f *file) unsupported() error {
	switch {
	case or(f.HiddenAct, "silu") != "silu":
		return fmt.Errorf("hidden_act %q is not supported; silu is", *f.HiddenAct)
	case or(f.MLPBias, false):
		return fmt.Errorf("mlp_bias is true; biases in the feed-forward layers are not supported")
	case f.Quantization != nil:
		return fmt.Errorf("quantization_config is present; give the model's unquantized weights")
	}
	return nil
}

// partialRotary is partial_rotary_factor, where the rotary parameters or the file have it.
func (f *file) partialRotary() float64 {
	for _, r := range []*ropeParameters{f.RopeScaling, f.RopeParameters} {
		if r != nil && r.Partial != nil {
			return *r.Partial
		}
	}
	return or(f.PartialRotary, 1)
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
