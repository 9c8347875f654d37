package lora

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"triality/runtime/safetensors"
)

func TestWeightsThatPeftWritesBesideAnAdapterStandForTheModelsOwn(t *testing.T) {
	cfg, p := smallModel(t, "llama")
	a := trained(t, Config{R: 2, Alpha: 4, TargetModules: []string{"lm_head"}}, cfg)
	head, _ := p.Get("model.embed_tokens.weight")
	data := make([]float32, len(head.Data))
	for i := range data {
		data[i] = 2 * head.Data[i]
	}
	a.Base = []Saved{{"lm_head.weight", head.Shape, data}}
	dir := t.TempDir()
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := f.Info("base_model.model.lm_head.base_layer.weight"); !ok {
		t.Errorf("the file has %v", f.Names())
	}
	got, err := Read(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	// In peft's model the head's weight is the embedding itself: loading writes both.
	double := p.Clone()
	twice, _ := double.Get("model.embed_tokens.weight")
	copy(twice.Data, data)
	a.Base = nil
	if d := distance(logits(t, cfg, p, got), logits(t, cfg, double, a)); d != 0 {
		t.Errorf("off by %g", d)
	}
}

func TestAnEmbeddingsWeightsHavePeftsNamesAndShapes(t *testing.T) {
	cfg, _ := smallModel(t, "llama")
	dir := t.TempDir()
	a := trained(t, Config{R: 3, Alpha: 8, TargetModules: []string{"embed_tokens"}, SaveModules: []string{"lm_head"}}, cfg)
	a.Saved[0].Data = make([]float32, 19*16)
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, shape := range map[string][]int{
		"base_model.model.model.embed_tokens.lora_embedding_A": {3, 19}, "base_model.model.model.embed_tokens.lora_embedding_B": {16, 3},
		"base_model.model.lm_head.weight": {19, 16},
	} {
		if info, ok := f.Info(name); !ok || !reflect.DeepEqual(info.Shape, shape) {
			t.Errorf("%s is %v; the file has %v", name, info.Shape, f.Names())
		}
	}
	va, _ := f.Float32("base_model.model.model.embed_tokens.lora_embedding_A")
	if len(f.Names()) != 3 || va[1] != a.Modules[0].B[3] { // token 1, rank 0
		t.Errorf("%v, %v", f.Names(), va[:3])
	}
}

func TestAnAdapterReadsBackAsWritten(t *testing.T) {
	cfg, p := smallModel(t, "qwen2")
	dir := t.TempDir()
	a := trained(t, Config{R: 4, Alpha: 8, Dropout: 0.1, RSLoRA: true, DoRA: true, TargetModules: []string{AllLinear}}, cfg)
	lengthen(t, a, cfg, p)
	a.BaseModel = "org/base"
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want := "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj"; strings.Join(got.TargetModules, " ") != want {
		t.Errorf("targets %v", got.TargetModules)
	}
	got.TargetModules = a.TargetModules
	if !reflect.DeepEqual(got, a) {
		t.Error("the adapter differs")
	}
}

func TestTheWeightsHavePeftsNamesAndShapes(t *testing.T) {
	cfg, _ := smallModel(t, "llama")
	dir := t.TempDir()
	if err := trained(t, Config{R: 4, Alpha: 8, TargetModules: []string{"k_proj"}}, cfg).Write(dir); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, okA := f.Info("base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight")
	b, okB := f.Info("base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight")
	if !okA || !okB || len(f.Names()) != 4 || !reflect.DeepEqual(a.Shape, []int{4, 16}) || !reflect.DeepEqual(b.Shape, []int{8, 4}) || f.Metadata()["format"] != "pt" {
		t.Errorf("%v %v %v", f.Names(), a, b)
	}
}

func TestWeightsThatDoNotFitAreNamed(t *testing.T) {
	cfg, _ := smallModel(t, "llama")
	dir := t.TempDir()
	if err := trained(t, Config{R: 4, Alpha: 8, TargetModules: []string{"k_proj"}}, cfg).Write(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ConfigFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ from, to, want string }{
		"another rank":    {`"r": 4`, `"r": 2`, "lora_A.weight is [4 16], want [2 16]"},
		"more targets":    {`"k_proj"`, `"k_proj", "v_proj"`, "v_proj.lora_A.weight is missing"},
		"other targets":   {`"k_proj"`, `"v_proj"`, "k_proj.lora_B.weight is unexpected"},
		"unknown targets": {`"k_proj"`, `"c_attn"`, `no module matches ["c_attn"]; there are down_proj, embed_tokens, gate_proj`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(strings.Replace(string(raw), tt.from, tt.to, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(dir, cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOfManyWeightsThatDoNotFitEightAreNamed(t *testing.T) {
	for targets, end := range map[string]string{ // a target has four weights
		`"k_proj", "v_proj", "q_proj"`:           "v_proj.lora_B.weight is missing",
		`"k_proj", "v_proj", "q_proj", "o_proj"`: "is missing; and 4 more",
	} {
		cfg, _ := smallModel(t, "llama")
		dir := t.TempDir()
		if err := trained(t, Config{R: 4, Alpha: 8, TargetModules: []string{"k_proj"}}, cfg).Write(dir); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, ConfigFile)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(raw), `"k_proj"`, targets, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err = Read(dir, cfg); err == nil || strings.Count(err.Error(), "is missing") != 8 || !strings.HasSuffix(err.Error(), end) {
			t.Errorf("%s: %v", targets, err)
		}
	}
}
