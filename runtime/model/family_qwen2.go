package model

// qwen2 is Qwen2 and Qwen2.5 (Yang et al. 2024): always biases on q, k and v, never on o.
var qwen2 = family{
	architecture: "Qwen2ForCausalLM",
	maxPositions: 32768,
	details: func(c *Config, f *file) error {
		c.QKVBias = true
		return f.qwenWindow(c)
	},
}
