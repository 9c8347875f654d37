package so8t

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// BurnIn folds the rotations of the SO8T model in srcDir into its q, k and v weights and writes the
// plain Hugging Face model with the same task logits to outDir. The safety and authority heads have
// no place in a plain model and are left behind. dtype stores the folded weights; "" keeps each
// weight's own type, which in F16 and BF16 rounds the folded ones once more. A few parts at a time
// are in memory.
func BurnIn(ctx context.Context, srcDir, outDir string, dtype safetensors.DType, options ...model.Option) error {
	err := stage(outDir, func(dir string) error { return burnIn(ctx, srcDir, dir, dtype, options...) })
	if err != nil {
		return fmt.Errorf("burn in %s: %w", srcDir, err)
	}
	return nil
}

func burnIn(ctx context.Context, srcDir, dir string, dtype safetensors.DType, options ...model.Option) error {
	m, err := Load(srcDir, options...)
	if err != nil {
		return err
	}
	defer m.Close()
	p, err := m.Folded()
	if err != nil {
		return err
	}
	types := m.DTypes
	if dtype != "" {
		types = map[string]safetensors.DType{}
		for _, name := range p.Names() {
			types[name] = dtype
		}
	}
	return errors.Join(carry(srcDir, dir), m.Source.Save(dir), saveTensors(filepath.Join(dir, weightsFile), tensors(model.WithContext(ctx, p), types)))
}

// Folded is the plain model with each layer's gates, as they are now, folded into q, k and v:
// W ← W · blockdiag(s_cmd·s_safe·R_cmd·R_safe), computed in float64. It reads and
// folds the model's weights as it is read itself.
func (m *Model) Folded() (model.Source, error) {
	blocks := map[string]Matrix{}
	for i, l := range m.Layers {
		if l == identityLayer() {
			continue // exact, and its weights keep their bits
		}
		block := l.Matrix()
		for _, module := range m.Source.AttentionInputs(i) {
			name := module + ".weight"
			if shape, ok := m.Base.Shape(name); !ok || len(shape) != 2 || shape[1]%N != 0 {
				return nil, fmt.Errorf("weight %s is missing or not in blocks of %d", name, N)
			}
			blocks[name] = block
		}
	}
	return folded{m.Base, blocks}, nil
}

// folded is a model.Source over another one.
type folded struct {
	model.Source
	blocks map[string]Matrix // by the name of the weight they are folded into
}

func (f folded) ReadAt(name string, dst []float32, at int) error {
	if err := f.Source.ReadAt(name, dst, at); err != nil {
		return err
	}
	if block, ok := f.blocks[name]; ok {
		fold(dst, block)
	}
	return nil
}

// fold multiplies every row vector of eight by the block from the right.
func fold(w []float32, block Matrix) {
	for at := 0; at < len(w); at += N {
		var row [N]float64
		for j := range N {
			for i := range N {
				row[j] += float64(w[at+i]) * block[i*N+j]
			}
		}
		for j, v := range row {
			w[at+j] = float32(v)
		}
	}
}
