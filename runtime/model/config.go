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
	"math"
	"path/filepath"

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
	SharedMLP        bool // gate and up are one linear module, and the feed-forward is called shared_mlp
	Rope             Rope // the zero value leaves the frequencies plain
	// RotaryDim is how many of a head's dimensions, its first ones, are turned; 0 is all.
	RotaryDim int
	// Unturned has the layers without a rotary embedding; nil where every layer has one.
	Unturned    []bool
	Multipliers Multipliers
	// Windows has the sliding window of each layer's attention, 0 for a layer that sees everything;
	// nil where every layer does.
	Windows []int
	BOS     int // -1 where there is none
	EOS     []int
	// Dropouts has the file's dropout rates that are not 0, by field: they change training alone.
	Dropouts map[string]float64
	// Ignored lists fields of the file that the engine does not know and was told to go on without.
	Ignored []string
	// Nested says that the model is the text_config of the file, beside models for other inputs.
	Nested bool

	raw          map[string]json.RawMessage // the file as read; of a nested model, its text_config
	allowUnknown bool
}

// Multipliers are factors that the residual stream and the logits are multiplied by; 0 is the usual factor.
type Multipliers struct {
	Embedding float64 // of the embedded tokens, usually 1
	Residual  float64 // of what attention and feed-forward add, usually 1
	Attention float64 // of q·kᵀ, usually 1/√HeadDim
	Logits    float64 // of the logits, usually 1
}

// maxLayers bounds what a config.json can make the engine list.
const maxLayers = 1 << 14

// Option changes how a configuration is read.
type Option func(*Config)

// AllowUnknown goes on without the fields of config.json that the engine does not know, where allowed,
// and trains without the dropouts it has not. The fields are listed in Config.Ignored and in what Save
// writes, so that a model made of this one is read again.
func AllowUnknown(allowed bool) Option { return func(c *Config) { c.allowUnknown = allowed } }

// LoadConfig reads dir/config.json. Where it ties the head to the embedding and dir holds a head that is
// not the embedding, the head is taken and TieEmbeddings is false, as in transformers 5.
func LoadConfig(dir string, options ...Option) (Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := atomicfile.ReadFile(dir, ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("model folder %s has no %s: give the folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json): %w", dir, ConfigFile, err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read model configuration: %w", err)
	}
	c, err := ParseConfig(data, options...)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.TieEmbeddings {
		own, err := ownHead(dir, c)
		if err != nil {
			return Config{}, err
		}
		c.TieEmbeddings = !own
	}
	return c, nil
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
	case c.Rotary() < 2 || c.Rotary()%2 != 0 || c.Rotary() > c.HeadDim:
		return fmt.Errorf("partial_rotary_factor turns %d of head_dim %d; it must be an even number of them", c.RotaryDim, c.HeadDim)
	case !(c.RMSNormEps > 0) || !(c.RopeTheta > 0):
		return fmt.Errorf("rms_norm_eps %g and rope_theta %g must be positive", c.RMSNormEps, c.RopeTheta)
	case c.Unturned != nil && len(c.Unturned) != c.Layers:
		return fmt.Errorf("%d layers are said to be turned or not, the model has %d", len(c.Unturned), c.Layers)
	case c.Windows != nil && len(c.Windows) != c.Layers:
		return fmt.Errorf("%d layers have sliding windows listed, the model has %d", len(c.Windows), c.Layers)
	}
	for _, w := range c.Windows {
		if w < 0 {
			return fmt.Errorf("sliding_window is %d, must be positive", w)
		}
	}
	for name, v := range map[string]float64{
		"embedding_multiplier": c.Multipliers.Embedding, "residual_multiplier": c.Multipliers.Residual,
		"attention_multiplier": c.Multipliers.Attention, "logits_scaling": c.Multipliers.Logits,
	} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fmt.Errorf("%s makes a factor of %g, must be positive", name, v)
		}
	}
	return c.Rope.check(c.Rotary())
}

// Turns says whether a layer has a rotary embedding.
func (c Config) Turns(layer int) bool { return c.Unturned == nil || !c.Unturned[layer] }

// Rotary is how many dimensions of a head the rotary embedding turns.
func (c Config) Rotary() int {
	if c.RotaryDim == 0 {
		return c.HeadDim
	}
	return c.RotaryDim
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
	fields := map[string]any{
		"model_type": c.ModelType, "vocab_size": c.VocabSize, "hidden_size": c.HiddenSize,
		"intermediate_size": c.IntermediateSize, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim,
		"max_position_embeddings": c.MaxPositions, "rms_norm_eps": c.RMSNormEps, "rope_theta": c.RopeTheta,
		"hidden_act": "silu", "tie_word_embeddings": c.TieEmbeddings,
	}
	if out == nil {
		out = map[string]json.RawMessage{"torch_dtype": json.RawMessage(`"float32"`)}
		if fam.fresh != nil {
			maps.Copy(fields, fam.fresh(c))
		}
	}
	if _, ok := out["architectures"]; !ok {
		fields["architectures"] = []string{fam.architecture}
	}
	if c.SharedMLP { // whose intermediate_size is that of experts
		if c.raw != nil {
			delete(fields, "intermediate_size")
		}
		fields["shared_intermediate_size"] = c.IntermediateSize
	}
	if len(c.Ignored) > 0 {
		fields[ignoredKey] = c.Ignored
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
