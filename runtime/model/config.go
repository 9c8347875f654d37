// Package model describes causal language models in the Hugging Face layout: their configuration,
// their weights, and the graph that computes them. Each family has a file that says only what
// differs.
package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"

	"triality/runtime/atomicfile"
)

// ConfigFile is the name of a model's configuration in its folder.
const ConfigFile = "config.json"

// Config is what the engine uses of a Hugging Face config.json. Fields of the file that are not
// here are kept and written again by Save.
type Config struct {
	ModelType        string // a family: see Families
	VocabSize        int
	HiddenSize       int
	IntermediateSize int
	Layers           int
	Heads            int
	KVHeads          int
	HeadDim          int
	MaxPositions     int
	RMSNormEps       float64
	RopeTheta        float64
	TieEmbeddings    bool // the head is the embedding
	QKVBias          bool // biases on q, k and v
	OutputBias       bool // a bias on o
	QKNorm           bool // each head of q and k is normed before the rotary embedding
	Fused            bool // q, k and v are one linear module, gate and up another
	Rope             Rope // the zero value leaves the frequencies plain
	// Windows has the sliding window of each layer's attention, 0 for a layer that sees everything;
	// nil where every layer does.
	Windows []int
	BOS     int // -1 where there is none
	EOS     []int

	raw map[string]json.RawMessage // the file as read
}

// maxLayers bounds what a config.json can make the engine list.
const maxLayers = 1 << 14

// LoadConfig reads dir/config.json.
func LoadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := atomicfile.ReadFile(dir, ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("model folder %s has no %s: give the folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json): %w", dir, ConfigFile, err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read model configuration: %w", err)
	}
	c, err := ParseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

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
func ParseConfig(data []byte) (Config, error) {
	var f file
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return Config{}, fmt.Errorf("not a JSON object: %w", err)
	}
	if err := decodeExact(raw, &f); err != nil {
		return Config{}, err
	}
	if f.ModelType == nil {
		return Config{}, fmt.Errorf("model_type is missing; the engine has %s", familyNames())
	}
	fam, err := familyOf(*f.ModelType)
	if err != nil {
		return Config{}, err
	}
	c := Config{ModelType: *f.ModelType, BOS: -1, raw: raw}
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
	c.MaxPositions = or(f.MaxPositions, fam.maxPositions)
	c.RMSNormEps = or(f.RMSNormEps, 1e-6)
	c.RopeTheta = or(f.RopeTheta, 10000)
	for _, r := range []*ropeParameters{f.RopeScaling, f.RopeParameters} {
		if r != nil && r.RopeTheta != nil {
			c.RopeTheta = *r.RopeTheta
		}
	}
	c.TieEmbeddings = or(f.Tie, false)
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
	return c, c.Check()
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
	return json.Unmarshal(b, f)
}

// unsupported names what this engine does not compute.
func (f *file) unsupported() error {
	switch {
	case or(f.HiddenAct, "silu") != "silu":
		return fmt.Errorf("hidden_act %q is not supported; silu is", *f.HiddenAct)
	case or(f.PartialRotary, 1) != 1:
		return fmt.Errorf("partial_rotary_factor %g is not supported; 1 is", *f.PartialRotary)
	case or(f.MLPBias, false):
		return fmt.Errorf("mlp_bias is true; biases in the feed-forward layers are not supported")
	case f.Quantization != nil:
		return fmt.Errorf("quantization_config is present; give the model's unquantized weights")
	}
	return nil
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// Check says whether the sizes make a model.
func (c Config) Check() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.Layers}, {"num_attention_heads", c.Heads}, {"num_key_value_heads", c.KVHeads},
		{"head_dim", c.HeadDim}, {"max_position_embeddings", c.MaxPositions},
	} {
		if f.value <= 0 || f.value > 1<<31-1 {
			return fmt.Errorf("%s is %d, must be positive", f.name, f.value)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("num_attention_heads %d is no multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("head_dim %d is odd; rotary embeddings need an even one", c.HeadDim)
	case !(c.RMSNormEps > 0) || !(c.RopeTheta > 0):
		return fmt.Errorf("rms_norm_eps %g and rope_theta %g must be positive", c.RMSNormEps, c.RopeTheta)
	case c.Windows != nil && len(c.Windows) != c.Layers:
		return fmt.Errorf("%d layers have sliding windows listed, the model has %d", len(c.Windows), c.Layers)
	}
	for _, w := range c.Windows {
		if w < 0 {
			return fmt.Errorf("sliding_window is %d, must be positive", w)
		}
	}
	return c.Rope.check(c.HeadDim)
}

// KVDim is the width of keys and values of one layer.
func (c Config) KVDim() int { return c.KVHeads * c.HeadDim }

// DType is how the configuration says that weights are stored, as PyTorch names it: torch_dtype, or dtype
// in files of transformers 5; empty where it does not.
func (c Config) DType() string {
	for _, key := range []string{"dtype", "torch_dtype"} {
		var name string
		if json.Unmarshal(c.raw[key], &name) == nil {
			return name
		}
	}
	return ""
}

// JSON is the text of the config.json: the file as read, with the fields of c.
func (c Config) JSON() ([]byte, error) {
	fam, err := familyOf(c.ModelType)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(c.raw)
	if out == nil {
		out = map[string]json.RawMessage{"architectures": json.RawMessage(`["` + fam.architecture + `"]`), "torch_dtype": json.RawMessage(`"float32"`)}
	}
	fields := map[string]any{
		"model_type": c.ModelType, "vocab_size": c.VocabSize, "hidden_size": c.HiddenSize,
		"intermediate_size": c.IntermediateSize, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim,
		"max_position_embeddings": c.MaxPositions, "rms_norm_eps": c.RMSNormEps, "rope_theta": c.RopeTheta,
		"hidden_act": "silu", "tie_word_embeddings": c.TieEmbeddings,
	}
	if c.BOS >= 0 {
		fields["bos_token_id"] = c.BOS
	}
	switch len(c.EOS) {
	case 0:
	case 1:
		fields["eos_token_id"] = c.EOS[0]
	default:
		fields["eos_token_id"] = c.EOS
	}
	for k, v := range fields {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = b
	}
	if fam.biasField {
		out["attention_bias"] = json.RawMessage(fmt.Sprint(c.QKVBias))
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// Save writes dir/config.json, whole or not at all.
func (c Config) Save(dir string) error {
	b, err := c.JSON()
	if err != nil {
		return fmt.Errorf("model configuration: %w", err)
	}
	return atomicfile.WriteFile(filepath.Join(dir, ConfigFile), 0o644, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
