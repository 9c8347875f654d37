package modelfolder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/so8t"
	"triality/runtime/tokenizer"
)

// stored is a folder's safetensors.
type stored struct{ *safetensors.Model }

func (s stored) names() []string { return s.Names() }
func (s stored) shape(name string) ([]int, bool) {
	info, ok := s.Info(name)
	return info.Shape, ok
}
func (s stored) storage(name string) string {
	info, _ := s.Info(name)
	return string(info.DType)
}
func (s stored) readable(name string) bool { return floating(s.storage(name)) }
func (s stored) read(name string, dst []float32, at int) error {
	return s.ReadFloat32At(name, dst, at)
}

func floating(t string) bool {
	return t == string(safetensors.F32) || t == string(safetensors.F16) || t == string(safetensors.BF16)
}

// Verify checks the Hugging Face or SO8T model in dir: that config.json is one the engine computes,
// that every tensor is there with its shape and a floating type, that every value is finite, that the
// tokenizer loads and fits the embedding, and whether there is a chat template. It looks at all it
// can; a check that could not be made because another failed is left out.
func Verify(ctx context.Context, dir string, options ...model.Option) []Check {
	cfg, specs, c := configuration(dir, options...)
	checks := []Check{c}
	if c.Err != nil {
		return append(checks, verifyTokenizer(dir, nil)...)
	}
	m, err := safetensors.OpenModel(dir)
	if err != nil {
		checks = append(checks, Check{Name: "weights", Err: err})
		return append(checks, verifyTokenizer(dir, &cfg)...)
	}
	defer m.Close()
	w := stored{m}
	checks = append(checks, checkTensors(w, asStored(cfg, specs, m), cfg.Unused), checkStorage(w, floating), checkValues(ctx, w))
	return append(checks, verifyTokenizer(dir, &cfg)...)
}

// asStored is specs under the names that the folder's files have for them.
func asStored(cfg model.Config, specs []model.Spec, m *safetensors.Model) []model.Spec {
	name := model.StoredNames(cfg, m)
	list := make([]model.Spec, len(specs))
	for i, s := range specs {
		list[i] = model.Spec{Name: name(s.Name), Shape: s.Shape}
	}
	return list
}

// configuration reads config.json, of an SO8T model the source's in it, and lists the tensors to expect.
func configuration(dir string, options ...model.Option) (cfg model.Config, specs []model.Spec, c Check) {
	c.Name = "config.json"
	isSO8T, err := so8t.IsModel(dir)
	if err == nil && isSO8T {
		if cfg, specs, c.Err = so8t.Layout(dir, options...); c.Err == nil {
			c.Detail = "so8t over " + describe(cfg)
		}
		return cfg, specs, c
	}
	if cfg, c.Err = model.LoadConfig(dir, options...); c.Err == nil {
		c.Detail = describe(cfg)
	}
	return cfg, cfg.Specs(), c
}

func describe(c model.Config) string {
	text := fmt.Sprintf("%s, %d layers, hidden %d, vocabulary %d", c.ModelType, c.Layers, c.HiddenSize, c.VocabSize)
	if c.Nested {
		text += "; the text model of a larger one"
	}
	if len(c.Ignored) > 0 {
		text += "; fields that are ignored: " + strings.Join(c.Ignored, ", ")
	}
	return text
}

// verifyTokenizer checks the tokenizer, against the configuration where there is one.
func verifyTokenizer(dir string, cfg *model.Config) []Check {
	c := Check{Name: "tokenizer"}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		c.Err = err
		return []Check{c}
	}
	c.Detail = fmt.Sprintf("%d entries", tok.Size())
	if cfg != nil {
		c.Detail += fmt.Sprintf(" for %d rows of the embedding", cfg.VocabSize)
		if tok.Size() > cfg.VocabSize {
			c.Err = fmt.Errorf("tokenizer.json has ids up to %d, config.json's vocab_size is %d", tok.Size()-1, cfg.VocabSize)
		}
		named := map[string]int{"config.json's bos_token_id": cfg.BOS}
		for i, id := range cfg.EOS {
			named[fmt.Sprintf("config.json's eos_token_id[%d]", i)] = id
		}
		c.Err = errors.Join(c.Err, ids(cfg.VocabSize, named))
		if want := tok.EOS(); want >= 0 && len(cfg.EOS) > 0 && !slices.Contains(cfg.EOS, want) {
			c.Detail += fmt.Sprintf("; its eos_token is %d, config.json's eos_token_id %v", want, cfg.EOS)
		}
	}
	t := Check{Name: "chat template", Detail: "none: prompts are plain text"}
	if s := tok.ChatTemplate(); s != "" {
		t.Detail = fmt.Sprintf("%d characters", len(s))
	}
	return []Check{c, t}
}
