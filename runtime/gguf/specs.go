package gguf

import (
	"fmt"

	"triality/runtime/model"
)

// Specs lists the tensors that the file's metadata implies, by llama.cpp's names, with their shapes.
// Biases and a head of its own are counted where the file has them. An architecture that Export does
// not make is an error.
func (f *File) Specs() ([]model.Spec, error) {
	arch := f.Architecture()
	if !known(arch) {
		return nil, fmt.Errorf("general.architecture is %q; granite, llama, mistral3, phi3, qwen2, qwen3 and smollm3 are known", arch)
	}
	c := model.Config{Fused: arch == "phi3", QKNorm: arch == "qwen3", MaxPositions: 1, RMSNormEps: 1, RopeTheta: 1, ModelType: arch}
	for _, k := range []struct {
		key string
		to  *int
	}{
		{"block_count", &c.Layers}, {"embedding_length", &c.HiddenSize}, {"feed_forward_length", &c.IntermediateSize},
		{"attention.head_count", &c.Heads},
	} {
		n, ok := f.Int(arch + "." + k.key)
		if !ok || n <= 0 {
			return nil, fmt.Errorf("metadata %s.%s is missing or no positive whole number", arch, k.key)
		}
		*k.to = n
	}
	c.KVHeads, c.HeadDim = c.Heads, c.HiddenSize/c.Heads // where the file does not say
	if n, ok := f.Int(arch + ".attention.head_count_kv"); ok {
		c.KVHeads = n
	}
	if n, ok := f.Int(arch + ".attention.key_length"); ok {
		c.HeadDim = n
	}
	turned := c.HeadDim
	if n, ok := f.Int(arch + ".rope.dimension_count"); ok && n > 0 && n <= c.HeadDim {
		turned = n
	}
	embed, ok := f.h.infos[embedTensor+".weight"]
	if !ok || len(embed.Shape) != 2 {
		return nil, fmt.Errorf("tensor %s.weight is missing or no matrix", embedTensor)
	}
	c.VocabSize = embed.Shape[0]
	has := func(name string) bool { _, ok := f.h.infos[name]; return ok }
	c.TieEmbeddings = !has(headTensor + ".weight")
	c.QKVBias, c.OutputBias = has("blk.0.attn_q.bias"), has("blk.0.attn_output.bias")
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("metadata of %s, as config.json has it: %w", arch, err)
	}
	if most := len(f.h.infos); c.Layers > most {
		return nil, fmt.Errorf("metadata %s.block_count is %d, the file has %d tensors in all", arch, c.Layers, most)
	}
	var specs []model.Spec
	for _, s := range c.Specs() {
		name, err := tensorName(s.Name)
		if err != nil {
			return nil, err
		}
		specs = append(specs, model.Spec{Name: name, Shape: s.Shape})
	}
	for _, name := range []string{"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"} {
		if has(name) {
			specs = append(specs, model.Spec{Name: name, Shape: []int{turned / 2}})
		}
	}
	return specs, nil
}
