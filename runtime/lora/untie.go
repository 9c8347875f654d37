package lora

import (
	"slices"

	"triality/runtime/model"
)

// Model is the model that the adapter is applied to: its base, with the weights that the adapter's file
// brings along, and untied where the embedding or the head has an adapter or is trained outright. As in
// peft, either is then on its own: the head keeps the embedding's values as they were.
func (a *Adapter) Model(cfg model.Config, base model.Source) (model.Config, model.Source) {
	tied := cfg.TieEmbeddings
	if len(a.Base) > 0 {
		o := overridden{base, map[string]Saved{}}
		for _, s := range a.Base {
			if tied && s.Name == headWeight {
				s.Name = embedWeight // one and the same
			}
			o.weights[s.Name] = s
		}
		base = o
	}
	if tied && a.touchesEnds() {
		cfg.TieEmbeddings = false
		base = untied{base}
	}
	return cfg, base
}

const (
	embedWeight = model.EmbedModule + ".weight"
	headWeight  = model.HeadModule + ".weight"
)

// touchesEnds says that embedding or head are changed.
func (a *Adapter) touchesEnds() bool {
	return a.module(model.EmbedModule) >= 0 || a.module(model.HeadModule) >= 0 ||
		slices.ContainsFunc(a.Saved, func(s Saved) bool { return s.Name == embedWeight || s.Name == headWeight })
}

// untied is a model.Source of a tied model with a head of its own.
type untied struct{ model.Source }

func (u untied) Names() []string { return slices.Concat(u.Source.Names(), []string{headWeight}) }

func (u untied) Shape(name string) ([]int, bool) { return u.Source.Shape(u.stored(name)) }

func (u untied) ReadAt(name string, dst []float32, at int) error {
	return u.Source.ReadAt(u.stored(name), dst, at)
}

func (untied) stored(name string) string {
	if name == headWeight {
		return embedWeight
	}
	return name
}

// overridden is a model.Source some of whose weights are others.
type overridden struct {
	model.Source
	weights map[string]Saved
}

func (o overridden) ReadAt(name string, dst []float32, at int) error {
	if s, ok := o.weights[name]; ok {
		copy(dst, s.Data[at:])
		return nil
	}
	return o.Source.ReadAt(name, dst, at)
}
