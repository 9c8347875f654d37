package lora

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"triality/runtime/allocation"
)

func TestValidateNamesTheFieldAsTheConfigurationDoes(t *testing.T) {
	good := Config{R: 8, Alpha: 16, Dropout: 0.05, TargetModules: []string{"q_proj"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Config){
		"lora_r: 0":                       func(c *Config) { c.R = 0 },
		"lora_alpha: NaN":                 func(c *Config) { c.Alpha = math.NaN() },
		"lora_dropout: 1":                 func(c *Config) { c.Dropout = 1 },
		"lora_target_modules: empty":      func(c *Config) { c.TargetModules = nil },
		`lora_target_modules: "all-linea`: func(c *Config) { c.TargetModules = []string{"q_proj", AllLinear} },
		"lora_target_modules: a name":     func(c *Config) { c.TargetModules = []string{""} },
		"lora_exclude_modules: a name":    func(c *Config) { c.ExcludeModules = []string{"k_proj", ""} },
		"lora_modules_to_save: a name":    func(c *Config) { c.SaveModules = []string{""} },
		"lora_target_modules: both":       func(c *Config) { c.TargetPattern = "q_proj" },
		"lora_layers_to_transform: wants": func(c *Config) { c.TargetModules, c.Layers = []string{AllLinear}, []int{0} },
		"lora_layers_pattern: says":       func(c *Config) { c.LayersPattern = []string{"layers"} },
		"lora_dropout: -0.5":              func(c *Config) { c.Dropout = -0.5 },
		"lora_rank_pattern: v_proj: 0":    func(c *Config) { c.RankPattern = []Pattern[int]{{"v_proj", 0}} },
		"lora_alpha_pattern: v_proj: 0":   func(c *Config) { c.AlphaPattern = []Pattern[float64]{{"v_proj", 0}} },
		// Patterns that do not compile, with no other fault.
		"lora_exclude_modules":     func(c *Config) { c.ExcludePattern = "(" },
		"lora_rank_pattern":        func(c *Config) { c.RankPattern = []Pattern[int]{{"(", 4}} },
		"lora_alpha_pattern":       func(c *Config) { c.AlphaPattern = []Pattern[float64]{{"(", 4}} },
		"lora_target_modules":      func(c *Config) { c.TargetModules, c.TargetPattern = nil, "(" },
		"lora_layers_pattern: \"(": func(c *Config) { c.Layers, c.LayersPattern = []int{0}, []string{"("} },
	}
	for want, spoil := range tests {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestScaling(t *testing.T) {
	c := Config{R: 16, Alpha: 32}
	if c.Scaling() != 2 {
		t.Errorf("lora %g", c.Scaling())
	}
	c.RSLoRA = true
	if c.Scaling() != 8 {
		t.Errorf("rslora %g", c.Scaling())
	}
}

// peftFile has the fields that peft 0.15 writes.
const peftFile = `{
  "alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": "org/base", "bias": "none",
  "corda_config": null, "eva_config": null, "exclude_modules": null, "fan_in_fan_out": false,
  "inference_mode": true, "init_lora_weights": true, "layer_replication": null, "layers_pattern": null,
  "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 16, "lora_bias": false,
  "lora_dropout": 0.05, "megatron_config": null, "megatron_core": "megatron.core",
  "modules_to_save": null, "peft_type": "LORA", "r": 8, "rank_pattern": {}, "revision": null,
  "target_modules": ["v_proj", "q_proj"], "task_type": "CAUSAL_LM", "trainable_token_indices": null,
  "use_dora": false, "use_rslora": true
}`

func TestAConfigurationByPeftIsRead(t *testing.T) {
	c, base, err := parsePEFT([]byte(peftFile))
	if err != nil || base != "org/base" || c.R != 8 || c.Alpha != 16 || c.Dropout != 0.05 || !c.RSLoRA || !slices.Equal(c.TargetModules, []string{"v_proj", "q_proj"}) {
		t.Errorf("%+v %q %v", c, base, err)
	}
}

func TestFeaturesThatAreNotAppliedAreRefusedByName(t *testing.T) {
	for from, to := range map[string]string{
		`"bias": "none"`:               `"bias": "lora_only"`,
		`"fan_in_fan_out": false`:      `"fan_in_fan_out": true`,
		`"init_lora_weights": true`:    `"init_lora_weights": "pissa"`,
		`"peft_type": "LORA"`:          `"peft_type": "LOHA"`,
		`"lora_bias": false`:           `"lora_bias": true`,
		`"layer_replication": null`:    `"layer_replication": [[0, 1]]`,
		`"trainable_token_indices": n`: `"trainable_token_indices": [1], "x": n`,
	} {
		changed := strings.Replace(peftFile, from, to, 1)
		if changed == peftFile {
			t.Fatalf("%s is not in the sample", from)
		}
		field, _, _ := strings.Cut(strings.Trim(to, `"`), `"`)
		_, _, err := parsePEFT([]byte(changed))
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func FuzzParsePEFT(f *testing.F) {
	f.Add([]byte(peftFile))
	f.Add([]byte(`{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":"all-linear"}`))
	f.Add([]byte(`{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":".*[qv]_proj","exclude_modules":["a"],"rank_pattern":{"b":2,"a":3},"alpha_pattern":{"a":1.5}}`))
	f.Add([]byte(`{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":["q"],"layers_to_transform":3,"layers_pattern":"layers","modules_to_save":["lm_head"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c Config
		var base string
		var err error
		if got := allocation.Bytes(func() { c, base, err = parsePEFT(raw) }); got > allocation.Bound(len(raw)) {
			t.Fatalf("%d bytes made %d bytes of memory", len(raw), got)
		}
		if err != nil {
			return
		}
		again, err := formatPEFT(c, base)
		if err != nil {
			t.Fatal(err)
		}
		c2, base2, err := parsePEFT(again)
		if err != nil || base2 != base || c2.R != c.R || c2.Alpha != c.Alpha || !slices.Equal(c2.TargetModules, c.TargetModules) ||
			c2.TargetPattern != c.TargetPattern || c2.ExcludePattern != c.ExcludePattern || len(c2.RankPattern) != len(c.RankPattern) || !slices.Equal(c2.Layers, c.Layers) {
			t.Fatalf("%+v became %+v: %v", c, c2, err)
		}
	})
}

func TestTheSmallestRankIsOneAndAlphaIsMoreThanZero(t *testing.T) {
	for c, valid := range map[*Config]bool{
		{R: 1, Alpha: 0.5, TargetModules: []string{"q_proj"}}: true,
		{R: 0, Alpha: 1, TargetModules: []string{"q_proj"}}:   false,
		{R: 1, Alpha: 0, TargetModules: []string{"q_proj"}}:   false,
	} {
		if err := c.Validate(); (err == nil) != valid {
			t.Errorf("rank %d, alpha %v: %v", c.R, c.Alpha, err)
		}
	}
}

func TestWhatMayStandAloneIsValid(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"no dropout":              func(c *Config) { c.Dropout = 0 },
		"all linear modules":      func(c *Config) { c.TargetModules = []string{AllLinear} },
		"a pattern and no list":   func(c *Config) { c.TargetModules, c.TargetPattern = nil, "q_proj" },
		"a list in some layers":   func(c *Config) { c.Layers = []int{0} },
		"layers with a pattern":   func(c *Config) { c.Layers, c.LayersPattern = []int{0}, []string{"layers"} },
		"two names":               func(c *Config) { c.TargetModules = []string{"q_proj", "k_proj"} },
		"a rank of one by module": func(c *Config) { c.RankPattern = []Pattern[int]{{"q_proj", 1}} },
	} {
		c := Config{R: 8, Alpha: 16, Dropout: 0.05, TargetModules: []string{"q_proj"}}
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAKeyThatAPatternsObjectHasTwiceCountsOnceWithItsLastValue(t *testing.T) {
	for raw, want := range map[string][]Pattern[int]{
		`{"b": 1, "a": 2, "b": 3}`: {{"b", 3}, {"a", 2}},
		`{"b": 1, "a": 2, "a": 3}`: {{"b", 1}, {"a", 3}},
	} {
		var got byKey[int]
		if err := got.UnmarshalJSON([]byte(raw)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", raw, got, err, want)
		}
	}
}
