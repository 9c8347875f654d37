package model

import "fmt"

// llama is Llama 2 and 3 (Touvron et al. 2023): attention_bias puts biases on q, k, v and o.
var llama = family{
	architecture: "LlamaForCausalLM",
	maxPositions: 2048,
	biasField:    true,
	details: func(c *Config, f *file) error {
		c.QKVBias = or(f.AttentionBias, false)
		c.OutputBias = c.QKVBias
		return f.noWindow(c)
	},
}

// noWindow refuses a sliding window in the families that have none.
func (f *file) noWindow(c *Config) error {
	if size, err := f.window(0); err != nil || size > 0 || or(f.UseSlidingWindow, false) {
		return fmt.Errorf("sliding_window or use_sliding_window is set; %s models have no sliding window", c.ModelType)
	}
	return f.slide(c, 0, 0)
}
