package model

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"triality/runtime/allocation"
)

const llamaConfig = `{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 100, "hidden_size": 32,
  "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
  "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "hidden_act": "silu", "tie_word_embeddings": false,
  "bos_token_id": 1, "eos_token_id": [2, 7], "initializer_range": 0.02, "transformers.js_config": {"kept": [1, 2.50]}%s
}`

func with(extra string) []byte {
	if extra != "" {
		extra = ", " + extra
	}
	return []byte(strings.Replace(llamaConfig, "%s", extra, 1))
}

func TestAConfigurationIsReadWithTheDefaultsOfItsFamily(t *testing.T) {
	c, err := ParseConfig(with(""))
	if err != nil {
		t.Fatal(err)
	}
	c.raw = nil
	want := Config{
		ModelType: "llama", VocabSize: 100, HiddenSize: 32, IntermediateSize: 48, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8,
		MaxPositions: 2048, RMSNormEps: 1e-5, RopeTheta: 500000, BOS: 1, EOS: []int{2, 7},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("read %+v, want %+v", c, want)
	}
	c, err = ParseConfig([]byte(`{"model_type": "qwen2", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
		"num_attention_heads": 2, "use_sliding_window": false, "sliding_window": 4096, "eos_token_id": 5, "rope_scaling": null,
		"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}, "layer_types": ["full_attention"]}`))
	if err != nil {
		t.Fatal(err)
	}
	c.raw = nil
	want = Config{
		ModelType: "qwen2", VocabSize: 9, HiddenSize: 8, IntermediateSize: 8, Layers: 1, Heads: 2, KVHeads: 2, HeadDim: 4,
		MaxPositions: 32768, RMSNormEps: 1e-6, RopeTheta: 1e6, BOS: -1, EOS: []int{5}, QKVBias: true,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("read %+v, want %+v", c, want)
	}
}

func TestWhatTheEngineDoesNotComputeIsRefusedByName(t *testing.T) {
	for extra, name := range map[string]string{
		`"hidden_act": "gelu"`:                                   "hidden_act",
		`"rope_scaling": {"type": "linear", "factor": 0}`:        "rope_scaling",
		`"rope_scaling": {"type": "ntk", "factor": 2.0}`:         "rope_scaling",
		`"rope_scaling": {"type": "longrope"}`:                   "short_factor",
		`"rope_parameters": {"partial_rotary_factor": 0.5}`:      "partial_rotary_factor",
		`"rope_scaling": {"rope_type": "llama3"}`:                "rope_scaling",
		`"rope_parameters": {"rope_type": "proportional"}`:       "rope_parameters",
		`"rope_parameters": {"rope_type": "yarn", "factor": -1}`: "rope_parameters",
		`"use_sliding_window": true`:                             "use_sliding_window",
		`"sliding_window": 4096`:                                 "sliding_window",
		`"layer_types": ["full_attention", "sliding_attention"]`: "layer_types",
		`"layer_types": ["full_attention"]`:                      "layer_types",
		`"layer_types": ["full_attention", "linear_attention"]`:  "linear_attention",
		`"model_type": "mistral", "sliding_window": -4`:          "sliding_window",
		`"mlp_bias": true`:                                       "mlp_bias",
		`"partial_rotary_factor": 0.5`:                           "partial_rotary_factor",
		`"quantization_config": {"bits": 4}`:                     "quantization_config",
		`"model_type": "gpt2"`:                                   "llama, ministral, ministral3, mistral, phi3, qwen2, qwen3, smollm3",
		`"num_key_value_heads": 3`:                               "num_key_value_heads",
		`"head_dim": 7`:                                          "head_dim",
		`"vocab_size": null`:                                     "vocab_size",
		`"num_hidden_layers": -1`:                                "num_hidden_layers",
		`"num_hidden_layers": 2000000000`:                        "num_hidden_layers",
		`"num_attention_heads": 0`:                               "num_attention_heads",
		`"rms_norm_eps": 0`:                                      "rms_norm_eps",
		`"hidden_size": "wide"`:                                  "hidden_size: want a whole number, have a JSON string",
		`"rope_theta": "10000"`:                                  "rope_theta: want a number, have a JSON string",
		`"eos_token_id": "</s>"`:                                 "eos_token_id: want a list of whole numbers, have a JSON string",
		`"model_type": null`:                                     "model_type",
	} {
		if _, err := ParseConfig(with(extra)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s gives %v, want an error that names %s", extra, err, name)
		}
	}
}

func TestSaveKeepsTheFieldsTheEngineDoesNotKnow(t *testing.T) {
	c, err := ParseConfig(with(`"attention_bias": true`))
	if err != nil {
		t.Fatal(err)
	}
	if !c.QKVBias || !c.OutputBias {
		t.Error("attention_bias is not read")
	}
	c.VocabSize = 101
	dir := t.TempDir()
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	var custom struct{ Kept []float64 }
	if err := json.Unmarshal(got.raw["transformers.js_config"], &custom); err != nil || !reflect.DeepEqual(custom.Kept, []float64{1, 2.5}) {
		t.Errorf("an unknown field became %s (%v)", got.raw["transformers.js_config"], err)
	}
	if got.VocabSize != 101 {
		t.Errorf("vocab_size is %d", got.VocabSize)
	}
	got.raw, c.raw = nil, nil
	if !reflect.DeepEqual(got, c) {
		t.Errorf("read back %+v, want %+v", got, c)
	}
}

func TestAnUnusableFolderSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadConfig(dir); err == nil || !strings.Contains(err.Error(), "config.json") || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder without configuration gives %v", err)
	}
	c, err := ParseConfig(with(""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadParams(dir, c); err == nil || !strings.Contains(err.Error(), "model.safetensors") || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder without weights gives %v", err)
	}
	path := filepath.Join(dir, ConfigFile)
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadConfig(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken configuration gives %v", err)
	}
}

func TestSlidingWindowsAreThoseOfTheFamily(t *testing.T) {
	for extra, want := range map[string][]int{
		`"model_type": "mistral", "max_position_embeddings": 8192, "sliding_window": 4096`: {4096, 4096},
		`"model_type": "mistral", "max_position_embeddings": 8192`:                         {4096, 4096},
		`"model_type": "mistral", "max_position_embeddings": 8192, "sliding_window": null`: nil,
		`"model_type": "mistral", "max_position_embeddings": 4096, "sliding_window": 4096`: nil, // nothing is longer
		`"model_type": "phi3", "sliding_window": 2047`:                                     {2047, 2047},
		`"model_type": "phi3"`:                                                                                     nil,
		`"model_type": "qwen2", "sliding_window": 64`:                                                              nil,
		`"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": true`:                                  nil, // from layer 28 on
		`"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": true, "max_window_layers": 1`:          {0, 64},
		`"model_type": "qwen3", "sliding_window": 64, "use_sliding_window": true, "max_window_layers": 0`:          {64, 64},
		`"model_type": "mistral", "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]`:    {64, 0},
		`"layer_types": ["full_attention", "full_attention"], "use_sliding_window": false, "sliding_window": null`: nil,
	} {
		c, err := ParseConfig(with(extra))
		if err != nil || !reflect.DeepEqual(c.Windows, want) {
			t.Errorf("%s: windows %v, %v; want %v", extra, c.Windows, err, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(with(""))
	f.Add(with(`"rope_scaling": {"type": "linear"}`))
	f.Add(with(`"rope_scaling": {"rope_type": "yarn", "factor": 4}`))
	f.Add(with(`"model_type": "phi3", "rope_scaling": {"type": "su", "short_factor": [1,2,3,4], "long_factor": [1,2,3,4]}`))
	f.Add(with(`"model_type": "mistral", "sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"]`))
	f.Add([]byte(`{"model_type":"qwen2"}`))
	f.Add([]byte(`[]`))
	f.Add(with(`"model_type": "qwen3"`))
	f.Add(with(`"Vocab_Size": 7`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Config
		var err error
		if got := allocation.Bytes(func() { c, err = ParseConfig(data) }); got > allocation.Bound(len(data)) {
			t.Fatalf("%d bytes made %d bytes of memory", len(data), got)
		}
		if err != nil {
			return
		}
		out, err := c.JSON()
		if err != nil {
			t.Fatalf("%+v does not save: %v", c, err)
		}
		again, err := ParseConfig(out)
		if err != nil {
			t.Fatalf("the saved form of %s is refused: %v", data, err)
		}
		again.raw, c.raw = nil, nil
		if len(again.EOS) == 0 && len(c.EOS) == 0 {
			again.EOS, c.EOS = nil, nil
		}
		if !reflect.DeepEqual(again, c) {
			t.Fatalf("read back %+v, want %+v", again, c)
		}
	})
}
