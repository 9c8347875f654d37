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

// Write writes the adapter to dir, which must exist, so that peft loads it.
func (a *Adapter) Write(dir string) error {
	var list []safetensors.Tensor
	for _, t := range a.Tensors() {
		list = append(list, safetensors.Tensor{Name: t.Name, Shape: t.Shape, Float32: *t.Data})
	}
	if err := safetensors.Write(filepath.Join(dir, WeightsFile), list, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("adapter weights: %w", err)
	}
	c := a.Config
	if slices.Equal(c.TargetModules, []string{AllLinear}) { // peft, too, stores what it stood for
		c.TargetModules = nil
		for _, m := range a.Modules {
			c.TargetModules = append(c.TargetModules, m.Name)
		}
		c.TargetModules = endings(c.TargetModules)
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
	a := &Adapter{Config: c, BaseModel: base}
	if a.Modules, err = targets(c, cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := safetensors.Open(filepath.Join(dir, WeightsFile))
	if err != nil {
		return nil, fmt.Errorf("adapter: %w", err)
	}
	defer f.Close()
	var problems []string
	known := map[string]bool{}
	take := func(name string, shape ...int) (data []float32) {
		known[name] = true
		switch info, ok := f.Info(name); {
		case !ok:
			problems = append(problems, name+" is missing")
		case !slices.Equal(info.Shape, shape):
			problems = append(problems, fmt.Sprintf("%s is %v, want %v", name, info.Shape, shape))
		default:
			if data, err = f.Float32(name); err != nil {
				problems = append(problems, err.Error())
			}
		}
		return data
	}
	for _, t := range a.Tensors() {
		*t.Data = take(t.Name, t.Shape...)
	}
	for _, name := range f.Names() {
		if !known[name] {
			problems = append(problems, name+" is unexpected")
		}
	}
	if len(problems) > 0 {
		if n := len(problems); n > 8 {
			problems = append(problems[:8], fmt.Sprintf("and %d more", n-8))
		}
		return nil, fmt.Errorf("adapter %s does not fit its configuration and the model: %s", dir, strings.Join(problems, "; "))
	}
	return a, nil
}
