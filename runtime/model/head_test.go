package model

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/safetensors"
)

// withHead saves a tied model with a head beside the embedding: a copy of it, changed by change.
func withHead(t *testing.T, dtype safetensors.DType, change func(head []float32)) (dir string, head []float32) {
	t.Helper()
	c := small(t, "qwen2", true)
	p := lively(t, c)
	embed, _ := p.Get(embedName)
	head = slices.Clone(embed.Data)
	change(head)
	if err := p.Set(Param{headName, embed.Shape, head}); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := errors.Join(c.Save(dir), p.Save(dir, dtype)); err != nil {
		t.Fatal(err)
	}
	return dir, head
}

func TestAStoredHeadIsTakenWhereItIsNotTheEmbeddingThatItIsTiedTo(t *testing.T) {
	for name, c := range map[string]struct {
		dtype  safetensors.DType
		change func([]float32)
		own    bool
	}{
		"a copy of the embedding":                      {safetensors.F32, func([]float32) {}, false},
		"a copy in bfloat16":                           {safetensors.BF16, func([]float32) {}, false},
		"one that differs in its last value":           {safetensors.F32, func(h []float32) { h[len(h)-1] += 1e-6 }, true},
		"one that differs in its first value":          {safetensors.BF16, func(h []float32) { h[0] = 2 * h[1] }, true},
		"one that the storage rounds to the embedding": {safetensors.BF16, func(h []float32) { h[3] *= 1 + 1e-6 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, head := withHead(t, c.dtype, c.change)
			cfg, err := LoadConfig(dir)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.TieEmbeddings == c.own {
				t.Fatalf("tied is %t", cfg.TieEmbeddings)
			}
			p, err := LoadParams(dir, cfg)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := p.Get(headName)
			if ok != c.own || c.own && c.dtype == safetensors.F32 && !slices.Equal(got.Data, head) {
				t.Errorf("there is a head: %t", ok)
			}
			// What is written says so, for readers that believe config.json.
			again := t.TempDir()
			if err := errors.Join(cfg.Save(again), p.Save(again, safetensors.F32)); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(filepath.Join(again, ConfigFile))
			if err != nil || strings.Contains(string(raw), `"tie_word_embeddings": true`) == c.own {
				t.Errorf("written %s (%v)", raw, err)
			}
		})
	}
}

func TestAWeightThatIsNotFiniteIsRefusedWhereItIsRead(t *testing.T) {
	c := small(t, "llama", true)
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		p := lively(t, c)
		dir := t.TempDir()
		if err := errors.Join(c.Save(dir), p.Save(dir, safetensors.F32)); err != nil {
			t.Fatal(err)
		}
		norm, _ := p.Get("model.layers.1.input_layernorm.weight")
		norm.Data[3] = bad
		if err := p.Save(t.TempDir(), safetensors.F32); err == nil || !strings.Contains(err.Error(), "model.layers.1.input_layernorm.weight[3]") {
			t.Errorf("writing %g: %v", bad, err)
		}
		path := filepath.Join(dir, WeightsFile)
		var list []safetensors.Tensor
		for _, n := range p.Names() {
			x, _ := p.Get(n)
			list = append(list, safetensors.Tensor{Name: n, Shape: x.Shape, Float32: x.Data})
		}
		if err := safetensors.Write(path, list, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadParams(dir, c); err == nil || !strings.Contains(err.Error(), "model.layers.1.input_layernorm.weight[3]") {
			t.Errorf("reading %g: %v", bad, err)
		}
	}
}

func TestAMissingShardIsNamedFirst(t *testing.T) {
	c := small(t, "llama", true)
	dir := t.TempDir()
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	index := `{"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}`
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := OpenFolder(dir, c)
	if err == nil || !strings.HasPrefix(err.Error(), "model-00002-of-00002.safetensors is missing") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
