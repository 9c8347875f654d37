package model

import "fmt"

// smollm3 is SmolLM3 (Hugging Face 2025): Llama in which every fourth layer has no rotary embedding
// (Yang et al. 2025). Where windows are on, those layers have them.
var smollm3 = family{
	architecture: "SmolLM3ForCausalLM",
	maxPositions: 32768,
	biasField:    true,
	tied:         true,
	fields:       []string{"no_rope_layers", "no_rope_layer_interval"},
	details: func(c *Config, f *file) error {
		c.QKVBias = or(f.AttentionBias, false)
		c.OutputBias = c.QKVBias
		if err := f.unturned(c); err != nil {
			return err
		}
		if !or(f.UseSlidingWindow, false) {
			return f.slide(c, 0, 0)
		}
		size, err := f.window(0)
		if err != nil {
			return err
		}
		if f.LayerTypes == nil {
			f.LayerTypes = make([]string, c.Layers)
			for i := range f.LayerTypes {
				f.LayerTypes[i] = "full_attention"
				if size > 0 && !c.Turns(i) {
					f.LayerTypes[i] = "sliding_attention"
				}
			}
		}
		return f.slide(c, size, 0)
	},
}

// unturned reads the layers without rotary embedding.
func (f *file) unturned(c *Config) error {
	interval := or(f.NoRopeInterval, 4)
	if f.NoRopeLayers == nil && interval <= 0 {
		return fmt.Errorf("no_rope_layer_interval is %d, must be positive", interval)
	}
	if f.NoRopeLayers != nil && len(f.NoRopeLayers) < c.Layers {
		return fmt.Errorf("no_rope_layers lists %d layers, num_hidden_layers is %d", len(f.NoRopeLayers), c.Layers)
	}
	some := false
	unturned := make([]bool, c.Layers)
	for i := range unturned {
		if f.NoRopeLayers != nil {
			unturned[i] = f.NoRopeLayers[i] == 0
		} else {
			unturned[i] = (i+1)%interval == 0
		}
		some = some || unturned[i]
	}
	if some {
		c.Unturned = unturned
	}
	return nil
}
