package model

import (
	"encoding/json"
	"fmt"
)

// window is sliding_window: absent where config.json does not say, 0 for null.
func (f *file) window(absent int) (int, error) {
	switch string(f.SlidingWindow) {
	case "":
		return absent, nil
	case "null":
		return 0, nil
	}
	var n int
	if err := json.Unmarshal(f.SlidingWindow, &n); err != nil || n <= 0 {
		return 0, fmt.Errorf("sliding_window is %s, must be a positive number or null", f.SlidingWindow)
	}
	return n, nil
}

// slide gives the layers from the first one on a window of size; 0 is none. layer_types, where
// config.json has it, says which layers instead. A window that no sequence outgrows is left out.
func (f *file) slide(c *Config, size, first int) error {
	if f.LayerTypes != nil && len(f.LayerTypes) != c.Layers {
		return fmt.Errorf("layer_types lists %d layers, num_hidden_layers is %d", len(f.LayerTypes), c.Layers)
	}
	windows := make([]int, c.Layers)
	some := false
	for i := range windows {
		slides := size > 0 && i >= first
		if f.LayerTypes != nil {
			switch f.LayerTypes[i] {
			case "full_attention":
				slides = false
			case "sliding_attention":
				if size <= 0 {
					return fmt.Errorf("layer_types has sliding_attention, but the configuration sets no sliding_window")
				}
				slides = true
			default:
				return fmt.Errorf("layer_types has %q; full_attention and sliding_attention are supported", f.LayerTypes[i])
			}
		}
		if slides && size < c.MaxPositions {
			windows[i], some = size, true
		}
	}
	if some {
		c.Windows = windows
	}
	return nil
}

// qwenWindow is the sliding window of the Qwen families: off unless use_sliding_window, and then in
// the layers from max_window_layers on.
func (f *file) qwenWindow(c *Config) error {
	if !or(f.UseSlidingWindow, false) {
		return f.slide(c, 0, 0)
	}
	size, err := f.window(4096)
	if err != nil {
		return err
	}
	return f.slide(c, size, or(f.WindowLayers, 28))
}

// window of a layer's attention; 0 is none.
func (c Config) window(layer int) int {
	if c.Windows == nil {
		return 0
	}
	return c.Windows[layer]
}
