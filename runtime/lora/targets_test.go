package lora

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// What peft 0.21 does with the same configuration on the same modules; names leave out "model.layers.".
func TestTargetsArePefts(t *testing.T) {
	cfg, _ := smallModel(t, "qwen2") // two layers
	const attention0, attention1 = "0.self_attn.q_proj 0.self_attn.k_proj 0.self_attn.v_proj 0.self_attn.o_proj", "1.self_attn.q_proj 1.self_attn.k_proj 1.self_attn.v_proj 1.self_attn.o_proj"
	const mlp0, mlp1 = "0.mlp.gate_proj 0.mlp.up_proj 0.mlp.down_proj", "1.mlp.gate_proj 1.mlp.up_proj 1.mlp.down_proj"
	for name, tt := range map[string]struct {
		c         Config
		want      string
		saved     string
		unmatched string
	}{
		"an ending":                              {Config{TargetModules: []string{"q_proj"}}, "0.self_attn.q_proj 1.self_attn.q_proj", "", ""},
		"a longer ending":                        {Config{TargetModules: []string{"1.mlp.up_proj"}}, "1.mlp.up_proj", "", ""},
		"a full name":                            {Config{TargetModules: []string{"model.layers.0.self_attn.q_proj"}}, "0.self_attn.q_proj", "", ""},
		"no part of a word":                      {Config{TargetModules: []string{"up_proj", "proj"}}, "0.mlp.up_proj 1.mlp.up_proj", "", "proj"},
		"all-linear leaves the head":             {Config{TargetModules: []string{AllLinear}}, strings.Join([]string{attention0, mlp0, attention1, mlp1}, " "), "", ""},
		"head and embedding by name":             {Config{TargetModules: []string{"lm_head", "embed_tokens"}}, "model.embed_tokens lm_head", "", ""},
		"a name that nothing has beside others":  {Config{TargetModules: []string{"q_proj", "c_attn"}}, "0.self_attn.q_proj 1.self_attn.q_proj", "", "c_attn"},
		"a regular expression, from end to end":  {Config{TargetPattern: `.*\.(q|v)_proj`}, "0.self_attn.q_proj 0.self_attn.v_proj 1.self_attn.q_proj 1.self_attn.v_proj", "", ""},
		"one with look-ahead":                    {Config{TargetPattern: `(?!.*\.0\.).*_proj`}, attention1 + " " + mlp1, "", ""},
		"one with a named group, as Python has":  {Config{TargetPattern: `.*\.(?P<layer>\d+)\.mlp\.up_proj`}, "0.mlp.up_proj 1.mlp.up_proj", "", ""},
		"excluded names":                         {Config{TargetModules: []string{AllLinear}, ExcludeModules: []string{"q_proj", "1.mlp.up_proj"}}, "0.self_attn.k_proj 0.self_attn.v_proj 0.self_attn.o_proj " + mlp0 + " 1.self_attn.k_proj 1.self_attn.v_proj 1.self_attn.o_proj 1.mlp.gate_proj 1.mlp.down_proj", "", ""},
		"an excluding expression":                {Config{TargetModules: []string{"q_proj"}, ExcludePattern: `.*\.0\..*`}, "1.self_attn.q_proj", "", ""},
		"some layers":                            {Config{TargetModules: []string{"q_proj"}, Layers: []int{1}}, "1.self_attn.q_proj", "", ""},
		"which a full name does not mind":        {Config{TargetModules: []string{"q_proj", "model.layers.0.mlp.up_proj"}, Layers: []int{1}}, "0.mlp.up_proj 1.self_attn.q_proj", "", ""},
		"layers by their list's name":            {Config{TargetModules: []string{"q_proj"}, Layers: []int{0}, LayersPattern: []string{"h", "layers"}}, "0.self_attn.q_proj", "", ""},
		"modules trained outright have none":     {Config{TargetModules: []string{AllLinear}, SaveModules: []string{"mlp", "lm_head"}, Layers: nil}, attention0 + " " + attention1, "0.mlp.gate_proj.weight 0.mlp.up_proj.weight 0.mlp.down_proj.weight 1.mlp.gate_proj.weight 1.mlp.up_proj.weight 1.mlp.down_proj.weight lm_head.weight", ""},
		"whichever of them is named first":       {Config{TargetModules: []string{"q_proj", "up_proj"}, SaveModules: []string{"lm_head", "mlp"}, ExcludePattern: `.*\.0\.self_attn.*`}, "1.self_attn.q_proj", "0.mlp.gate_proj.weight 0.mlp.up_proj.weight 0.mlp.down_proj.weight 1.mlp.gate_proj.weight 1.mlp.up_proj.weight 1.mlp.down_proj.weight lm_head.weight", ""},
		"norms, by the end of their names":       {Config{TargetModules: []string{"q_proj"}, SaveModules: []string{"model.norm", "0.input_layernorm"}}, "0.self_attn.q_proj 1.self_attn.q_proj", "0.input_layernorm.weight model.norm.weight", ""},
		"a module with a bias, both its weights": {Config{TargetModules: []string{"v_proj"}, SaveModules: []string{"0.self_attn.q_proj"}}, "0.self_attn.v_proj 1.self_attn.v_proj", "0.self_attn.q_proj.weight 0.self_attn.q_proj.bias", ""},
		"a module to save that is not there":     {Config{TargetModules: []string{"v_proj"}, SaveModules: []string{"score"}}, "0.self_attn.v_proj 1.self_attn.v_proj", "", "score"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.c.R, tt.c.Alpha = 2, 4
			a, err := Empty(tt.c, cfg)
			if err != nil {
				t.Fatal(err)
			}
			var got, saved []string
			for _, m := range a.Modules {
				got = append(got, strings.TrimPrefix(m.Name, "model.layers."))
			}
			for _, s := range a.Saved {
				saved = append(saved, strings.TrimPrefix(s.Name, "model.layers."))
			}
			if strings.Join(got, " ") != tt.want || strings.Join(saved, " ") != tt.saved || strings.Join(a.Unmatched, " ") != tt.unmatched {
				t.Errorf("adapters on %v\nwant %s\nsaved %v\nwant %s\nunmatched %v", got, tt.want, saved, tt.saved, a.Unmatched)
			}
		})
	}
}

func TestRankAndAlphaFollowTheFirstPatternThatANameEndsWith(t *testing.T) {
	cfg, _ := smallModel(t, "llama")
	a, err := Empty(Config{
		R: 4, Alpha: 8, TargetModules: []string{"q_proj", "up_proj", "down_proj"},
		RankPattern:  []Pattern[int]{{`layers\.1\..*`, 2}, {"up_proj", 8}, {"proj", 16}}, // the last is no end of a name's part
		AlphaPattern: []Pattern[float64]{{"(up|down)_proj", 3}},
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range a.Modules {
		r, alpha := 4, 8.0
		switch {
		case strings.Contains(m.Name, "layers.1."):
			r = 2
		case strings.HasSuffix(m.Name, "up_proj"):
			r = 8
		}
		if !strings.HasSuffix(m.Name, "q_proj") {
			alpha = 3
		}
		if m.R != r || m.Scaling != alpha/float64(r) {
			t.Errorf("%s: rank %d, scaling %g; want %d, %g", m.Name, m.R, m.Scaling, r, alpha/float64(r))
		}
	}
}

func TestTargetsThatPeftRefusesAreRefused(t *testing.T) {
	cfg, _ := smallModel(t, "llama")
	list := []string{"q_proj"}
	for name, tt := range map[string]struct {
		c    Config
		says string
		is   error
	}{
		"nothing matches":                 {Config{TargetModules: []string{"c_attn"}}, `no module matches ["c_attn"]`, nil},
		"and nothing limits the names":    {Config{TargetModules: []string{"c_attn"}}, "up_proj, v_proj\n", nil},
		"an expression that matches none": {Config{TargetPattern: "q_proj"}, `the regular expression "q_proj"`, nil},
		"no layer is left":                {Config{TargetModules: list, Layers: []int{7}}, "lora_layers_to_transform allows the layers [7]", nil},
		"all is excluded":                 {Config{TargetModules: list, ExcludeModules: list}, "lora_exclude_modules", nil},
		"all is trained outright":         {Config{TargetModules: list, SaveModules: list}, "lora_modules_to_save", nil},
		"a module that is no matrix":      {Config{TargetPattern: ".*self_attn.*"}, "model.layers.0.self_attn is neither", ErrUnsupported},
		"a norm":                          {Config{TargetModules: []string{"q_proj", "input_layernorm"}}, "input_layernorm is neither", ErrUnsupported},
		"an activation":                   {Config{TargetPattern: `.*mlp\..*`}, "mlp.act_fn is neither", ErrUnsupported},
		"DoRA on the embedding":           {Config{TargetModules: []string{"embed_tokens"}, DoRA: true}, "use_dora", ErrUnsupported},
		"an expression and layers":        {Config{TargetPattern: ".*q_proj", Layers: []int{0}}, "lora_layers_to_transform: wants", nil},
		"all-linear and layers":           {Config{TargetModules: []string{AllLinear}, Layers: []int{0}}, "lora_layers_to_transform: wants", nil},
		"a layers' name without layers":   {Config{TargetModules: list, LayersPattern: []string{"layers"}}, "lora_layers_pattern", nil},
		"a list and an expression":        {Config{TargetModules: list, TargetPattern: ".*"}, "both", nil},
		"what is no expression":           {Config{TargetPattern: "("}, "no regular expression", nil},
		"a pattern that is none":          {Config{TargetModules: list, RankPattern: []Pattern[int]{{"[", 2}}}, "lora_rank_pattern", nil},
		"a rank of none":                  {Config{TargetModules: list, RankPattern: []Pattern[int]{{"q_proj", 0}}}, "lora_rank_pattern: q_proj: 0", nil},
		"an alpha of none":                {Config{TargetModules: list, AlphaPattern: []Pattern[float64]{{"q_proj", -1}}}, "lora_alpha_pattern: q_proj: -1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			tt.c.R, tt.c.Alpha = 2, 4
			_, err := Empty(tt.c, cfg)
			if err == nil || !strings.Contains(err.Error()+"\n", tt.says) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestARegularExpressionThatTakesTooLongIsGivenUp(t *testing.T) {
	cfg, _ := smallModel(t, "llama")
	_, err := Empty(Config{R: 2, Alpha: 4, TargetPattern: `(.*)*!`}, cfg) // goes through every cut of a name into parts
	if err == nil || !strings.Contains(err.Error(), `on "model.`) || !strings.Contains(err.Error(), "match timeout") {
		t.Errorf("error %v", err)
	}
}

func TestAListOfNothingIsWrittenAsPeftsNull(t *testing.T) {
	none, noLayers := []string{}, []int{}
	raw, err := formatPEFT(Config{R: 2, Alpha: 4, TargetPattern: "x", ExcludeModules: none, SaveModules: none, LayersPattern: none, Layers: noLayers}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"exclude_modules", "modules_to_save", "layers_pattern", "layers_to_transform"} {
		if !strings.Contains(string(raw), `"`+field+`": null`) {
			t.Errorf("%s is not null in %s", field, raw)
		}
	}
}

func TestAFieldOfPeftsIsAListOrAText(t *testing.T) {
	for from, check := range map[string]func(Config) bool{
		`"target_modules": ".*[qv]_proj"`:                   func(c Config) bool { return c.TargetPattern == ".*[qv]_proj" && c.TargetModules == nil },
		`"target_modules": "all-linear"`:                    func(c Config) bool { return slices.Equal(c.TargetModules, []string{AllLinear}) },
		`"target_modules": ["a"], "exclude_modules": ["b"]`: func(c Config) bool { return slices.Equal(c.ExcludeModules, []string{"b"}) },
		`"target_modules": ["a"], "exclude_modules": "b.*"`: func(c Config) bool { return c.ExcludePattern == "b.*" },
		`"target_modules": ["a"], "layers_to_transform": 3`: func(c Config) bool { return slices.Equal(c.Layers, []int{3}) },
		`"target_modules": ["a"], "layers_to_transform": [1, 2], "layers_pattern": "h"`: func(c Config) bool {
			return slices.Equal(c.Layers, []int{1, 2}) && slices.Equal(c.LayersPattern, []string{"h"})
		},
		`"target_modules": ["a"], "modules_to_save": ["lm_head"]`: func(c Config) bool { return slices.Equal(c.SaveModules, []string{"lm_head"}) },
		`"target_modules": ["a"], "rank_pattern": {"z": 3, "b": 2}, "alpha_pattern": {"z": 1.5}`: func(c Config) bool { // in the file's order
			return slices.Equal(c.RankPattern, []Pattern[int]{{"z", 3}, {"b", 2}}) && slices.Equal(c.AlphaPattern, []Pattern[float64]{{"z", 1.5}})
		},
	} {
		c, _, err := parsePEFT([]byte(`{"peft_type": "LORA", "r": 2, "lora_alpha": 4, ` + from + `}`))
		if err != nil || !check(c) {
			t.Errorf("%s: %+v, %v", from, c, err)
			continue
		}
		raw, err := formatPEFT(c, "")
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := parsePEFT(raw); err != nil || again.TargetPattern != c.TargetPattern || again.ExcludePattern != c.ExcludePattern ||
			!slices.Equal(again.Layers, c.Layers) || !slices.Equal(again.SaveModules, c.SaveModules) || len(again.RankPattern) != len(c.RankPattern) {
			t.Errorf("%s written and read: %+v, %v", from, again, err)
		}
	}
}
