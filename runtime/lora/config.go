package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// AllLinear is the entry of TargetModules that stands for every linear module but the output head.
const AllLinear = "all-linear"

// Config describes an adapter. Modules are named as peft's LoraConfig names them.
type Config struct {
	R       int     // lora_r: rank
	Alpha   float64 // lora_alpha
	Dropout float64 // lora_dropout: rate on the adapter's input while training
	RSLoRA  bool    // use_rslora: scaling α/√r (Kalajdzievski 2023) instead of α/r
	DoRA    bool    // use_dora: each row's length is trained apart from its direction (Liu et al. 2024)

	TargetModules  []string // lora_target_modules: names or name endings ("q_proj"), or AllLinear alone
	TargetPattern  string   // instead: a regular expression that a full name matches from end to end
	ExcludeModules []string // lora_exclude_modules: names or name endings that get none
	ExcludePattern string   // instead: a regular expression
	Layers         []int    // lora_layers_to_transform: of what TargetModules' endings name, these layers alone
	LayersPattern  []string // lora_layers_pattern: what stands before a layer's number; empty: anything
	// RankPattern and AlphaPattern give modules another rank and alpha: of the first regular expression
	// that their name ends with.
	RankPattern  []Pattern[int]
	AlphaPattern []Pattern[float64]
	SaveModules  []string // lora_modules_to_save: endings of the names of modules that are trained outright
}

// Pattern is a value for the modules whose names end with what a regular expression matches.
type Pattern[T any] struct {
	Key   string
	Value T
}

// Scaling is the factor of the adapter's product, where no pattern says otherwise.
func (c Config) Scaling() float64 { return scaling(c.Alpha, c.R, c.RSLoRA) }

func scaling(alpha float64, r int, root bool) float64 {
	if root {
		return alpha / math.Sqrt(float64(r))
	}
	return alpha / float64(r)
}

// Validate returns every fault, each under the field's configuration name.
func (c Config) Validate() error {
	var faults []error
	fail := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	rank := func(name string, r int) {
		if r < 1 {
			fail("%s: %d: must be at least 1", name, r)
		}
	}
	alpha := func(name string, a float64) {
		if math.IsNaN(a) || math.IsInf(a, 0) || a <= 0 {
			fail("%s: %v: must be more than 0", name, a)
		}
	}
	rank("lora_r", c.R)
	alpha("lora_alpha", c.Alpha)
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		fail("lora_dropout: %v: must be at least 0 and less than 1", c.Dropout)
	}
	for _, p := range c.RankPattern {
		rank("lora_rank_pattern: "+p.Key, p.Value)
	}
	for _, p := range c.AlphaPattern {
		alpha("lora_alpha_pattern: "+p.Key, p.Value)
	}
	for _, list := range []struct {
		name    string
		entries []string
	}{{"lora_target_modules", c.TargetModules}, {"lora_exclude_modules", c.ExcludeModules}, {"lora_modules_to_save", c.SaveModules}} {
		if slices.Contains(list.entries, "") {
			fail("%s: a name is empty", list.name)
		}
	}
	switch all := slices.Contains(c.TargetModules, AllLinear); {
	case len(c.TargetModules) == 0 && c.TargetPattern == "":
		fail("lora_target_modules: empty: name the modules, or %q", AllLinear)
	case len(c.TargetModules) > 0 && c.TargetPattern != "":
		fail("lora_target_modules: both a list and the pattern %q", c.TargetPattern)
	case all && len(c.TargetModules) > 1:
		fail("lora_target_modules: %q stands alone", AllLinear)
	case len(c.Layers) > 0 && (all || c.TargetPattern != ""):
		fail("lora_layers_to_transform: wants lora_target_modules as a list of names, as in peft")
	}
	if len(c.LayersPattern) > 0 && len(c.Layers) == 0 {
		fail("lora_layers_pattern: says where a layer's number stands, and lora_layers_to_transform names no layer")
	}
	if _, err := c.compile(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
