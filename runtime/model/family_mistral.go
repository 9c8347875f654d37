package model

// mistral is Mistral (Jiang et al. 2023): every layer has a sliding window, where sliding_window is
// not null.
var mistral = family{
	architecture: "MistralForCausalLM",
	maxPositions: 131072,
	details: func(c *Config, f *file) error {
		size, err := f.window(4096)
		if err != nil {
			return err
		}
		return f.slide(c, size, 0)
	},
}
