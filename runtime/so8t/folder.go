package so8t

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"triality/runtime/atomicfile"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// The files of an SO8T model folder, beside the tokenizer's.
const (
	configFile      = model.ConfigFile
	weightsFile     = model.WeightsFile
	replacementFile = "replacement.json"
	moduleFile      = "modeling_so8t.py"
)

// ModelType is the model_type of an SO8T model's config.json.
const ModelType = "so8t"

//go:embed modeling_so8t.py
var module []byte

// IsModel says whether dir holds an SO8T model, by its config.json.
func IsModel(dir string) (bool, error) {
	fields, err := readFields(dir)
	if err != nil {
		return false, err
	}
	return string(fields["model_type"]) == `"`+ModelType+`"`, nil
}

func readFields(dir string) (map[string]json.RawMessage, error) {
	path := filepath.Join(dir, configFile)
	raw, err := atomicfile.ReadFile(dir, configFile)
	if err != nil {
		return nil, fmt.Errorf("model configuration: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return fields, nil
}

// kept are the source's fields that an SO8T config.json has under "source_" names.
var kept = []string{"model_type", "architectures", "auto_map"}

// loadConfig reads the source's configuration out of an SO8T model's.
func loadConfig(dir string, options ...model.Option) (model.Config, error) {
	fields, err := readFields(dir)
	if err != nil {
		return model.Config{}, err
	}
	path := filepath.Join(dir, configFile)
	if got := string(fields["model_type"]); got != `"`+ModelType+`"` {
		return model.Config{}, fmt.Errorf("%s: model_type is %s, not %q: no SO8T model", path, got, ModelType)
	}
	if fields["source_model_type"] == nil {
		return model.Config{}, fmt.Errorf("%s: source_model_type is missing", path)
	}
	for _, name := range kept {
		delete(fields, name)
		if v, ok := fields["source_"+name]; ok {
			fields[name] = v
			delete(fields, "source_"+name)
		}
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return model.Config{}, fmt.Errorf("%s: %w", path, err)
	}
	cfg, err := model.ParseConfig(raw, options...)
	if err != nil {
		return model.Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}

// formatConfig is the SO8T config.json of a source configuration.
func formatConfig(cfg model.Config) ([]byte, error) {
	raw, err := cfg.JSON()
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for _, name := range kept {
		if v, ok := fields[name]; ok {
			fields["source_"+name] = v
		}
	}
	maps.Copy(fields, map[string]json.RawMessage{
		"model_type":    json.RawMessage(`"` + ModelType + `"`),
		"architectures": json.RawMessage(`["SO8TForCausalLM"]`),
		"auto_map":      json.RawMessage(`{"AutoConfig": "modeling_so8t.SO8TConfig", "AutoModelForCausalLM": "modeling_so8t.SO8TForCausalLM"}`),
	})
	out, err := json.MarshalIndent(fields, "", "  ")
	return append(out, '\n'), err
}

// storage gives the type each weight of a folder is stored as, by the weight's name in the plain model.
func storage(dir string, cfg model.Config) (map[string]safetensors.DType, error) {
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	types := map[string]safetensors.DType{}
	stored := model.StoredNames(cfg, f)
	for _, s := range append(cfg.Specs(), specs(cfg)...) {
		if info, ok := f.Info(stored(s.Name)); ok {
			types[s.Name] = info.DType
		}
	}
	return types, nil
}

// write writes the model's own files, weights last, into dir. Gates and heads are stored as F32
// whatever the base: they are small, and a rounded generator is another rotation.
func (m *Model) write(ctx context.Context, dir string) error {
	raw, err := formatConfig(m.Source)
	if err != nil {
		return fmt.Errorf("so8t: configuration: %w", err)
	}
	if err := writeBytes(filepath.Join(dir, configFile), raw); err != nil {
		return err
	}
	if err := writeBytes(filepath.Join(dir, moduleFile), module); err != nil {
		return err
	}
	return m.SaveWeights(ctx, dir)
}

// SaveWeights replaces the weights in an SO8T model folder, as one atomic change. The folder may be the
// one that the base weights are read from; they are then read from the new file.
func (m *Model) SaveWeights(ctx context.Context, dir string) error {
	list := tensors(model.WithContext(ctx, m.Base), m.DTypes)
	values := m.extras()
	for i, s := range specs(m.Source) {
		list = append(list, safetensors.Tensor{Name: s.Name, Shape: s.Shape, Float32: values[i]})
	}
	if w, ok := m.Base.(*stored); ok && w.in(dir) {
		return w.replace(list)
	}
	return saveTensors(filepath.Join(dir, weightsFile), list)
}

func saveTensors(path string, list []safetensors.Tensor) error {
	return safetensors.Write(path, list, map[string]string{"format": "pt"})
}

// tensors gives weights in their storage types, F32 where types has none; they are read as they are
// written.
func tensors(src model.Source, types map[string]safetensors.DType) []safetensors.Tensor {
	var list []safetensors.Tensor
	for _, name := range src.Names() {
		shape, _ := src.Shape(name)
		list = append(list, safetensors.Tensor{Name: name, DType: types[name], Shape: slices.Clone(shape), Read: func(dst []float32, at int) error { return src.ReadAt(name, dst, at) }})
	}
	return list
}
