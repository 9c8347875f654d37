package model

import (
	"fmt"
	"math"
	"slices"
)

// Rope says how the rotary frequencies are stretched beyond the context a model was first trained
// on. Type is "" for plain ones, or transformers' rope_type:
//
//   - "linear": divided by Factor;
//   - "llama3": divided by Factor where the wavelength is long for Original, unchanged where it is
//     short, and interpolated in between, by LowFreq and HighFreq (Llama 3.1);
//   - "yarn": interpolated between the two by BetaFast and BetaSlow (Peng et al. 2023);
//   - "longrope": divided by Short one by one, or by Long where a sequence is longer than Original
//     (Ding et al. 2024).
//
// "dynamic" changes nothing up to max_position_embeddings, which no sequence exceeds here; it is read
// as plain.
type Rope struct {
	Type               string
	Factor             float64
	LowFreq, HighFreq  float64
	BetaFast, BetaSlow float64
	Truncate           bool // yarn: the interpolation's ends are rounded to whole dimensions
	Original           int  // original_max_position_embeddings
	Short, Long        []float64
	Attention          float64 // q and k are multiplied by it after the turn; 0 is 1
	// QueryGrowth makes q grow beyond the original context: it is multiplied by
	// 1 + QueryGrowth·ln(1 + ⌊position/Original⌋), in the manner of Llama 4.
	QueryGrowth float64
}

// ropeParameters is rope_scaling, or rope_parameters of newer files.
type ropeParameters struct {
	Type      string   `json:"rope_type"`
	OldType   string   `json:"type"`
	RopeTheta *float64 `json:"rope_theta"`
	Partial   *float64 `json:"partial_rotary_factor"`

	Factor    *float64  `json:"factor"`
	LowFreq   *float64  `json:"low_freq_factor"`
	HighFreq  *float64  `json:"high_freq_factor"`
	BetaFast  *float64  `json:"beta_fast"`
	BetaSlow  *float64  `json:"beta_slow"`
	Truncate  *bool     `json:"truncate"`
	MScale    *float64  `json:"mscale"`
	MScaleAll *float64  `json:"mscale_all_dim"`
	Original  *int      `json:"original_max_position_embeddings"`
	Short     []float64 `json:"short_factor"`
	Long      []float64 `json:"long_factor"`
	Attention *float64  `json:"attention_factor"`
	Growth    *float64  `json:"llama_4_scaling_beta"`
}

func (r *ropeParameters) kind() string {
	if r.Type == "" {
		return r.OldType
	}
	return r.Type
}

// rope reads the stretching that config.json asks for. Its defaults are transformers'.
func (f *file) rope(c Config) (Rope, error) {
	name, p := "rope_scaling", f.RopeScaling
	if p == nil {
		name, p = "rope_parameters", f.RopeParameters
	}
	if p == nil {
		return Rope{}, nil
	}
	kind := p.kind()
	if c.ModelType == "phi3" && (kind == "su" || kind == "yarn") { // what early Phi-3 files call it
		kind = "longrope"
	}
	r := Rope{Type: kind, Original: or(p.Original, or(f.OriginalMax, c.MaxPositions))}
	missing := func(field string) error {
		return fmt.Errorf("%s of type %q lacks a usable %s", name, kind, field)
	}
	positive := func(v *float64) bool { return v != nil && *v > 0 && !math.IsInf(*v, 0) }
	if r.Original <= 0 {
		return Rope{}, missing("original_max_position_embeddings")
	}
	if p.Attention != nil && !positive(p.Attention) {
		return Rope{}, missing("attention_factor")
	}
	switch kind {
	case "", "default", "dynamic":
		return Rope{}, nil
	case "linear":
		if !positive(p.Factor) {
			return Rope{}, missing("factor")
		}
		return Rope{Type: kind, Factor: *p.Factor}, nil
	case "llama3":
		for field, v := range map[string]*float64{"factor": p.Factor, "low_freq_factor": p.LowFreq, "high_freq_factor": p.HighFreq} {
			if !positive(v) {
				return Rope{}, missing(field)
			}
		}
		r.Factor, r.LowFreq, r.HighFreq = *p.Factor, *p.LowFreq, *p.HighFreq
	case "yarn":
		r.Factor = or(p.Factor, float64(c.MaxPositions)/float64(r.Original))
		r.BetaFast, r.BetaSlow, r.Truncate = or(p.BetaFast, 32), or(p.BetaSlow, 1), or(p.Truncate, true)
		if !positive(&r.Factor) || !positive(&r.BetaFast) || !positive(&r.BetaSlow) {
			return Rope{}, missing("factor, beta_fast or beta_slow")
		}
		r.Attention = yarnScale(r.Factor, 1)
		if m, all := or(p.MScale, 0), or(p.MScaleAll, 0); m != 0 && all != 0 {
			r.Attention = yarnScale(r.Factor, m) / yarnScale(r.Factor, all)
		}
		r.Attention = or(p.Attention, r.Attention)
	case "longrope":
		r.Short, r.Long = p.Short, p.Long
		factor := or(p.Factor, float64(c.MaxPositions)/float64(r.Original))
		r.Attention = 1
		if factor > 1 {
			r.Attention = math.Sqrt(1 + math.Log(factor)/math.Log(float64(r.Original)))
		}
		r.Attention = or(p.Attention, r.Attention)
	default:
		return Rope{}, fmt.Errorf("%s of type %q is not supported; default, linear, dynamic, llama3, yarn and longrope are", name, kind)
	}
	return r, r.check(c.Rotary())
}

func yarnScale(factor, m float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*m*math.Log(factor) + 1
}

func (r Rope) check(turned int) error {
	for _, v := range append([]float64{r.Factor, r.LowFreq, r.HighFreq, r.BetaFast, r.BetaSlow, r.Attention, r.QueryGrowth}, append(slices.Clone(r.Short), r.Long...)...) {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fmt.Errorf("rope_scaling of type %q has a factor of %g", r.Type, v)
		}
	}
	switch {
	case r.Type == "llama3" && r.HighFreq <= r.LowFreq:
		return fmt.Errorf("rope_scaling: high_freq_factor %g must be more than low_freq_factor %g", r.HighFreq, r.LowFreq)
	case r.Type == "longrope" && (len(r.Short) != turned/2 || len(r.Long) != turned/2):
		return fmt.Errorf("rope_scaling: short_factor and long_factor have %d and %d entries, the %d dimensions of a head that are turned need %d", len(r.Short), len(r.Long), turned, turned/2)
	case r.QueryGrowth > 0 && r.Original <= 0:
		return fmt.Errorf("rope_parameters: llama_4_scaling_beta %g needs original_max_position_embeddings", r.QueryGrowth)
	case slices.Contains(r.Short, 0) || slices.Contains(r.Long, 0):
		return fmt.Errorf("rope_scaling: short_factor or long_factor has a 0")
	}
	return nil
}

// long says whether a sequence of n tokens takes the second set of frequencies.
func (r Rope) long(n int) bool { return r.Type == "longrope" && n > r.Original }

// scale is the factor of q and k after the turn.
func (r Rope) scale() float64 {
	if r.Attention == 0 {
		return 1
	}
	return r.Attention
}

// rotaryFrequencies is theta^(-2i/d) for the d turned dimensions of a head (Su et al. 2021), stretched; long chooses the second set
// of those that have one. Every operation is rounded to float32, as in transformers.
func (c Config) rotaryFrequencies(long bool) []float32 {
	dims := c.Rotary()
	f, powers := make([]float32, dims/2), make([]float32, dims/2)
	ext := c.Rope.Short
	if long {
		ext = c.Rope.Long
	}
	for i := range f {
		exponent := float32(2*i) / float32(dims)
		power := float32(math.Pow(float64(float32(c.RopeTheta)), float64(exponent)))
		if c.Rope.Type == "longrope" {
			power = float32(ext[i]) * power
		}
		f[i], powers[i] = 1/power, power
	}
	switch factor := float32(c.Rope.Factor); c.Rope.Type {
	case "linear":
		for i := range f {
			f[i] /= factor
		}
	case "llama3":
		for i := range f {
			f[i] = c.Rope.llama3(f[i])
		}
	case "yarn":
		c.Rope.yarn(f, powers, c.RopeTheta)
	}
	return f
}

func (r Rope) llama3(f float32) float32 {
	factor, low, high, old := float32(r.Factor), float32(r.LowFreq), float32(r.HighFreq), float32(r.Original)
	wave := float32(2*math.Pi) / f
	switch {
	case wave > float32(float64(r.Original)/r.LowFreq):
		return f / factor
	case wave < float32(float64(r.Original)/r.HighFreq):
		return f
	}
	smooth := float32(float32(old/wave)-low) / (high - low)
	return float32(float32((1-smooth)*f)/factor) + float32(smooth*f)
}

func (r Rope) yarn(f, powers []float32, theta float64) {
	// The dimension whose wave turns that often over the original context.
	dim := float64(2 * len(f))
	turning := func(turns float64) float64 {
		return dim * math.Log(float64(r.Original)/(turns*2*math.Pi)) / (2 * math.Log(theta))
	}
	from, to := turning(r.BetaFast), turning(r.BetaSlow)
	if r.Truncate {
		from, to = math.Floor(from), math.Ceil(to)
	}
	from, to = math.Max(from, 0), math.Min(to, dim-1)
	if from == to {
		to += 0.001
	}
	for i := range f {
		ramp := min(max(float32(float32(i)-float32(from))/float32(to-from), 0), 1)
		keep := 1 - ramp
		stretched := 1 / float32(float32(r.Factor)*powers[i])
		f[i] = float32(stretched*(1-keep)) + float32(f[i]*keep)
	}
}
