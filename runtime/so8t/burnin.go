package so8t

import (
	"errors"
	"fmt"
	"slices"

	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// BurnIn folds the rotations of the SO8T model in srcDir into its q, k and v weights and writes the
// plain Hugging Face model with the same task logits to outDir. The safety and authority heads have
// no place in a plain model and are left behind. dtype stores the folded weights; "" keeps each
// weight's own type, which in F16 and BF16 rounds the folded ones once more.
func BurnIn(srcDir, outDir string, dtype safetensors.DType) error {
	m, err := Load(srcDir)
	if err != nil {
		return fmt.Errorf("burn in: %w", err)
	}
	p, err := m.Folded()
	if err != nil {
		return fmt.Errorf("burn in %s: %w", srcDir, err)
	}
	types := m.DTypes
	if dtype != "" {
		types = map[string]safetensors.DType{}
		for _, name := range p.Names() {
			types[name] = dtype
		}
	}
	err = stage(outDir, func(dir string) error {
		return errors.Join(carry(srcDir, dir), m.Source.Save(dir), saveTensors(dir, tensors(p, types)))
	})
	if err != nil {
		return fmt.Errorf("burn in %s: %w", srcDir, err)
	}
	return nil
}

// Folded gives the plain model's weights with each layer's gates folded into q, k and v:
// W ← W · blockdiag(s_cmd·s_safe·R_cmd·R_safe), computed in float64. The other weights are shared.
func (m *Model) Folded() (*model.Params, error) {
	out, err := model.NewParams()
	if err != nil {
		return nil, err
	}
	for _, name := range m.Base.Names() {
		x, _ := m.Base.Get(name)
		if err := out.Set(*x); err != nil {
			return nil, err
		}
	}
	for i, l := range m.Layers {
		if l == identityLayer() {
			continue // exact, and its weights keep their bits
		}
		block := l.Matrix()
		for _, module := range m.Source.AttentionInputs(i) {
			name := module + ".weight"
			x, ok := out.Get(name)
			if !ok || len(x.Shape) != 2 || x.Shape[1]%N != 0 {
				return nil, fmt.Errorf("weight %s is missing or not in blocks of %d", name, N)
			}
			if err := out.Set(model.Param{Name: name, Shape: x.Shape, Data: fold(x.Data, block)}); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// fold multiplies every row vector of eight by the block from the right.
func fold(w []float32, block Matrix) []float32 {
	out := slices.Clone(w)
	for at := 0; at < len(w); at += N {
		for j := range N {
			sum := 0.0
			for i := range N {
				sum += float64(w[at+i]) * block[i*N+j]
			}
			out[at+j] = float32(sum)
		}
	}
	return out
}
