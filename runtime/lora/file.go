package lora

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"triality/runtime/atomicfile"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// The files of an adapter folder.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

// fileTensor is a weight as the file has it.
type fileTensor struct {
	name       string
	shape      []int
	data       *[]float32
	transposed bool // of what data holds
}

// fileTensors lists the weights as the file has them.
func (a *Adapter) fileTensors() []fileTensor {
	var list []fileTensor
	embedded := map[string]bool{}
	for _, m := range a.Modules {
		if m.Embedding {
			embedded[m.WeightA()], embedded[m.WeightB()] = true, true
		}
	}
	for _, t := range a.Tensors() {
		f := fileTensor{t.Name, t.Shape, t.Data, embedded[t.Name]}
		if f.transposed {
			f.shape = []int{t.Shape[1], t.Shape[0]}
		}
		if t.Saved {
			f.name = prefix + t.Name
		}
		list = append(list, f)
	}
	return list
}

// transpose is the transpose of a matrix of so many columns.
func transpose(x []float32, columns int) []float32 {
	out := make([]float32, len(x))
	rows := len(x) / columns
	for i := range rows {
		for j := range columns {
			out[j*rows+i] = x[i*columns+j]
		}
	}
	return out
}

// Write writes the adapter to dir, which must exist, so that peft loads it.
func (a *Adapter) Write(dir string) error {
	var list []safetensors.Tensor
	for _, t := range a.fileTensors() {
		data := *t.data
		if t.transposed {
			data = transpose(data, t.shape[0])
		}
		list = append(list, safetensors.Tensor{Name: t.name, Shape: t.shape, Float32: data})
	}
	for _, b := range a.Base {
		list = append(list, safetensors.Tensor{Name: prefix + strings.TrimSuffix(b.Name, ".weight") + baseLayer, Shape: b.Shape, Float32: b.Data})
	}
	if err := safetensors.Write(filepath.Join(dir, WeightsFile), list, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("adapter weights: %w", err)
	}
	c := a.Config
	if slices.Equal(c.TargetModules, []string{AllLinear}) { // peft, too, stores what it stood for
		c.TargetModules = nil
		for _, m := range a.Modules {
			if end := m.Name[strings.LastIndex(m.Name, ".")+1:]; !slices.Contains(c.TargetModules, end) {
				c.TargetModules = append(c.TargetModules, end)
			}
		}
		slices.Sort(c.TargetModules)
	}
	raw, err := formatPEFT(c, a.BaseModel)
	if err != nil {
		return fmt.Errorf("adapter configuration: %w", err)
	}
	return atomicfile.WriteFile(filepath.Join(dir, ConfigFile), 0o644, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}

// baseLayer ends the name of a weight of the model's own in an adapter's file.
const baseLayer = ".base_layer.weight"

// Read reads an adapter folder, by peft or by Write, for a model. Features that are not applied
// are refused by name (ErrUnsupported); weights that are missing, unexpected or of another shape are
// named.
func Read(dir string, cfg model.Config) (*Adapter, error) {
	path := filepath.Join(dir, ConfigFile)
	raw, err := atomicfile.ReadFile(dir, ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("adapter: %w", err)
	}
	c, base, err := parsePEFT(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a, err := Empty(c, cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a.BaseModel = base
	f, err := safetensors.Open(filepath.Join(dir, WeightsFile))
	if err != nil {
		return nil, fmt.Errorf("adapter: %w", err)
	}
	defer f.Close()
	if problems := a.fill(f); len(problems) > 0 {
		if n := len(problems); n > 8 {
			problems = append(problems[:8], fmt.Sprintf("and %d more", n-8))
		}
		return nil, fmt.Errorf("adapter %s does not fit its configuration and the model: %s", dir, strings.Join(problems, "; "))
	}
	return a, nil
}

// fill reads the weights, and says what does not fit.
func (a *Adapter) fill(f *safetensors.File) (problems []string) {
	known := map[string]bool{}
	take := func(name string, shape []int) (data []float32) {
		known[name] = true
		switch info, ok := f.Info(name); {
		case !ok:
			problems = append(problems, name+" is missing")
		case !slices.Equal(info.Shape, shape):
			problems = append(problems, fmt.Sprintf("%s is %v, want %v", name, info.Shape, shape))
		default:
			var err error
			if data, err = f.Float32(name); err != nil {
				problems = append(problems, err.Error())
			}
		}
		return data
	}
	for _, t := range a.fileTensors() {
		data := take(t.name, t.shape)
		if t.transposed && data != nil {
			data = transpose(data, t.shape[1])
		}
		*t.data = data
	}
	for _, m := range a.Modules {
		name := prefix + m.Name + baseLayer
		if _, ok := f.Info(name); ok {
			a.Base = append(a.Base, Saved{m.weight(), []int{m.Out, m.In}, take(name, []int{m.Out, m.In})})
		}
	}
	for _, name := range f.Names() {
		if !known[name] {
			problems = append(problems, name+" is unexpected")
		}
	}
	return problems
}
