package gguf

import (
	"fmt"
	"math"
	"slices"

	"triality/runtime/model"
)

// check refuses what llama.cpp's architecture has no place for.
func check(arch string, c model.Config) error {
	switch {
	case slices.Contains([]string{"qwen2", "phi3", "granite", "smollm3"}, arch) && c.Heads*c.HeadDim != c.HiddenSize:
		return fmt.Errorf("%d heads of %d are not hidden_size %d, and llama.cpp's %s has no other form", c.Heads, c.HeadDim, c.HiddenSize, arch)
	case (arch == "qwen3" || arch == "smollm3" || arch == "mistral3") && (c.QKVBias || c.OutputBias):
		return fmt.Errorf("attention_bias is set, and llama.cpp's %s has no biases", arch)
	case c.Rotary() != c.HeadDim && arch != "phi3":
		return fmt.Errorf("partial_rotary_factor, which llama.cpp's %s has not", arch)
	case arch == "smollm3" && !everyFourth(c):
		return fmt.Errorf("llama.cpp's smollm3 turns all layers but every fourth, and no_rope_layers says otherwise")
	case arch == "mistral3" && (c.Rope.Type != "yarn" || c.Rope.Attention != 1):
		return fmt.Errorf("llama.cpp's mistral3 has rope_parameters of type yarn with mscale and mscale_all_dim alike; this is %q with an attention factor of %g", c.Rope.Type, c.Rope.Attention)
	case arch == "phi3" && !slices.Contains([]string{"", "linear", "yarn", "longrope"}, c.Rope.Type),
		arch != "phi3" && c.Rope.Type == "longrope",
		arch != "llama" && c.Rope.Type == "llama3":
		return fmt.Errorf("rope_scaling of type %q, which llama.cpp's %s has not", c.Rope.Type, arch)
	case c.Rope.Type == "yarn" && !c.Rope.Truncate:
		return fmt.Errorf("rope_scaling of type yarn with truncate false, which llama.cpp has not")
	}
	return nil
}

// sizes is the metadata that config.json decides.
func sizes(arch string, c model.Config) []Pair {
	u := func(key string, n int) Pair { return Pair{arch + "." + key, uint32(n)} }
	f := func(key string, x float64) Pair { return Pair{arch + "." + key, float32(x)} }
	list := []Pair{
		u("block_count", c.Layers), u("context_length", c.MaxPositions), u("embedding_length", c.HiddenSize),
		u("feed_forward_length", c.IntermediateSize), u("vocab_size", c.VocabSize),
		u("attention.head_count", c.Heads), u("attention.head_count_kv", c.KVHeads),
		u("attention.key_length", c.HeadDim), u("attention.value_length", c.HeadDim),
		f("attention.layer_norm_rms_epsilon", c.RMSNormEps),
		u("rope.dimension_count", c.Rotary()), f("rope.freq_base", c.RopeTheta),
	}
	if window := widest(c.Windows); window > 0 || arch == "phi3" { // phi3 must have one; 0 is none
		list = append(list, u("attention.sliding_window", window))
	}
	switch arch {
	case "granite":
		list = append(list, f("attention.scale", c.Multipliers.Attention), f("embedding_scale", c.Multipliers.Embedding),
			f("residual_scale", c.Multipliers.Residual), f("logit_scale", 1/c.Multipliers.Logits),
			Pair{arch + ".rope.scaling.finetuned", c.Turns(0)}) // which llama.cpp reads as: turned at all
	case "mistral3":
		list = append(list, f("attention.temperature_scale", c.Rope.QueryGrowth), f("rope.scaling.yarn_log_multiplier", 1))
	}
	switch c.Rope.Type {
	case "linear":
		list = append(list, Pair{arch + ".rope.scaling.type", "linear"}, f("rope.scaling.factor", c.Rope.Factor))
	case "yarn":
		list = append(list, Pair{arch + ".rope.scaling.type", "yarn"}, f("rope.scaling.factor", c.Rope.Factor),
			u("rope.scaling.original_context_length", c.Rope.Original))
		if c.Rope.BetaFast != 32 || c.Rope.BetaSlow != 1 {
			list = append(list, f("rope.scaling.yarn_beta_fast", c.Rope.BetaFast), f("rope.scaling.yarn_beta_slow", c.Rope.BetaSlow))
		}
		// llama.cpp multiplies by YaRN's own 1 + 0.1·ln(factor) in any case.
		// mistral3 takes that back by the yarn_log_multiplier.
		if ratio := c.Rope.Attention / yarnAttention(c.Rope.Factor); arch != "mistral3" && math.Abs(ratio-1) > 1e-6 {
			list = append(list, f("rope.scaling.attn_factor", ratio))
		}
	case "longrope":
		list = append(list, f("rope.scaling.attn_factor", c.Rope.Attention), u("rope.scaling.original_context_length", c.Rope.Original))
	}
	return list
}

// everyFourth says whether the layers without rotary embedding are those that llama.cpp takes for granted.
func everyFourth(c model.Config) bool {
	for i := range c.Layers {
		if c.Turns(i) != ((i+1)%4 != 0) {
			return false
		}
	}
	return true
}

func yarnAttention(factor float64) float64 { return 1 + 0.1*math.Log(max(factor, 1)) }

func widest(windows []int) int {
	n := 0
	for _, w := range windows {
		n = max(n, w)
	}
	return n
}

// ropeTensors are the divisors of the rotary frequencies, where they are not one number.
func ropeTensors(c model.Config) []Tensor {
	list := func(name string, factors []float64) Tensor {
		return Tensor{name, F32, []int{len(factors)}, func(dst []float32, at int) error {
			for i := range dst {
				dst[i] = float32(factors[at+i])
			}
			return nil
		}}
	}
	switch c.Rope.Type {
	case "llama3":
		return []Tensor{list("rope_freqs.weight", llama3Factors(c))}
	case "longrope":
		return []Tensor{list("rope_factors_long.weight", c.Rope.Long), list("rope_factors_short.weight", c.Rope.Short)}
	}
	return nil
}

// llama3Factors is what Llama 3.1 divides each frequency theta^(-2i/d) by: 1 for waves that are short
// for the original context, Factor for long ones, and in between 1/((1-s)/Factor + s).
func llama3Factors(c model.Config) []float64 {
	r, factors := c.Rope, make([]float64, c.HeadDim/2)
	old := float64(r.Original)
	for i := range factors {
		wave := 2 * math.Pi * math.Pow(c.RopeTheta, float64(2*i)/float64(c.HeadDim))
		switch {
		case wave < old/r.HighFreq:
			factors[i] = 1
		case wave > old/r.LowFreq:
			factors[i] = r.Factor
		default:
			s := (old/wave - r.LowFreq) / (r.HighFreq - r.LowFreq)
			factors[i] = 1 / ((1-s)/r.Factor + s)
		}
	}
	return factors
}

// limits says in which ways llama.cpp computes the model otherwise than this program and transformers.
func limits(arch string, c model.Config) []string {
	var list []string
	if w := widest(c.Windows); w > 0 {
		list = append(list, fmt.Sprintf("sliding window: llama.cpp's %s attends to every token (phi3: in newer versions), so texts beyond %d tokens come out otherwise", arch, w))
	}
	if c.Rope.Type == "longrope" {
		list = append(list, fmt.Sprintf("longrope: llama.cpp takes the long factors where its context is set beyond %d tokens, whatever the text's length; set it to that or less for shorter texts", c.Rope.Original))
	}
	if c.Rope.Type == "yarn" && (c.Rope.BetaFast != 32 || c.Rope.BetaSlow != 1) {
		list = append(list, "yarn: versions of llama.cpp before late 2025 ignore beta_fast and beta_slow")
	}
	return list
}
