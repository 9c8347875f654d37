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
		if size, err := f.window(0); err != nil || size > 0 || or(f.UseSlidingWindow, false) {
			return fmt.Errorf("sliding_window or use_sliding_window is set; llama models have no sliding window")
		}
		return f.slide(c, 0, 0)
	},
}
