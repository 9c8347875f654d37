package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
	"triality/runtime/lora"
	"triality/runtime/model"
)

func testModel(t *testing.T, family string) (model.Config, *model.Params) {
	t.Helper()
	cfg, err := model.NamedShape{Name: "test", Hidden: 16, Layers: 2, Heads: 4, KVHeads: 2, FFN: 24, Positions: 64}.Config(family, testVocab)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Init(cfg, 3)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, p
}

// devices are those whose runs must resume to the same bytes.
func devices(t *testing.T, test func(t *testing.T, dev device.Device)) {
	for name, open := range map[string]func() device.Device{
		"reference": func() device.Device { return reference.New() },
		"cpu":       func() device.Device { return cpu.New(cpu.Options{Threads: 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			dev := open()
			defer dev.Close()
			test(t, dev)
		})
	}
}

func languageOptions(c *lora.Config) Options {
	o := testOptions()
	o.Epochs, o.SaveSteps, o.LearningRate, o.LoRA = 1, 0, 0.02, c
	return o
}

var testLoRA = lora.Config{R: 2, Alpha: 4, Dropout: 0.2, TargetModules: []string{"q_proj", "down_proj"}}

// testEnds has adapters on embedding and head, and testSaved trains them outright.
var (
	testEnds = lora.Config{
		R: 2, Alpha: 4, Dropout: 0.2, TargetModules: []string{"q_proj", "lm_head", "embed_tokens"},
		RankPattern: []lora.Pattern[int]{{Key: "lm_head", Value: 3}}, AlphaPattern: []lora.Pattern[float64]{{Key: "embed_tokens", Value: 1}},
	}
	testSaved = lora.Config{R: 2, Alpha: 4, TargetModules: []string{"q_proj"}, SaveModules: []string{"lm_head", "embed_tokens", "model.norm"}}
)

func TestALanguageModelCutBySignalsEndsAsOneThatWasNot(t *testing.T) {
	for name, c := range map[string]*lora.Config{"lora with dropout": &testLoRA, "lora on the ends": &testEnds, "weights trained outright": &testSaved, "whole model": nil} {
		t.Run(name, func(t *testing.T) {
			devices(t, func(t *testing.T, dev device.Device) {
				cfg, p := testModel(t, "qwen2")
				train, eval, opt := sentences(1, 20), sentences(2, 5), languageOptions(c)
				whole := t.TempDir()
				want, err := Run(context.Background(), dev, cfg, p, train, eval, whole, opt, nil)
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				for range 2 { // after the records of steps 3 and 4
					ctx, cancel := context.WithCancel(context.Background())
					_, err := Run(ctx, dev, cfg, p, train, eval, dir, opt, &journal{onRecord: func(Record) { cancel() }})
					if !errors.Is(err, ErrInterrupted) {
						t.Fatal(err)
					}
				}
				got, err := Run(context.Background(), dev, cfg, p, train, eval, dir, opt, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(fingerprint(t, &got.Result, dir), fingerprint(t, &want.Result, whole)) {
					t.Error("the result differs")
				}
				if (got.Adapter == nil) != (c == nil) || (got.Params == nil) != (c != nil) {
					t.Error("the wrong kind of result")
				}
			})
		})
	}
}

func hashOf(t *testing.T, p model.Source) string {
	t.Helper()
	sum, err := HashWeights(p)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// The digest is in replacement.json and in checkpoints: it must stay what it is.
func TestAWeightsHashIsOfNamesShapesAndValues(t *testing.T) {
	p, err := model.NewParams(
		model.Param{Name: "a.weight", Shape: []int{2, 1}, Data: []float32{1, -2}},
		model.Param{Name: "norm.weight", Shape: []int{1}, Data: []float32{0.5}})
	if err != nil {
		t.Fatal(err)
	}
	a, norm := sha256.Sum256([]byte("\x00\x00\x80\x3f\x00\x00\x00\xc0")), sha256.Sum256([]byte("\x00\x00\x00\x3f"))
	want := sha256.Sum256([]byte("\"a.weight\" [2 1]\n" + string(a[:]) + "\"norm.weight\" [1]\n" + string(norm[:])))
	if got := hashOf(t, p); got != hex.EncodeToString(want[:]) {
		t.Errorf("%s, want %x", got, want)
	}
	if _, err := HashWeights(unreadable{p}); err == nil || !strings.Contains(err.Error(), "norm.weight") {
		t.Errorf("a weight that cannot be read: %v", err)
	}
}

// unreadable is a source that lists its last weight and has it no more.
type unreadable struct{ model.Source }

func (u unreadable) ReadAt(name string, dst []float32, at int) error {
	if name == "norm.weight" {
		return fmt.Errorf("weight %s: gone", name)
	}
	return u.Source.ReadAt(name, dst, at)
}

func TestRunTrainsTheAdapterAndLeavesTheModel(t *testing.T) {
	cfg, p := testModel(t, "llama")
	before := hashOf(t, p)
	dev := reference.New()
	defer dev.Close()
	c := testLoRA
	c.Dropout = 0
	opt := languageOptions(&c)
	opt.Epochs, opt.LearningRate = 8, 0.05
	j := &journal{}
	res, err := Run(context.Background(), dev, cfg, p, sentences(1, 20), nil, t.TempDir(), opt, j)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := res.Records[0].Values["loss"], 0
	if last, _ := res.Last("loss"); last > first-0.02 {
		t.Errorf("loss %g → %g", first, last)
	}
	if hashOf(t, p) != before {
		t.Error("the base changed")
	}
	if want := 2 * (2*(16+16) + 2*(24+16)); j.starts[0].Weights != want {
		t.Errorf("%d trainable, want %d", j.starts[0].Weights, want)
	}
	moved := 0.0
	for _, m := range res.Adapter.Modules {
		for _, v := range m.B {
			moved += math.Abs(float64(v))
		}
	}
	if moved == 0 {
		t.Error("B did not move")
	}
}

func TestRunTrainsTheEndsAndUntiesThem(t *testing.T) {
	for name, c := range map[string]lora.Config{"lora": testEnds, "outright": testSaved} {
		t.Run(name, func(t *testing.T) {
			cfg, p := testModel(t, "llama")
			before := hashOf(t, p)
			dev := reference.New()
			defer dev.Close()
			c.Dropout = 0
			opt := languageOptions(&c)
			opt.Epochs, opt.LearningRate = 8, 0.05
			res, err := Run(context.Background(), dev, cfg, p, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil)
			if err != nil {
				t.Fatal(err)
			}
			first := res.Records[0].Values["loss"]
			if last, _ := res.Last("loss"); last > first-0.2 {
				t.Errorf("loss %g → %g", first, last)
			}
			if hashOf(t, p) != before {
				t.Error("the base changed")
			}
			trained, base := res.Adapter.Model(cfg, p)
			if !cfg.TieEmbeddings || trained.TieEmbeddings {
				t.Errorf("tied %v, then %v", cfg.TieEmbeddings, trained.TieEmbeddings)
			}
			folded, err := res.Adapter.Merge(dev, base)
			if err != nil {
				t.Fatal(err)
			}
			merged, err := model.ReadAll(folded)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []string{"model.embed_tokens.weight", "lm_head.weight"} {
				was, err := model.Read(base, n)
				if now, _ := merged.Get(n); err != nil || slices.Equal(was.Data, now.Data) {
					t.Errorf("%s did not change (%v)", n, err)
				}
			}
			// The evaluation that training ended with is that of the merged model.
			opt.LoRA, opt.MaxSteps, opt.LearningRate = nil, 1, 0
			again, err := Run(context.Background(), dev, trained, merged, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := res.Last("eval_loss")
			if got, _ := again.Last("eval_loss"); math.Abs(got/want-1) > 1e-5 {
				t.Errorf("merged, the loss is %g, was %g", got, want)
			}
		})
	}
}

func TestANormTrainedOutrightDoesNotDecay(t *testing.T) {
	cfg, p := testModel(t, "llama")
	after := map[string][][]float32{}
	for _, decay := range []float64{0, 0.5} {
		dev := reference.New()
		defer dev.Close()
		opt := languageOptions(&testSaved)
		opt.MaxSteps, opt.WarmupRatio, opt.WeightDecay = 1, 0, decay
		res, err := Run(t.Context(), dev, cfg, p, sentences(1, 6), nil, t.TempDir(), opt, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range res.Adapter.Saved {
			after[s.Name] = append(after[s.Name], s.Data)
		}
	}
	for name, v := range after {
		if same := slices.Equal(v[0], v[1]); same != (name == "model.norm.weight") {
			t.Errorf("%s is the same with and without weight decay: %t", name, same)
		}
	}
	if len(after) != 3 {
		t.Errorf("%d weights", len(after))
	}
}

func TestWeightsInCodesAreNotTrainedOutright(t *testing.T) {
	cfg, p := testModel(t, "llama")
	dev := reference.New()
	defer dev.Close()
	for key, st := range map[string]model.Storage{"load_in_8bit": {Int8: true}, "quantization": {FP8: true}} {
		opt := languageOptions(&lora.Config{R: 2, Alpha: 4, TargetModules: []string{"q_proj"}, SaveModules: []string{"o_proj"}})
		opt.Storage = st
		_, err := Run(context.Background(), dev, cfg, p, sentences(1, 6), nil, t.TempDir(), opt, nil)
		if err == nil || !strings.Contains(err.Error(), key+": model.layers.0.self_attn.o_proj") {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

// Whatever changes the result makes another run of it, and nothing else does: a key that a plain adapter had
// not before would refuse its checkpoints.
func TestARunsIdentityHasWhatDecidesItsModel(t *testing.T) {
	cfg, _ := testModel(t, "llama")
	identity := func(cfg model.Config, c *lora.Config, st model.Storage) map[string]string {
		t.Helper()
		var a *lora.Adapter
		if c != nil {
			var err error
			if a, err = lora.Empty(*c, cfg); err != nil {
				t.Fatal(err)
			}
		}
		id, err := modelIdentity(cfg, "abc", st, a)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	plain := func() *lora.Config {
		return &lora.Config{R: 2, Alpha: 4, Dropout: 0.25, TargetModules: []string{"q_proj", "up_proj"}}
	}
	whole, first := identity(cfg, nil, model.Storage{}), identity(cfg, plain(), model.Storage{})
	if len(whole) != 3 || whole["base_model"] != "abc" || whole["lora"] != "off" || len(whole["model_config"]) != 64 {
		t.Errorf("a whole model: %v", whole)
	}
	want := map[string]string{
		"base_model": "abc", "model_config": whole["model_config"], "lora_r": "2", "lora_alpha": "4", "lora_dropout": "0.25",
		"lora_target_modules": "q_proj up_proj", "use_rslora": "false",
	}
	if !maps.Equal(first, want) {
		t.Errorf("an adapter: %v", first)
	}
	wider := cfg
	wider.RopeTheta++
	if id := identity(wider, nil, model.Storage{}); id["model_config"] == whole["model_config"] {
		t.Error("another configuration has the same identity")
	}
	for key, change := range map[string]func(*lora.Config){
		"lora_alpha=4.125":             func(c *lora.Config) { c.Alpha = 4.125 },
		"use_rslora=true":              func(c *lora.Config) { c.RSLoRA = true },
		"use_dora=true":                func(c *lora.Config) { c.DoRA = true },
		"lora_target_pattern=.*q_proj": func(c *lora.Config) { c.TargetModules, c.TargetPattern = nil, ".*q_proj" },
		"lora_exclude_modules=up_proj": func(c *lora.Config) { c.ExcludeModules = []string{"up_proj"} },
		"lora_layers=[1] []":           func(c *lora.Config) { c.Layers = []int{1} },
		"lora_modules_to_save=norm":    func(c *lora.Config) { c.SaveModules = []string{"norm"} },
		"lora_pattern model.layers.0.self_attn.q_proj=3 1.3333333333333333": func(c *lora.Config) { c.RankPattern = []lora.Pattern[int]{{Key: "0.self_attn.q_proj", Value: 3}} },
		"lora_pattern model.layers.0.self_attn.q_proj=2 4.5":                func(c *lora.Config) { c.AlphaPattern = []lora.Pattern[float64]{{Key: "0.self_attn.q_proj", Value: 9}} },
	} {
		c := plain()
		change(c)
		id := identity(cfg, c, model.Storage{})
		name, value, _ := strings.Cut(key, "=")
		if id[name] != value {
			t.Errorf("%s: %v", key, id)
		}
	}
}

func TestRescaledGradientsHaveTheLengthThatIsAllowed(t *testing.T) {
	for _, tt := range []struct{ length, limit, lossScale, want float64 }{
		{5, 1, 1, 1}, {5, 10, 1, 5}, {5, 0, 1, 5}, {5, 1, 8, 1}, {5, 10, 8, 5}, {5, 0, 8, 5},
		{2e-6, 1e-6, 1, 2e-6 / 3}, // torch adds 1e-6 to the length
	} {
		if got := tt.length * tt.lossScale * gradFactor(tt.length, tt.limit, tt.lossScale); math.Abs(got-tt.want) > 1e-6*tt.want {
			t.Errorf("%+v: length %g", tt, got)
		}
	}
}

func TestPretrainingLearnsTheSequence(t *testing.T) {
	cfg, p := testModel(t, "llama")
	before := hashOf(t, p)
	dev := cpu.New(cpu.Options{Threads: 1})
	defer dev.Close()
	opt := languageOptions(nil)
	opt.Epochs, opt.LearningRate, opt.Scheduler = 15, 0.03, "constant"
	res, err := Run(context.Background(), dev, cfg, p, sentences(1, 20), sentences(2, 5), t.TempDir(), opt, nil)
	if err != nil {
		t.Fatal(err)
	}
	last, _ := res.Last("loss")
	if first := res.Records[0].Values["loss"]; first < 2.2 || last > 1.2 {
		t.Errorf("loss %g → %g; an even guess has %g", first, last, math.Log(testVocab))
	}
	if hashOf(t, p) != before || hashOf(t, res.Params) == before {
		t.Error("the trained model must be a new one")
	}
	if !slices.Equal(res.Params.Names(), p.Names()) {
		t.Error("weights are missing")
	}
}

// A packed window must give what its sequences give alone.
func TestPackedSequencesDoNotSeeEachOther(t *testing.T) {
	cfg, p := testModel(t, "qwen2")
	dev := reference.New()
	defer dev.Close()
	run := func(batch, accumulate int) *LanguageResult {
		opt := languageOptions(&lora.Config{R: 2, Alpha: 4, TargetModules: []string{lora.AllLinear}})
		opt.Epochs, opt.BatchSize, opt.GradientAccumulation, opt.LoggingSteps, opt.WarmupRatio = 2, batch, accumulate, 1, 0
		res, err := Run(context.Background(), dev, cfg, p, sentences(1, 6), nil, t.TempDir(), opt, nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	packed, alone := run(6, 1), run(1, 6)
	for i, w := range packed.Weights {
		for k, v := range w.Data {
			if d := math.Abs(float64(v - alone.Weights[i].Data[k])); d > 1e-6 {
				t.Fatalf("%s[%d] differs by %g", w.Name, k, d)
			}
		}
	}
	for i, r := range packed.Records {
		if d := math.Abs(r.Values["loss"] - alone.Records[i].Values["loss"]); d > 1e-6 {
			t.Errorf("loss differs by %g", d)
		}
	}
}

func TestNormsAndBiasesDoNotDecay(t *testing.T) {
	_, p := testModel(t, "qwen2")
	for _, w := range wholeModel(p) {
		if w.Decay != (len(w.Shape) == 2) {
			t.Errorf("%s %v: decay %t", w.Name, w.Shape, w.Decay)
		}
	}
}

func TestRunNamesAnUnknownTargetModule(t *testing.T) {
	cfg, p := testModel(t, "llama")
	dev := reference.New()
	defer dev.Close()
	opt := languageOptions(&lora.Config{R: 2, Alpha: 4, TargetModules: []string{"c_attn"}})
	_, err := Run(context.Background(), dev, cfg, p, sentences(1, 6), nil, t.TempDir(), opt, nil)
	if err == nil || !strings.Contains(err.Error(), "lora_target_modules") || !strings.Contains(err.Error(), "q_proj") {
		t.Errorf("got %v", err)
	}
}

func TestTrainingRefusesADropoutThatItWouldLeaveOut(t *testing.T) {
	text := []byte(`{"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
		"num_attention_heads": 2, "tie_word_embeddings": true, "attention_dropout": 0.5}`)
	for _, allowed := range []bool{false, true} {
		cfg, err := model.ParseConfig(text, model.AllowUnknown(allowed))
		if err != nil {
			t.Fatal(err)
		}
		p, err := model.Init(cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		o := DefaultOptions()
		o.Epochs, o.LoggingSteps = 1, 1
		o.LoRA = &lora.Config{R: 2, Alpha: 4, TargetModules: []string{"q_proj"}}
		_, err = Run(t.Context(), reference.New(), cfg, p, []Example{{IDs: []int32{3, 4, 5}, Labels: []int32{-100, 4, 5}}}, nil, t.TempDir(), o, nil)
		if allowed != (err == nil) || !allowed && !strings.Contains(err.Error(), "attention_dropout is 0.5") {
			t.Errorf("allowed %t: %v", allowed, err)
		}
	}
}
