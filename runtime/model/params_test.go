package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"triality/runtime/realdata"
	"triality/runtime/safetensors"
)

func small(t *testing.T, modelType string, tied bool) Config {
	t.Helper()
	c, err := NamedShape{"test", 24, 2, 6, 2, 40, 64}.Config(modelType, 50)
	if err != nil {
		t.Fatal(err)
	}
	c.TieEmbeddings = tied
	return c
}

func fresh(t *testing.T, c Config, seed uint64) *Params {
	t.Helper()
	p, err := Init(c, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWeightsSurviveSaveAndLoad(t *testing.T) {
	for _, c := range []Config{small(t, "llama", true), small(t, "llama", false), small(t, "qwen2", true)} {
		dir := t.TempDir()
		p := fresh(t, c, 3)
		if err := p.Save(dir, safetensors.F32); err != nil {
			t.Fatal(err)
		}
		got, err := LoadParams(dir, c)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Names(), p.Names()) {
			t.Fatalf("read %v, want %v", got.Names(), p.Names())
		}
		for _, n := range p.Names() {
			a, _ := p.Get(n)
			b, _ := got.Get(n)
			if !slices.Equal(a.Data, b.Data) || !slices.Equal(a.Shape, b.Shape) {
				t.Errorf("%s differs after save and load", n)
			}
		}
		if _, ok := p.Get(headName); ok == c.TieEmbeddings {
			t.Errorf("tied is %t and the head's presence %t", c.TieEmbeddings, ok)
		}
	}
}

func TestWeightsThatDoNotFitAreNamed(t *testing.T) {
	c := small(t, "llama", true)
	save := func(list ...Param) string {
		dir := t.TempDir()
		p := fresh(t, c, 1)
		for _, x := range list {
			if err := p.Set(x); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Save(dir, safetensors.F32); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	check := func(name, want string, dir string, c Config, extra ...Spec) {
		t.Helper()
		_, err := LoadParams(dir, c, extra...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s gives %v, want %q", name, err, want)
		}
	}
	untied := c
	untied.TieEmbeddings = false
	check("a missing head", "lm_head.weight [50 24] is missing", save(), untied)
	check("an unknown weight", "surprise is unexpected", save(Param{"surprise", []int{1}, []float32{1}}), c)
	check("an expected addition", "", save(Param{"safety_head.weight", []int{1}, []float32{1}}), c, Spec{"safety_head.weight", []int{1}})
	check("a missing addition", "safety_head.weight [1] is missing", save(), c, Spec{"safety_head.weight", []int{1}})
	check("another shape", "model.norm.weight is [1], config.json makes it [24]", save(Param{normName, []int{1}, []float32{1}}), c)
	check("a head beside tied embeddings", "", save(Param{headName, []int{1}, []float32{1}}), c)
	check("an old rotary table", "", save(Param{"model.layers.0.self_attn.rotary_emb.inv_freq", []int{1}, []float32{1}}), c)
	wide := c
	wide.Layers = 9
	check("many missing layers", "more", save(), wide)
	if err := (&Params{byName: map[string]*Param{}}).Set(Param{"x", []int{2, 2}, make([]float32, 3)}); err == nil {
		t.Error("a weight of 3 elements in shape [2, 2] is accepted")
	}
}

func TestFreshWeightsAreNormalAndDeterministic(t *testing.T) {
	c := small(t, "qwen2", true)
	a, b, other := fresh(t, c, 7), fresh(t, c, 7), fresh(t, c, 8)
	x, _ := a.Get(embedName)
	y, _ := b.Get(embedName)
	z, _ := other.Get(embedName)
	if !slices.Equal(x.Data, y.Data) || slices.Equal(x.Data, z.Data) {
		t.Error("the weights are not a function of the seed")
	}
	gate, _ := a.Get("model.layers.0.mlp.gate_proj.weight")
	for _, w := range []struct {
		data []float32
		want float64
	}{{x.Data, embeddingStd}, {gate.Data, 1 / math.Sqrt(3*float64(c.HiddenSize))}} {
		sum, squares := 0.0, 0.0
		for _, v := range w.data {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		n := float64(len(w.data))
		if mean, std := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 4*w.want/math.Sqrt(n) || math.Abs(std/w.want-1) > 0.1 {
			t.Errorf("%g weights have mean %g and deviation %g, want 0 and %g", n, mean, std, w.want)
		}
	}
	norm, _ := a.Get(normName)
	bias, _ := a.Get("model.layers.0.self_attn.q_proj.bias")
	if slices.Max(norm.Data) != 1 || slices.Min(norm.Data) != 1 || slices.Max(bias.Data) != 0 || slices.Min(bias.Data) != 0 {
		t.Error("norms are not one or biases not zero")
	}
	up, _ := a.Get("model.layers.0.mlp.up_proj.weight")
	if slices.Equal(gate.Data, up.Data) {
		t.Error("two weights of one shape are equal")
	}
}

func TestEveryNamedShapeMakesAModelOfEveryFamily(t *testing.T) {
	for _, s := range Shapes() {
		for _, f := range Families() {
			if c, err := s.Config(f, 1000); err != nil || c.HeadDim*c.Heads != c.HiddenSize {
				t.Errorf("%s as %s: %+v, %v", s.Name, f, c, err)
			}
		}
	}
	if _, err := Shapes()[0].Config("gpt2", 1000); err == nil {
		t.Error("an unknown family is accepted")
	}
}

func TestARealModelLoads(t *testing.T) {
	dir := realdata.Path(t, "models/stories260K")
	c, err := LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := LoadParams(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	if p.Elements() < 250_000 || p.Elements() > 270_000 {
		t.Errorf("the model has %d parameters", p.Elements())
	}
}
