package model

// phi3 is Phi-3, Phi-3.5, Phi-4 and Phi-4-mini (Abdin et al. 2024): q, k and v are one module and gate and up another,
// every layer has a sliding window where sliding_window is set, and rope_scaling is "longrope".
// Phi-4-mini turns three quarters of each head.
var phi3 = family{
	architecture: "Phi3ForCausalLM",
	maxPositions: 4096,
	partial:      true,
	details: func(c *Config, f *file) error {
		c.Fused = true
		c.RMSNormEps = or(f.RMSNormEps, 1e-5)
		size, err := f.window(0)
		if err != nil {
			return err
		}
		return f.slide(c, size, 0)
	},
}
