package modelfolder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"triality/runtime/device/reference"
	"triality/runtime/gguf"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/so8t"
	"triality/runtime/tokenizer"
)

var trained = sync.OnceValues(func() (*tokenizer.Tokenizer, error) {
	text := strings.Repeat("open the window please, ask my manager first 1234 ", 20)
	return tokenizer.Train(slices.Values([]string{text}), 320, []string{"<|endoftext|>"})
})

// folder makes a small model; spoil may change its weights before they are stored.
func folder(t *testing.T, dtype safetensors.DType, spoil func(*model.Params)) string {
	t.Helper()
	dir := t.TempDir()
	tok, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"model_type":"qwen2","vocab_size":%d,"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,
		"max_position_embeddings":256,"eos_token_id":%d,"tie_word_embeddings":true,"torch_dtype":"float32","task_specific_params":[1,2]}`, tok.Size(), tok.EOS())
	put(t, filepath.Join(dir, model.ConfigFile), text)
	cfg, err := model.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Init(cfg, 5)
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		spoil(p)
	}
	// Not by Save, which writes no value that is not finite.
	var list []safetensors.Tensor
	for _, n := range p.Names() {
		x, _ := p.Get(n)
		list = append(list, safetensors.Tensor{Name: n, DType: dtype, Shape: x.Shape, Float32: x.Data})
	}
	if err := errors.Join(safetensors.WriteModel(dir, list, map[string]string{"format": "pt"}, safetensors.MaxShard), tok.Save(dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// change sets a key of a model folder's config.json.
func change(t *testing.T, dir, key string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, model.ConfigFile))
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
	put(t, filepath.Join(dir, model.ConfigFile), string(raw))
}

// set puts a value at an index of a weight.
func set(name string, at int, v float64) func(*model.Params) {
	return func(p *model.Params) {
		x, _ := p.Get(name)
		x.Data[at] = float32(v)
	}
}

func TestAWholeModelPasses(t *testing.T) {
	dir := folder(t, safetensors.BF16, nil)
	checks := Verify(context.Background(), dir)
	if err := Failed(checks); err != nil || len(checks) != 6 {
		t.Fatalf("%v: %+v", err, checks)
	}
	out := filepath.Join(t.TempDir(), "m.gguf")
	for _, kind := range []gguf.Type{gguf.F16, gguf.Q8_0, gguf.F32} {
		if _, err := gguf.Export(context.Background(), dir, out, gguf.Options{Type: kind}); err != nil {
			t.Fatal(err)
		}
		checks = VerifyGGUF(context.Background(), out)
		if err := Failed(checks); err != nil || len(checks) != 6 {
			t.Fatalf("%v: %v: %+v", kind, err, checks)
		}
	}
}

func TestVerifyNamesWhatIsWrongAndWhere(t *testing.T) {
	const down = "model.layers.1.mlp.down_proj.weight" // [64, 96]
	for want, c := range map[string]struct {
		weights func(*model.Params)
		files   func(*testing.T, string)
	}{
		"values: " + down + "[10 11] is NaN":   {set(down, 10*96+11, math.NaN()), nil},
		"values: model.norm.weight[3] is -Inf": {set("model.norm.weight", 3, math.Inf(-1)), nil},
		"tensors: model.layers.2.input_layernorm.weight [64] is missing": {nil, func(t *testing.T, dir string) {
			change(t, dir, "num_hidden_layers", 3)
		}},
		"tensors: model.embed_tokens.weight is [": {nil, func(t *testing.T, dir string) { change(t, dir, "vocab_size", 1000) }},
		`config.json: `: {nil, func(t *testing.T, dir string) { change(t, dir, "model_type", "gpt9") }},
		"tokenizer: config.json's eos_token_id[1] is token 5000": {nil, func(t *testing.T, dir string) {
			change(t, dir, "eos_token_id", []int{1, 5000})
		}},
		"tokenizer: load tokenizer": {nil, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "tokenizer.json")) }},
		"weights: ":                 {nil, func(t *testing.T, dir string) { put(t, filepath.Join(dir, "model.safetensors"), "no") }},
		"types: model.norm.weight is stored as F64": {nil, func(t *testing.T, dir string) {
			restore(t, dir, func(x *safetensors.Tensor) {
				if x.Name == "model.norm.weight" {
					x.DType, x.Read, x.Raw = safetensors.F64, nil, make([]byte, 8*64)
				}
			})
		}},
	} {
		dir := folder(t, safetensors.F32, c.weights)
		if c.files != nil {
			c.files(t, dir)
		}
		if err := Failed(Verify(context.Background(), dir)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestVerifyLooksAtAnSO8TModelsRotationsToo(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	for want, c := range map[string]struct {
		tensors func([]safetensors.Tensor) []safetensors.Tensor
		files   func(*testing.T, string)
	}{
		"": {},
		"tensors: model.layers.1.so8t.cmd.scale [1] is missing": {tensors: func(list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return x.Name == "model.layers.1.so8t.cmd.scale" })
		}},
		"values: safety_head.weight[1 3] is NaN": {tensors: func(list []safetensors.Tensor) []safetensors.Tensor {
			for i := range list {
				if list[i].Name == "safety_head.weight" {
					list[i].Read = func(dst []float32, at int) error {
						dst[64+3-at] = float32(math.NaN())
						return nil
					}
				}
			}
			return list
		}},
		"tensors: lm_extra is unexpected": {tensors: func(list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, safetensors.Tensor{Name: "lm_extra", Float32: []float32{1}})
		}},
		"config.json: so8t: hidden_size 60 is not a multiple of 8": {files: func(t *testing.T, dir string) { change(t, dir, "hidden_size", 60) }},
		"tokenizer: load tokenizer":                                {files: func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "tokenizer.json")) }},
	} {
		dir := filepath.Join(t.TempDir(), "so8t")
		if _, err := so8t.Replace(t.Context(), dev, folder(t, safetensors.BF16, nil), dir, so8t.DefaultConfig(), [][]int32{{1, 2}}, nil); err != nil {
			t.Fatal(err)
		}
		if c.tensors != nil {
			rewrite(t, dir, c.tensors)
		}
		if c.files != nil {
			c.files(t, dir)
		}
		checks := Verify(t.Context(), dir)
		err := Failed(checks)
		if want == "" {
			if err != nil || len(checks) != 6 || !strings.HasPrefix(checks[0].Detail, "so8t over qwen2") {
				t.Errorf("%v: %+v", err, checks)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// restore writes a folder's weights again, each changed.
func restore(t *testing.T, dir string, edit func(*safetensors.Tensor)) {
	t.Helper()
	rewrite(t, dir, func(list []safetensors.Tensor) []safetensors.Tensor {
		for i := range list {
			edit(&list[i])
		}
		return list
	})
}

// rewrite writes them all again, changed.
func rewrite(t *testing.T, dir string, edit func([]safetensors.Tensor) []safetensors.Tensor) {
	t.Helper()
	m, err := safetensors.OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var list []safetensors.Tensor
	for _, name := range m.Names() {
		info, _ := m.Info(name)
		list = append(list, safetensors.Tensor{Name: name, DType: info.DType, Shape: info.Shape, Read: func(dst []float32, at int) error { return m.ReadFloat32At(name, dst, at) }})
	}
	if err := safetensors.Write(filepath.Join(dir, "again"), edit(list), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "again"), filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
}

// packedModel is a whole llama of one layer as GGUF, as far as VerifyGGUF looks.
func packedModel() ([]gguf.Pair, []gguf.Tensor) {
	tensor := func(name string, shape ...int) gguf.Tensor {
		return gguf.Tensor{Name: name, Type: gguf.F32, Shape: shape, Read: func(dst []float32, at int) error {
			clear(dst)
			return nil
		}}
	}
	return []gguf.Pair{
			{Key: "general.architecture", Value: "llama"}, {Key: "llama.block_count", Value: uint32(1)}, {Key: "llama.embedding_length", Value: uint32(4)},
			{Key: "llama.feed_forward_length", Value: uint32(6)}, {Key: "llama.attention.head_count", Value: uint32(2)},
			{Key: "tokenizer.ggml.model", Value: "gpt2"}, {Key: "tokenizer.ggml.tokens", Value: []string{"a", "b", "ab"}},
			{Key: "tokenizer.ggml.token_type", Value: []int32{1, 1, 1}}, {Key: "tokenizer.ggml.merges", Value: []string{"a b"}},
			{Key: "tokenizer.ggml.eos_token_id", Value: uint32(2)},
		}, []gguf.Tensor{
			tensor("token_embd.weight", 3, 4), tensor("blk.0.attn_norm.weight", 4), tensor("blk.0.attn_q.weight", 4, 4),
			tensor("blk.0.attn_k.weight", 4, 4), tensor("blk.0.attn_v.weight", 4, 4), tensor("blk.0.attn_output.weight", 4, 4),
			tensor("blk.0.ffn_norm.weight", 4), tensor("blk.0.ffn_gate.weight", 6, 4), tensor("blk.0.ffn_up.weight", 6, 4),
			tensor("blk.0.ffn_down.weight", 4, 6), tensor("output_norm.weight", 4),
		}
}

func TestVerifyGGUFNamesWhatIsWrongAndWhere(t *testing.T) {
	for want, edit := range map[string]func([]gguf.Pair, []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor){
		"": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) { return p, x },
		`tensors: general.architecture is "gpt9"`: func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[0].Value = "gpt9"
			return p, x
		},
		"tensors: metadata llama.block_count is missing": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[1].Value = "one"
			return p, x
		},
		"tensors: metadata llama.block_count is 16000, the file has 11": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[1].Value = uint32(16000)
			return p, x
		},
		"tensors: tensor token_embd.weight is missing": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) { return p, x[1:] },
		"tensors: output_norm.weight [4] is missing":   func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) { return p, x[:10] },
		"tensors: extra.weight is unexpected": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			extra := x[10]
			extra.Name = "extra.weight"
			return p, append(x, extra)
		},
		"tensors: blk.0.ffn_up.weight is [4 6], the configuration makes it [6 4]": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			x[8].Shape = []int{4, 6}
			return p, x
		},
		"tokenizer: 2 tokens, the embedding has 3 rows": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[6].Value, p[7].Value, p[8].Value, p[9].Value = []string{"a", "b"}, []int32{1, 1}, []string{}, uint32(0)
			return p, x
		},
		`tokenizer: tokens 0 and 2 are both "a"`: func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[6].Value, p[8].Value = []string{"a", "b", "a"}, []string{}
			return p, x
		},
		"tokenizer: 2 token types for 3 tokens": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[7].Value = []int32{1, 1}
			return p, x
		},
		`tokenizer: merge 0, "b a": "ba" is no token`: func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[8].Value = []string{"b a"}
			return p, x
		},
		"tokenizer: tokenizer.ggml.eos_token_id is token 9, there are 3": func(p []gguf.Pair, x []gguf.Tensor) ([]gguf.Pair, []gguf.Tensor) {
			p[9].Value = uint32(9)
			return p, x
		},
	} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		pairs, tensors := edit(packedModel())
		if err := gguf.Write(path, pairs, tensors); err != nil {
			t.Fatal(err)
		}
		err := Failed(VerifyGGUF(context.Background(), path))
		if want == "" && err == nil {
			continue
		}
		if want == "" || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestValuesOfAGGUFFileThatAreNotFiniteAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	pairs, tensors := packedModel()
	if err := gguf.Write(path, pairs, tensors); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// output_norm is last, 16 bytes and padding to 32; its second value becomes a NaN.
	copy(raw[len(raw)-32+4:], []byte{0, 0, 0xc0, 0x7f})
	put(t, path, string(raw))
	if err := Failed(VerifyGGUF(context.Background(), path)); err == nil || err.Error() != "values: output_norm.weight[1] is NaN" {
		t.Errorf("%v", err)
	}
}

func TestConvertKeepsWhatTheTypeHolds(t *testing.T) {
	dir := folder(t, safetensors.F32, nil)
	put(t, filepath.Join(dir, "LICENSE"), "free")
	put(t, filepath.Join(dir, "old.bin"), "weights of another format")
	ctx := context.Background()
	for name, d := range map[string]safetensors.DType{"float16": safetensors.F16, "bfloat16": safetensors.BF16, "float32": safetensors.F32} {
		if got, err := ParseType(name); err != nil || got != d {
			t.Errorf("%s is %s, %v", name, got, err)
		}
		out := filepath.Join(t.TempDir(), "out")
		var last, all int64
		if err := Convert(ctx, dir, out, ConvertOptions{DType: d, MaxShard: 60000, Progress: func(done, total int64) { last, all = done, total }}); err != nil {
			t.Fatal(err)
		}
		if err := Failed(Verify(ctx, out)); err != nil || last != all || all == 0 {
			t.Errorf("%s: %v, %d of %d done", name, err, last, all)
		}
		raw, err := os.ReadFile(filepath.Join(out, model.ConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(raw); !strings.Contains(text, `"torch_dtype": "`+name+`"`) || !strings.Contains(text, "task_specific_params") {
			t.Errorf("%s: config.json %s", name, text)
		}
		for file, want := range map[string]bool{"LICENSE": true, "tokenizer.json": true, "old.bin": false, "model.safetensors": false, "model.safetensors.index.json": true} {
			if _, err := os.Stat(filepath.Join(out, file)); (err == nil) != want {
				t.Errorf("%s: %s is there: %v", name, file, err == nil)
			}
		}
		from, err := safetensors.OpenModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		to, err := safetensors.OpenModel(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range from.Names() {
			a, errA := from.Float32(n)
			b, errB := to.Float32(n)
			info, _ := to.Info(n)
			if errA != nil || errB != nil || info.DType != d || len(a) != len(b) {
				t.Fatal(n, errA, errB, info.DType)
			}
			for i := range a {
				want := a[i]
				switch d {
				case safetensors.F16:
					want = safetensors.F16ToFloat32(safetensors.Float32ToF16(want))
				case safetensors.BF16:
					want = safetensors.BF16ToFloat32(safetensors.Float32ToBF16(want))
				}
				if b[i] != want {
					t.Fatalf("%s: %s[%d] is %g, want %g", name, n, i, b[i], want)
				}
			}
		}
		if err := errors.Join(from.Close(), to.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	ctx := context.Background()
	for want, c := range map[string]struct {
		weights func(*model.Params)
		files   func(*testing.T, string)
		out     string
	}{
		"model.norm.weight[3] is 70000, beyond what F16 holds": {set("model.norm.weight", 3, 70000), nil, "new"},
		"model.embed_tokens.weight is [":                       {nil, func(t *testing.T, dir string) { change(t, dir, "vocab_size", 1000) }, "new"},
		"is not empty":                                         {nil, nil, ""},
		"`triality model burn-in`":                             {nil, func(t *testing.T, dir string) { change(t, dir, "model_type", "so8t") }, "new"},
	} {
		dir := folder(t, safetensors.F32, c.weights)
		if c.files != nil {
			c.files(t, dir)
		}
		out := t.TempDir()
		if c.out == "" {
			put(t, filepath.Join(out, "mine"), "")
		}
		err := Convert(ctx, dir, filepath.Join(out, c.out), ConvertOptions{DType: safetensors.F16})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := os.Stat(filepath.Join(out, "new")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: the folder is there", want)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := Convert(stopped, folder(t, safetensors.F32, nil), filepath.Join(t.TempDir(), "new"), ConvertOptions{DType: safetensors.F16}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := ParseType("int8"); err == nil {
		t.Error("int8 is a type")
	}
}
