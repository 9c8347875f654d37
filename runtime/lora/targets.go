package lora

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"triality/runtime/model"
)

// named is a module of a model, as torch's named_modules lists them.
type named struct {
	name    string
	kind    moduleKind
	out, in int
}

type moduleKind int

const (
	container moduleKind = iota // or any other module that can have no adapter
	linearModule
	headModule
	embedding
)

// modules lists a model's modules.
func modules(cfg model.Config) []named {
	d, v := cfg.HiddenSize, cfg.VocabSize
	list := []named{{name: "model"}, {model.EmbedModule, embedding, v, d}, {name: "model.rotary_emb"}}
	seen := map[string]bool{"model": true, model.EmbedModule: true}
	linear := map[string]model.Spec{}
	for _, l := range cfg.Linears() {
		linear[l.Name] = l
	}
	for _, s := range cfg.Specs() {
		name := s.Name[:strings.LastIndex(s.Name, ".")] // without .weight or .bias
		for at := range len(name) + 1 {
			if at < len(name) && name[at] != '.' || seen[name[:at]] {
				continue
			}
			seen[name[:at]] = true
			part := named{name: name[:at]}
			if l, ok := linear[part.name]; ok {
				part.kind, part.out, part.in = linearModule, l.Shape[0], l.Shape[1]
			}
			if part.name != model.HeadModule {
				list = append(list, part)
			}
			if strings.HasSuffix(part.name, "mlp") {
				list = append(list, named{name: part.name + "." + activation(cfg)})
			}
		}
	}
	return append(list, named{model.HeadModule, headModule, v, d})
}

// activation is the name of a feed-forward part's activation module.
func activation(cfg model.Config) string {
	switch {
	case cfg.Fused:
		return "activation_fn"
	case cfg.SharedMLP:
		return "activation"
	}
	return "act_fn"
}

// targets lists the modules that get an adapter, without weights, and the weights that are trained
// outright, without values. As in peft, a name that no module has is no error where others are found;
// unmatched lists such names.
func targets(c Config, cfg model.Config) (out []Module, saved []Saved, unmatched []string, err error) {
	m, err := c.compile()
	if err != nil {
		return nil, nil, nil, err
	}
	all := modules(cfg)
	for _, x := range all {
		hit, err := m.targeted(x.name, x.kind == linearModule)
		if err != nil {
			return nil, nil, nil, err
		}
		if !hit {
			continue
		}
		if x.kind == container {
			return nil, nil, nil, fmt.Errorf("%w: lora_target_modules: %s is neither a linear module nor an embedding", ErrUnsupported, x.name)
		}
		if x.kind == embedding && c.DoRA {
			return nil, nil, nil, fmt.Errorf("%w: use_dora with an adapter on %s", ErrUnsupported, x.name)
		}
		mod := Module{Name: x.name, Out: x.out, In: x.in, Embedding: x.kind == embedding}
		if mod.R, err = first(m.ranks, c.RankPattern, x.name, c.R); err != nil {
			return nil, nil, nil, err
		}
		alpha, err := first(m.alphas, c.AlphaPattern, x.name, c.Alpha)
		if err != nil {
			return nil, nil, nil, err
		}
		mod.Scaling = scaling(alpha, mod.R, c.RSLoRA)
		out = append(out, mod)
	}
	if len(out) == 0 {
		return nil, nil, nil, fmt.Errorf("lora_target_modules: no module matches %s; there are %s%s", c.describe(), strings.Join(endings(all), ", "), c.limits())
	}
	return out, savedWeights(c, cfg, all), c.unmatched(all), nil
}

// savedWeights lists the weights of the modules whose names end with an entry of SaveModules, and of the
// modules in them. A head that is tied is one of its own then.
func savedWeights(c Config, cfg model.Config, all []named) []Saved {
	cfg.TieEmbeddings = false
	var inside []string
	for _, x := range all {
		if slices.ContainsFunc(c.SaveModules, func(s string) bool { return strings.HasSuffix(x.name, s) }) {
			inside = append(inside, x.name+".")
		}
	}
	var out []Saved
	for _, s := range cfg.Specs() {
		if slices.ContainsFunc(inside, func(prefix string) bool { return strings.HasPrefix(s.Name, prefix) }) {
			out = append(out, Saved{Name: s.Name, Shape: s.Shape})
		}
	}
	return out
}

// describe is what the targets are, for errors.
func (c Config) describe() string {
	if c.TargetPattern != "" {
		return fmt.Sprintf("the regular expression %q", c.TargetPattern)
	}
	return fmt.Sprintf("%q", c.TargetModules)
}

// limits says what else could have left nothing.
func (c Config) limits() string {
	switch {
	case len(c.Layers) > 0:
		return fmt.Sprintf("; lora_layers_to_transform allows the layers %v alone", c.Layers)
	case len(c.ExcludeModules) > 0 || c.ExcludePattern != "":
		return "; lora_exclude_modules takes modules away"
	case len(c.SaveModules) > 0:
		return "; those of lora_modules_to_save get no adapter"
	}
	return ""
}

// unmatched lists the names that no module has.
func (c Config) unmatched(all []named) []string {
	var out []string
	for _, list := range [][]string{c.TargetModules, c.ExcludeModules} {
		for _, t := range list {
			if t != AllLinear && !slices.ContainsFunc(all, func(x named) bool { return listed([]string{t}, x.name) }) {
				out = append(out, t)
			}
		}
	}
	for _, s := range c.SaveModules {
		if !slices.ContainsFunc(all, func(x named) bool { return strings.HasSuffix(x.name, s) }) {
			out = append(out, s)
		}
	}
	return out
}

// endings lists the distinct last parts of the names of modules that can have an adapter.
func endings(all []named) []string {
	var out []string
	for _, x := range all {
		if end := x.name[strings.LastIndex(x.name, ".")+1:]; x.kind != container && !slices.Contains(out, end) {
			out = append(out, end)
		}
	}
	sort.Strings(out)
	return out
}
