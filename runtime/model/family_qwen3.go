package model

// qwen3 is the dense Qwen3 (Yang et al. 2025): each head of q and k is normed before it is turned,
// and attention_bias puts biases on q, k, v and o.
var qwen3 = family{
	architecture: "Qwen3ForCausalLM",
	maxPositions: 32768,
	biasField:    true,
	headDim:      128,
	details: func(c *Config, f *file) error {
		c.QKVBias = or(f.AttentionBias, false)
		c.OutputBias, c.QKNorm = c.QKVBias, true
		return f.qwenWindow(c)
	},
}
