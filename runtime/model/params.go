package model

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

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

// LoadParams reads the weights of a model folder as float32. Every weight the configuration
// implies, and every one of extra, must be there with its shape, and no other; the error names what
// is missing, unexpected or of another shape. A head stored beside tied embeddings and the rotary
// tables of old files are left out, as transformers does.
func LoadParams(dir string, cfg Config, extra ...Spec) (*Params, error) {
	m, err := safetensors.OpenModel(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model folder %s has no weights: it needs model.safetensors, or shards with model.safetensors.index.json (convert .bin files with transformers' save_pretrained): %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("model weights: %w", err)
	}
	defer m.Close()

	specs := append(cfg.Specs(), extra...)
	want := make(map[string]bool, len(specs))
	var problems []string
	for _, s := range specs {
		want[s.Name] = true
		info, ok := m.Info(s.Name)
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s %v is missing", s.Name, s.Shape))
		case !slices.Equal(info.Shape, s.Shape):
			problems = append(problems, fmt.Sprintf("%s is %v, config.json makes it %v", s.Name, info.Shape, s.Shape))
		}
	}
	for _, n := range m.Names() {
		if !want[n] && !(n == headName && cfg.TieEmbeddings) && !strings.HasSuffix(n, ".rotary_emb.inv_freq") {
			problems = append(problems, n+" is unexpected")
		}
	}
	if len(problems) > 0 {
		more := ""
		if len(problems) > 8 {
			more = fmt.Sprintf(", and %d more", len(problems)-8)
			problems = problems[:8]
		}
		return nil, fmt.Errorf("model weights in %s do not fit its config.json (%s): %s%s", dir, cfg.ModelType, strings.Join(problems, "; "), more)
	}
	p := &Params{byName: make(map[string]*Param, len(specs))}
	for _, s := range specs {
		data, err := m.Float32(s.Name)
		if err != nil {
			return nil, fmt.Errorf("model weights: %w", err)
		}
		if err := p.Set(Param{s.Name, slices.Clone(s.Shape), data}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Save writes the weights to dir/model.safetensors as F32, F16 or BF16.
func (p *Params) Save(dir string, dtype safetensors.DType) error {
	list := make([]safetensors.Tensor, 0, len(p.names))
	for _, n := range p.names {
		x := p.byName[n]
		list = append(list, safetensors.Tensor{Name: n, DType: dtype, Shape: x.Shape, Float32: x.Data})
	}
	if err := safetensors.Write(filepath.Join(dir, WeightsFile), list, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("save model weights: %w", err)
	}
	return nil
}
