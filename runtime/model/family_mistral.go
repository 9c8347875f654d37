package model

import "fmt"

// mistral is Mistral (Jiang et al. 2023): every layer has a sliding window, where sliding_window is
// not null.
var mistral = family{
	architecture: "MistralForCausalLM",
	maxPositions: 131072,
	details:      slidingFrom4096,
}

// ministral is Ministral 8B (Mistral AI 2024): layer_types says which layers have the window.
var ministral = family{
	architecture: "MinistralForCausalLM",
	maxPositions: 131072,
	details:      slidingFrom4096,
}

func slidingFrom4096(c *Config, f *file) error {
	size, err := f.window(4096)
	if err != nil {
		return err
	}
	return f.slide(c, size, 0)
}

// ministral3 is Ministral 3 (Mistral AI 2025): queries grow with the position, by llama_4_scaling_beta of
// the rotary parameters.
var ministral3 = family{
	architecture: "Ministral3ForCausalLM",
	maxPositions: 262144,
	headDim:      128,
	details: func(c *Config, f *file) error {
		p := f.RopeParameters
		if p == nil {
			p = f.RopeScaling
		}
		if p == nil && f.ModelType != nil {
			return fmt.Errorf("rope_parameters is missing; a ministral3 model needs it")
		}
		c.RMSNormEps = or(f.RMSNormEps, 1e-5)
		if p != nil && or(p.Growth, 0) != 0 {
			if *p.Growth < 0 || p.Original == nil {
				return fmt.Errorf("rope_parameters: llama_4_scaling_beta %g must be positive, and needs original_max_position_embeddings", *p.Growth)
			}
			c.Rope.QueryGrowth, c.Rope.Original = *p.Growth, *p.Original
		}
		size, err := f.window(0)
		if err != nil {
			return err
		}
		return f.slide(c, size, 0)
	},
	fresh: func(c Config) map[string]any {
		return map[string]any{"rope_parameters": map[string]any{
			"rope_type": "default", "rope_theta": c.RopeTheta, "llama_4_scaling_beta": 0.0,
			"original_max_position_embeddings": c.MaxPositions,
		}}
	},
}
