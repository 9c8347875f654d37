package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
)

// AllLinear is the entry of TargetModules that stands for every linear module but the output head.
const AllLinear = "all-linear"

// Config describes an adapter.
type Config struct {
	R             int      // lora_r: rank
	Alpha         float64  // lora_alpha
	Dropout       float64  // lora_dropout: rate on the adapter's input while training
	TargetModules []string // lora_target_modules: names or name endings ("q_proj"), or AllLinear alone
	RSLoRA        bool     // use_rslora: scaling α/√r (Kalajdzievski 2023) instead of α/r
	DoRA          bool     // use_dora: each row's length is trained apart from its direction (Liu et al. 2024)
}

// Scaling is the factor of the adapter's product.
func (c Config) Scaling() float64 {
	if c.RSLoRA {
		return c.Alpha / math.Sqrt(float64(c.R))
	}
	return c.Alpha / float64(c.R)
}

// Validate returns every fault, each under the field's configuration name.
func (c Config) Validate() error {
	var faults []error
	if c.R < 1 {
		faults = append(faults, fmt.Errorf("lora_r: %d: must be at least 1", c.R))
	}
	if math.IsNaN(c.Alpha) || math.IsInf(c.Alpha, 0) || c.Alpha <= 0 {
		faults = append(faults, fmt.Errorf("lora_alpha: %v: must be more than 0", c.Alpha))
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		faults = append(faults, fmt.Errorf("lora_dropout: %v: must be at least 0 and less than 1", c.Dropout))
	}
	switch {
	case len(c.TargetModules) == 0:
		faults = append(faults, fmt.Errorf("lora_target_modules: empty: name the modules, or %q", AllLinear))
	case slices.Contains(c.TargetModules, AllLinear) && len(c.TargetModules) > 1:
		faults = append(faults, fmt.Errorf("lora_target_modules: %q stands alone", AllLinear))
	case slices.Contains(c.TargetModules, ""):
		faults = append(faults, errors.New("lora_target_modules: a name is empty"))
	}
	return errors.Join(faults...)
}

// resolve picks the targeted ones of a model's linear modules, in the model's order. As in peft, a
// target matches a module of its full name or of which it is the last part after a dot. A target
// that matches nothing is an error.
func (c Config) resolve(modules []string) ([]string, error) {
	if slices.Equal(c.TargetModules, []string{AllLinear}) {
		return modules, nil
	}
	used := map[string]bool{}
	var found []string
	for _, m := range modules {
		hit := false
		for _, t := range c.TargetModules {
			if m == t || strings.HasSuffix(m, "."+t) {
				hit, used[t] = true, true
			}
		}
		if hit {
			found = append(found, m)
		}
	}
	for _, t := range c.TargetModules {
		if !used[t] {
			return nil, fmt.Errorf("lora_target_modules: no module is called %q; there are %s", t, strings.Join(endings(modules), ", "))
		}
	}
	return found, nil
}

// endings lists the distinct last parts of module names.
func endings(modules []string) []string {
	var out []string
	for _, m := range modules {
		if end := m[strings.LastIndex(m, ".")+1:]; !slices.Contains(out, end) {
			out = append(out, end)
		}
	}
	sort.Strings(out)
	return out
}
