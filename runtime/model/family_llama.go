package model

// llama is Llama 2 and 3 (Touvron et al. 2023): attention_bias puts biases on q, k, v and o.
var llama = family{
	architecture: "LlamaForCausalLM",
	maxPositions: 2048,
	biasField:    true,
	details: func(c *Config, f *file) {
		c.QKVBias = or(f.AttentionBias, false)
		c.OutputBias = c.QKVBias
	},
}
