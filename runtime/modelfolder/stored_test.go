package modelfolder

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/gguf"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

func TestVerifyCountsEveryTensorAndNamesThoseThatNothingUses(t *testing.T) {
	head := func(off float32) func(*model.Params) {
		return func(p *model.Params) {
			embed, _ := p.Get("model.embed_tokens.weight")
			own := slices.Clone(embed.Data)
			own[0] += off
			p.Set(model.Param{Name: "lm_head.weight", Shape: embed.Shape, Data: own})
			p.Set(model.Param{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", Shape: []int{8}, Data: make([]float32, 8)})
		}
	}
	for off, want := range map[float32]string{
		0: "28: 26 with the shape the configuration gives them, 2 that nothing uses: lm_head.weight (equal to the embedding it is tied to), model.layers.0.self_attn.rotary_emb.inv_freq (a table that config.json gives)",
		1: "28: 27 with the shape the configuration gives them, 1 that nothing uses: model.layers.0.self_attn.rotary_emb.inv_freq (a table that config.json gives)",
	} {
		checks := Verify(context.Background(), folder(t, safetensors.F32, head(off)))
		if err := Failed(checks); err != nil {
			t.Fatal(err)
		}
		if checks[1].Name != "tensors" || checks[1].Detail != want {
			t.Errorf("a head that is off by %g: %s, want %s", off, checks[1].Detail, want)
		}
	}
}

func TestConvertKeepsAHeadOfItsOwn(t *testing.T) {
	var head []float32
	dir := folder(t, safetensors.F32, func(p *model.Params) {
		embed, _ := p.Get("model.embed_tokens.weight")
		head = slices.Clone(embed.Data)
		head[5]++
		p.Set(model.Param{Name: "lm_head.weight", Shape: embed.Shape, Data: head})
	})
	out := filepath.Join(t.TempDir(), "out")
	if err := Convert(context.Background(), dir, out, ConvertOptions{DType: safetensors.F32}); err != nil {
		t.Fatal(err)
	}
	cfg, err := model.LoadConfig(out)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.LoadParams(out, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if x, ok := p.Get("lm_head.weight"); !ok || !slices.Equal(x.Data, head) {
		t.Error("the head is not that of the source")
	}
}

func TestConvertRefusesValuesThatAreNotFinite(t *testing.T) {
	const down = "model.layers.1.mlp.down_proj.weight" // [64, 96]
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, to := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
			out := filepath.Join(t.TempDir(), "out")
			err := Convert(context.Background(), folder(t, safetensors.F32, set(down, 10*96+11, bad)), out, ConvertOptions{DType: to})
			if err == nil || !strings.Contains(err.Error(), down+"[10 11] is "+fmt.Sprintf("%g", bad)) {
				t.Errorf("%g to %s: %v", bad, to, err)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a folder is left")
			}
		}
	}
}

func TestAMissingShardIsNamedFirst(t *testing.T) {
	dir := folder(t, safetensors.F32, nil)
	put(t, filepath.Join(dir, "model.safetensors.index.json"), `{"weight_map":{"model.norm.weight":"model-00001-of-00002.safetensors"}}`)
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, exported := gguf.Export(context.Background(), dir, filepath.Join(t.TempDir(), "m.gguf"), gguf.Options{Type: gguf.F16})
	for what, err := range map[string]error{
		"verify":  Verify(context.Background(), dir)[1].Err,
		"convert": Convert(context.Background(), dir, filepath.Join(t.TempDir(), "out"), ConvertOptions{DType: safetensors.F16}),
		"export":  exported,
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "model-00001-of-00002.safetensors is missing") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheTextModelOfALargerOnePassesAndIsConvertedWithTheRest(t *testing.T) {
	source := filepath.Join("..", "parity", "testdata", "ministral3")
	checks := Verify(context.Background(), source)
	if checks[0].Err != nil || !strings.Contains(checks[0].Detail, "ministral3") || !strings.Contains(checks[0].Detail, "text model of a larger one") {
		t.Errorf("configuration: %+v", checks[0])
	}
	if checks[1].Err != nil || !strings.HasPrefix(checks[1].Detail, "35: 20 with the shape") || !strings.Contains(checks[1].Detail, "vision_tower.ln_pre.weight (for images)") {
		t.Errorf("tensors: %+v", checks[1])
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := Convert(context.Background(), source, out, ConvertOptions{DType: safetensors.BF16}); err != nil {
		t.Fatal(err)
	}
	cfg, err := model.LoadConfig(out)
	if err != nil || !cfg.Nested || cfg.DType() != "bfloat16" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	if _, err := model.LoadParams(out, cfg); err != nil {
		t.Error(err)
	}
}
