package gguf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/tokenizer"
)

var trained = sync.OnceValues(func() (*tokenizer.Tokenizer, error) {
	text := strings.Repeat("open the window please, ask my manager first 1234 ", 20)
	return tokenizer.Train(slices.Values([]string{text}), 320, []string{"<|endoftext|>"})
})

// folder makes a model folder: weights of random values, biases and norms included, stored as dtype.
func folder(t testing.TB, dtype safetensors.DType, config string) (string, model.Config, *model.Params) {
	t.Helper()
	dir := t.TempDir()
	tok, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"vocab_size":%d,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
		"max_position_embeddings":256,"rms_norm_eps":1e-5,"eos_token_id":%d,%s`, tok.Size()+3, tok.EOS(), config[1:])
	if err := os.WriteFile(filepath.Join(dir, model.ConfigFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := model.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Init(cfg, 5)
	if err != nil {
		t.Fatal(err)
	}
	for k, name := range p.Names() {
		x, _ := p.Get(name)
		if len(x.Shape) == 1 {
			for i := range x.Data {
				x.Data[i] = float32(math.Sin(float64(k*100 + i)))
			}
		}
	}
	if err := p.Save(dir, dtype); err != nil {
		t.Fatal(err)
	}
	return dir, cfg, p
}

func exported(t testing.TB, dir string, o Options) (*File, Report) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m.gguf")
	r, err := Export(context.Background(), dir, out, o)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, out), r
}

var families = map[string]string{
	"llama":      `{"model_type":"llama","tie_word_embeddings":false,"attention_bias":true,"head_dim":32,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":64}}`,
	"mistral":    `{"model_type":"mistral","tie_word_embeddings":false,"sliding_window":16}`,
	"qwen2":      `{"model_type":"qwen2","tie_word_embeddings":true,"rope_scaling":{"type":"yarn","factor":4.0,"original_max_position_embeddings":64}}`,
	"qwen3":      `{"model_type":"qwen3","tie_word_embeddings":true,"head_dim":32}`,
	"phi3":       `{"model_type":"phi3","tie_word_embeddings":true,"original_max_position_embeddings":64,"rope_scaling":{"type":"longrope","short_factor":[1.0,1.1,1.2,1.3,1.4,1.5,1.6,1.7],"long_factor":[1.0,1.5,2.5,4.0,7.5,9.0,12.0,15.0]}}`,
	"ministral":  `{"model_type":"ministral","tie_word_embeddings":false,"sliding_window":16,"layer_types":["full_attention","sliding_attention"]}`,
	"ministral3": `{"model_type":"ministral3","tie_word_embeddings":true,"head_dim":32,"rope_parameters":{"rope_type":"yarn","factor":16.0,"original_max_position_embeddings":32,"mscale":1.0,"mscale_all_dim":1.0,"llama_4_scaling_beta":0.1,"rope_theta":1000000.0}}`,
	"smollm3":    `{"model_type":"smollm3","num_hidden_layers":5,"rope_theta":5000000.0}`,
	"granite":    `{"model_type":"granite","tie_word_embeddings":true,"embedding_multiplier":12.0,"logits_scaling":16.0,"residual_multiplier":0.22,"attention_multiplier":0.0078125}`,
	"granite4":   `{"model_type":"granitemoehybrid","tie_word_embeddings":true,"embedding_multiplier":12.0,"logits_scaling":6.0,"residual_multiplier":0.25,"attention_multiplier":0.0625,"num_local_experts":0,"shared_intermediate_size":96,"layer_types":["attention","attention"],"position_embedding_type":null}`,
	"phi4-mini":  `{"model_type":"phi3","tie_word_embeddings":true,"partial_rotary_factor":0.75,"original_max_position_embeddings":64,"rope_scaling":{"type":"longrope","short_factor":[1.0,1.1,1.2,1.3,1.4,1.5],"long_factor":[1.0,1.5,2.5,4.0,7.5,9.0]}}`,
}

// turned is a weight's rows as llama.cpp's converter lays them out: each head's rows seen as
// [2, d/2], the two swapped.
func turned(data []float32, heads, rows int) []float32 {
	width, d := len(data)/rows, rows/heads
	out := make([]float32, 0, len(data))
	for h := range heads {
		for i := range d / 2 {
			for j := range 2 {
				row := h*d + j*d/2 + i
				out = append(out, data[row*width:(row+1)*width]...)
			}
		}
	}
	return out
}

func TestEveryTensorOfEachFamilyIsTheSources(t *testing.T) {
	for name, text := range families {
		t.Run(name, func(t *testing.T) {
			dir, cfg, p := folder(t, safetensors.F32, text)
			for _, c := range []struct {
				t    Type
				most float64 // of a row's largest value
			}{{F32, 0}, {F16, 1.0 / 1024}, {Q8_0, 1.0 / 200}} {
				f, r := exported(t, dir, Options{Type: c.t})
				if r.Tensors != len(f.Names()) || len(r.Fallback) > 0 {
					t.Errorf("report %+v for %d tensors", r, len(f.Names()))
				}
				var weights []model.Param // those of two parts each by itself
				for _, w := range p.Names() {
					x, _ := p.Get(w)
					gate, isBoth := strings.CutSuffix(w, "shared_mlp.input_linear.weight")
					if !isBoth {
						weights = append(weights, *x)
						continue
					}
					half := []int{x.Shape[0] / 2, x.Shape[1]}
					weights = append(weights, model.Param{Name: gate + "mlp.gate_proj.weight", Shape: half, Data: x.Data[:len(x.Data)/2]},
						model.Param{Name: gate + "mlp.up_proj.weight", Shape: half, Data: x.Data[len(x.Data)/2:]})
				}
				for _, x := range weights {
					w := x.Name
					as, err := tensorName(w)
					if err != nil {
						t.Fatal(err)
					}
					info, ok := f.Info(as)
					want := x.Data
					if !slices.Contains([]string{"qwen2", "qwen3", "phi3"}, architectures[cfg.ModelType]) {
						if strings.Contains(w, "q_proj") {
							want = turned(want, cfg.Heads, x.Shape[0])
						} else if strings.Contains(w, "k_proj") {
							want = turned(want, cfg.KVHeads, x.Shape[0])
						}
					}
					wantType := c.t
					if len(x.Shape) == 1 {
						wantType = F32
					}
					if !ok || !slices.Equal(info.Shape, x.Shape) || info.Type != wantType {
						t.Fatalf("%s is %v %v, want %v %v", as, info.Type, info.Shape, wantType, x.Shape)
					}
					got, err := f.Float32(as)
					if err != nil {
						t.Fatal(err)
					}
					largest := 0.0
					for _, v := range want {
						largest = max(largest, math.Abs(float64(v)))
					}
					for i := range want {
						if off := math.Abs(float64(got[i] - want[i])); off > c.most*largest {
							t.Fatalf("%v: %s[%d] is %g, want %g", c.t, as, i, got[i], want[i])
						}
					}
				}
				specs, err := f.Specs()
				if err != nil {
					t.Fatal(err)
				}
				if len(specs) != len(f.Names()) {
					t.Errorf("the metadata implies %d tensors, the file has %d", len(specs), len(f.Names()))
				}
			}
		})
	}
}

func TestTheMetadataIsWhatConfigAndTokenizerSay(t *testing.T) {
	for name, want := range map[string]map[string]any{
		"llama": {
			"general.architecture": "llama", "general.file_type": uint32(1), "general.quantization_version": uint32(2), "general.name": "mine",
			"llama.block_count": uint32(2), "llama.context_length": uint32(256), "llama.embedding_length": uint32(64),
			"llama.feed_forward_length": uint32(96), "llama.attention.head_count": uint32(4), "llama.attention.head_count_kv": uint32(2),
			"llama.attention.key_length": uint32(32), "llama.attention.value_length": uint32(32), "llama.rope.dimension_count": uint32(32),
			"llama.attention.layer_norm_rms_epsilon": float32(1e-5), "llama.rope.freq_base": float32(10000),
			"llama.rope.scaling.type": nil, "llama.attention.sliding_window": nil,
			"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.add_bos_token": false,
			"tokenizer.ggml.add_eos_token": false, "tokenizer.ggml.add_space_prefix": false, "tokenizer.ggml.bos_token_id": nil,
		},
		"mistral": {"general.architecture": "llama", "llama.attention.sliding_window": uint32(16)},
		"qwen2": {
			"general.architecture": "qwen2", "qwen2.rope.scaling.type": "yarn", "qwen2.rope.scaling.factor": float32(4),
			"qwen2.rope.scaling.original_context_length": uint32(64), "qwen2.rope.scaling.attn_factor": nil,
		},
		"qwen3": {"general.architecture": "qwen3", "qwen3.attention.key_length": uint32(32)},
		"phi3": {
			"general.architecture": "phi3", "phi3.attention.sliding_window": uint32(0), "phi3.rope.scaling.original_context_length": uint32(64),
			"phi3.rope.scaling.attn_factor": float32(math.Sqrt(1 + math.Log(4)/math.Log(64))),
		},
		"phi4-mini": {"general.architecture": "phi3", "phi3.rope.dimension_count": uint32(12), "phi3.attention.key_length": uint32(16)},
		"smollm3":   {"general.architecture": "smollm3", "smollm3.rope.freq_base": float32(5e6)},
		"granite": {
			"general.architecture": "granite", "granite.attention.scale": float32(0.0078125), "granite.embedding_scale": float32(12),
			"granite.residual_scale": float32(0.22), "granite.logit_scale": float32(16), "granite.rope.scaling.finetuned": true,
		},
		"granite4": {
			"general.architecture": "granite", "granite.feed_forward_length": uint32(96), "granite.logit_scale": float32(6),
			"granite.rope.scaling.finetuned": false,
		},
		"ministral": {"general.architecture": "llama", "llama.attention.sliding_window": uint32(16)},
		"ministral3": {
			"general.architecture": "mistral3", "mistral3.attention.temperature_scale": float32(0.1), "mistral3.rope.scaling.type": "yarn",
			"mistral3.rope.scaling.factor": float32(16), "mistral3.rope.scaling.yarn_log_multiplier": float32(1),
			"mistral3.rope.scaling.original_context_length": uint32(32), "mistral3.rope.scaling.attn_factor": nil,
		},
	} {
		dir, _, _ := folder(t, safetensors.BF16, families[name])
		f, r := exported(t, dir, Options{Type: F16, Name: "mine"})
		for key, v := range want {
			if got, _ := f.Value(key); got != v {
				t.Errorf("%s: %s is %v, want %v", name, key, got, v)
			}
		}
		if r.Architecture != want["general.architecture"] || r.Name != "mine" {
			t.Errorf("%s: report %+v", name, r)
		}
	}
}

func TestRotaryFactorsAreTensors(t *testing.T) {
	dir, cfg, _ := folder(t, safetensors.F32, families["llama"])
	f, _ := exported(t, dir, Options{Type: F16})
	got, err := f.Float32("rope_freqs.weight")
	if err != nil {
		t.Fatal(err)
	}
	// Waves shorter than 64/4 tokens stay, those longer than 64 are stretched eightfold: the first
	// dimension turns once in 2π tokens, the eighth once in 2π·10000^(7/16) = 353.
	if len(got) != 16 || got[0] != 1 || got[1] != 1 || got[7] != 8 || got[15] != 8 {
		t.Errorf("llama3 factors %v", got)
	}
	wave := 2 * math.Pi * math.Pow(cfg.RopeTheta, 3.0/16)
	s := (64/wave - 1) / 3
	if want := 1 / ((1-s)/8 + s); math.Abs(float64(got[3])-want) > 1e-6 {
		t.Errorf("factor of wave %g is %g, want %g", wave, got[3], want)
	}
	dir, cfg, _ = folder(t, safetensors.F32, families["phi3"])
	f, r := exported(t, dir, Options{Type: F16})
	for name, want := range map[string][]float64{"rope_factors_short.weight": cfg.Rope.Short, "rope_factors_long.weight": cfg.Rope.Long} {
		got, err := f.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != float32(want[i]) {
				t.Errorf("%s is %v", name, got)
			}
		}
	}
	if !slices.ContainsFunc(r.Notes, func(s string) bool { return strings.HasPrefix(s, "longrope: ") }) {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestRowsThatAreNotInBlocksAreF16(t *testing.T) {
	dir, _, _ := folder(t, safetensors.F16, `{"model_type":"llama","tie_word_embeddings":true,"intermediate_size":40}`)
	// The later of two keys wins.
	f, r := exported(t, dir, Options{Type: Q8_0})
	if want := []string{"blk.0.ffn_down.weight", "blk.1.ffn_down.weight"}; !slices.Equal(r.Fallback, want) {
		t.Errorf("fallback %v", r.Fallback)
	}
	if info, _ := f.Info("blk.1.ffn_down.weight"); info.Type != F16 {
		t.Errorf("stored as %v", info.Type)
	}
}

func TestExportRefusesWhatLlamaCppWouldComputeOtherwise(t *testing.T) {
	edit := func(key string, v any) func(*testing.T, string) {
		return func(t *testing.T, dir string) { change(t, filepath.Join(dir, model.ConfigFile), key, v) }
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for want, c := range map[string]struct {
		config string
		spoil  func(*testing.T, string)
	}{
		"burn-in": {families["llama"], edit("model_type", "so8t")},
		"4 heads of 32 are not hidden_size 64, and llama.cpp's qwen2":   {`{"model_type":"qwen2","tie_word_embeddings":true,"head_dim":32}`, nil},
		"llama.cpp's qwen3 has no biases":                               {`{"model_type":"qwen3","tie_word_embeddings":true,"head_dim":32,"attention_bias":true}`, nil},
		"4 heads of 32 are not hidden_size 64, and llama.cpp's granite": {strings.Replace(families["granite"], `{`, `{"head_dim":32,`, 1), nil},
		`rope_scaling of type "llama3", which llama.cpp's qwen2`:        {strings.Replace(families["llama"], `"llama","tie_word_embeddings":false,"attention_bias":true,"head_dim":32`, `"qwen2","tie_word_embeddings":true`, 1), nil},
		"every fourth, and no_rope_layers says otherwise":               {`{"model_type":"smollm3","no_rope_layer_interval":2}`, nil},
		"llama.cpp's smollm3 has no biases":                             {`{"model_type":"smollm3","num_hidden_layers":4,"attention_bias":true}`, nil},
		"attention factor of 1.27":                                      {strings.Replace(families["ministral3"], `"mscale_all_dim":1.0,`, "", 1), nil},
		"truncate false":                                                {strings.Replace(families["qwen2"], `"factor"`, `"truncate":false,"factor"`, 1), nil},
		"there is no tokenizer.json":                                    {families["qwen3"], remove("tokenizer.json")},
		"neither model.safetensors":                                     {families["qwen3"], remove("model.safetensors")},
		"weight lm_head.weight [":                                       {families["qwen2"], edit("tie_word_embeddings", false)},
		"model.layers.1.input_layernorm.weight is unexpe":               {families["qwen2"], edit("num_hidden_layers", 1)},
		"64], config.json makes it [":                                   {families["qwen2"], edit("hidden_size", 128)},
	} {
		dir, _, _ := folder(t, safetensors.F32, c.config)
		if c.spoil != nil {
			c.spoil(t, dir)
		}
		out := filepath.Join(t.TempDir(), "m.gguf")
		_, err := Export(context.Background(), dir, out, Options{Type: F16})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v, want %q", err, want)
		}
		if entries, _ := os.ReadDir(filepath.Dir(out)); len(entries) > 0 {
			t.Errorf("%q: left %v", want, entries)
		}
	}
	if _, err := Export(context.Background(), t.TempDir(), "x", Options{Type: BF16}); err == nil || !strings.Contains(err.Error(), "bf16") {
		t.Errorf("bf16: %v", err)
	}
}

func TestAnExportThatIsStoppedLeavesNothing(t *testing.T) {
	dir, _, _ := folder(t, safetensors.F32, families["qwen3"])
	ctx, cancel := context.WithCancel(context.Background())
	out := filepath.Join(t.TempDir(), "m.gguf")
	_, err := Export(ctx, dir, out, Options{Type: F16, Progress: func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}})
	if entries, _ := os.ReadDir(filepath.Dir(out)); !errors.Is(err, context.Canceled) || len(entries) > 0 {
		t.Errorf("%v, left %v", err, entries)
	}
}

// change sets a key of a JSON file.
func change(t testing.TB, path, key string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	doc[key] = v
	if raw, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAHeadThatIsNotTheEmbeddingIsExportedThoughConfigTiesThem(t *testing.T) {
	dir, _, p := folder(t, safetensors.F32, families["qwen2"])
	embed, _ := p.Get("model.embed_tokens.weight")
	head := model.Param{Name: "lm_head.weight", Shape: embed.Shape, Data: slices.Clone(embed.Data)}
	for _, own := range []bool{false, true} {
		if own {
			head.Data[7]++
		}
		if err := p.Set(head); err != nil {
			t.Fatal(err)
		}
		if err := p.Save(dir, safetensors.F32); err != nil {
			t.Fatal(err)
		}
		f, _ := exported(t, dir, Options{Type: F32})
		got, err := f.Float32("output.weight")
		if own && (err != nil || !slices.Equal(got, head.Data)) || !own && err == nil {
			t.Errorf("the head differs: %t; output.weight gives %v", own, err)
		}
	}
}

func TestTheTextModelOfALargerOneIsExportedAsItWouldBeByItself(t *testing.T) {
	dir, _, p := folder(t, safetensors.F32, families["ministral3"])
	alone, _ := exported(t, dir, Options{Type: F32, Name: "m"})
	raw, err := os.ReadFile(filepath.Join(dir, model.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	outer := fmt.Sprintf(`{"model_type":"mistral3","tie_word_embeddings":true,"vision_config":{"model_type":"pixtral"},"text_config":%s}`, raw)
	if err := os.WriteFile(filepath.Join(dir, model.ConfigFile), []byte(outer), 0o644); err != nil {
		t.Fatal(err)
	}
	list := []safetensors.Tensor{{Name: "vision_tower.ln_pre.weight", Shape: []int{2}, Float32: []float32{1, 2}}}
	for _, name := range p.Names() {
		x, _ := p.Get(name)
		list = append(list, safetensors.Tensor{Name: "language_model." + name, Shape: x.Shape, Float32: x.Data})
	}
	if err := safetensors.WriteModel(dir, list, nil, safetensors.MaxShard); err != nil {
		t.Fatal(err)
	}
	nested, _ := exported(t, dir, Options{Type: F32, Name: "m"})
	if !slices.Equal(nested.Names(), alone.Names()) {
		t.Fatalf("tensors %v, by itself %v", nested.Names(), alone.Names())
	}
	for _, name := range alone.Names() {
		a, err := alone.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := nested.Float32(name); err != nil || !slices.Equal(a, b) {
			t.Errorf("%s differs (%v)", name, err)
		}
	}
}
