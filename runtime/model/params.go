package model

import (
	"fmt"
	"slices"

	"triality/runtime/safetensors"
)

// WeightsFile is the name Save gives the weights.
const WeightsFile = "model.safetensors"

// Param is one weight on the host, row-major.
type Param struct {
	Name  string
	Shape []int
	Data  []float32
}

// Params are the weights of a model on the host, in order.
type Params struct {
	names  []string
	byName map[string]*Param
}

// NewParams has the given weights in their order.
func NewParams(list ...Param) (*Params, error) {
	p := &Params{byName: make(map[string]*Param, len(list))}
	for _, x := range list {
		if err := p.Set(x); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Set adds a weight, or replaces the one of its name.
func (p *Params) Set(x Param) error {
	n := 1
	for _, d := range x.Shape {
		n *= d
	}
	if x.Name == "" || len(x.Data) != n {
		return fmt.Errorf("weight %q of shape %v holds %d elements", x.Name, x.Shape, len(x.Data))
	}
	if _, ok := p.byName[x.Name]; !ok {
		p.names = append(p.names, x.Name)
	}
	p.byName[x.Name] = &x
	return nil
}

// Get finds a weight. Its data is the Params' own.
func (p *Params) Get(name string) (*Param, bool) {
	x, ok := p.byName[name]
	return x, ok
}

// Names lists the weights in order.
func (p *Params) Names() []string { return slices.Clone(p.names) }

// Elements is the number of all weights' elements.
func (p *Params) Elements() int {
	n := 0
	for _, x := range p.byName {
		n += len(x.Data)
	}
	return n
}

// Clone is a deep copy.
func (p *Params) Clone() *Params {
	c := &Params{names: slices.Clone(p.names), byName: make(map[string]*Param, len(p.names))}
	for n, x := range p.byName {
		c.byName[n] = &Param{x.Name, slices.Clone(x.Shape), slices.Clone(x.Data)}
	}
	return c
}

// Shape gives a weight's shape.
func (p *Params) Shape(name string) ([]int, bool) {
	x, ok := p.byName[name]
	if !ok {
		return nil, false
	}
	return x.Shape, true
}

// ReadAt copies a part of a weight.
func (p *Params) ReadAt(name string, dst []float32, at int) error {
	x, ok := p.byName[name]
	if !ok {
		return noWeight(name)
	}
	copy(dst, x.Data[at:])
	return nil
}

// LoadParams reads the weights of a model folder into memory, as OpenFolder finds them.
func LoadParams(dir string, cfg Config, extra ...Spec) (*Params, error) {
	f, err := OpenFolder(dir, cfg, extra...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f)
}

// Save writes the weights to dir/model.safetensors as F32, F16 or BF16.
func (p *Params) Save(dir string, dtype safetensors.DType) error { return Save(dir, p, dtype) }
