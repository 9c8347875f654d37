package model

import (
	"fmt"
	"math"
)

// granite is Granite 3 (IBM 2024): Llama with factors on the embedding, on what layers add, on the
// attention's logits and on the logits.
var granite = family{
	architecture: "GraniteForCausalLM",
	maxPositions: 2048,
	biasField:    true,
	fields:       []string{"embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"},
	details: func(c *Config, f *file) error {
		c.QKVBias = or(f.AttentionBias, false)
		c.OutputBias = c.QKVBias
		if err := f.noWindow(c); err != nil {
			return err
		}
		return f.scales(c)
	},
	fresh: func(c Config) map[string]any { return graniteFactors(c) },
}

// granite4 is a dense Granite 4 (IBM 2025): a granitemoehybrid model whose layers are all attention and
// that has no experts; its feed-forward is the shared one. Without position_embedding_type "rope" no
// layer is turned.
var granite4 = family{
	architecture: "GraniteMoeHybridForCausalLM",
	maxPositions: 2048,
	biasField:    true,
	fields: []string{"embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling",
		"num_local_experts", "num_experts_per_tok", "output_router_logits", "router_aux_loss_coef", "shared_intermediate_size",
		"position_embedding_type", "normalization_function", "init_method",
		// Of the state-space layers, which a dense model has not.
		"mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_d_head", "mamba_d_conv", "mamba_expand", "mamba_chunk_size",
		"mamba_conv_bias", "mamba_proj_bias", "time_step_limit", "time_step_min", "time_step_max", "time_step_floor",
		"use_mamba_kernels"},
	details: func(c *Config, f *file) error {
		if n := or(f.Experts, 8); n != 0 {
			return fmt.Errorf("num_local_experts is %d: %s", n, experts)
		}
		if len(f.LayerTypes) != c.Layers {
			return fmt.Errorf("layer_types lists %d layers, num_hidden_layers is %d", len(f.LayerTypes), c.Layers)
		}
		for i, t := range f.LayerTypes {
			if t != "attention" && t != "full_attention" {
				return fmt.Errorf("layer_types[%d] is %q; state-space layers are not supported, attention is", i, t)
			}
		}
		f.LayerTypes = nil // they are all alike
		if err := f.noWindow(c); err != nil {
			return err
		}
		c.SharedMLP, c.IntermediateSize = true, or(f.SharedSize, 1024)
		c.QKVBias = or(f.AttentionBias, false)
		c.OutputBias = c.QKVBias
		switch kind := or(f.Positions, ""); kind {
		case "rope":
		case "", "nope":
			c.Unturned = make([]bool, c.Layers)
			for i := range c.Unturned {
				c.Unturned[i] = true
			}
		default:
			return fmt.Errorf("position_embedding_type %q is not supported; rope and null are", kind)
		}
		return f.scales(c)
	},
	fresh: func(c Config) map[string]any {
		fields := graniteFactors(c)
		layers := make([]string, c.Layers)
		for i := range layers {
			layers[i] = "attention"
		}
		fields["layer_types"], fields["num_local_experts"], fields["num_experts_per_tok"] = layers, 0, 0
		fields["shared_intermediate_size"], fields["position_embedding_type"] = c.IntermediateSize, "rope"
		return fields
	},
}

// scales reads Granite's factors.
func (f *file) scales(c *Config) error {
	c.Multipliers = Multipliers{Embedding: or(f.EmbeddingScale, 1), Residual: or(f.ResidualScale, 1), Attention: or(f.AttentionScale, 1)}
	divisor := or(f.LogitsDivisor, 1)
	for name, v := range map[string]float64{
		"embedding_multiplier": c.Multipliers.Embedding, "residual_multiplier": c.Multipliers.Residual,
		"attention_multiplier": c.Multipliers.Attention, "logits_scaling": divisor,
	} {
		if !(v > 0) || math.IsInf(v, 0) {
			return fmt.Errorf("%s is %g, must be positive", name, v)
		}
	}
	c.Multipliers.Logits = 1 / divisor
	return nil
}

// graniteFactors is what a fresh model says: factors of 1, and attention as it usually is.
func graniteFactors(c Config) map[string]any {
	return map[string]any{
		"embedding_multiplier": 1.0, "residual_multiplier": 1.0, "logits_scaling": 1.0,
		"attention_multiplier": 1 / math.Sqrt(float64(c.HeadDim)),
	}
}
