package generate

import (
	"fmt"
	"math"
	"slices"
)

// Sampling says how the next token is chosen. The zero value takes the likeliest. The steps, their
// order and their definitions are those of transformers' logits processors: repetition penalty,
// temperature, top-k, top-p.
type Sampling struct {
	// Temperature divides the logits; 0 takes the likeliest token, of equals the lowest id.
	Temperature float64
	// TopK keeps the tokens whose logit is at least the k-th largest; 0 keeps all.
	TopK int
	// TopP keeps the likeliest tokens up to the first with which their probabilities sum to TopP or
	// more (Holtzman et al. 2020); 0 or 1 keeps all.
	TopP float64
	// RepetitionPenalty divides the positive and multiplies the negative logits of tokens that the
	// prompt or the text has already (Keskar et al. 2019); 0 or 1 changes nothing.
	RepetitionPenalty float64
	// Seed and Sequence number the stream of random numbers: sequences of one seed that must differ
	// differ in Sequence.
	Seed     uint64
	Sequence uint32
}

// Check refuses what has no meaning, and filters where nothing is drawn.
func (s Sampling) Check() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("temperature is %g, must be 0 (the likeliest token) or more", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("top-k is %d, must be 0 (all tokens) or more", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("top-p is %g, must be from 0 to 1; 0 and 1 keep all tokens", s.TopP)
	case !(s.RepetitionPenalty >= 0) || math.IsInf(s.RepetitionPenalty, 0):
		return fmt.Errorf("repetition penalty is %g, must be positive; 1 is none", s.RepetitionPenalty)
	case s.Temperature == 0 && s.TopK > 0:
		return fmt.Errorf("top-k is %d but temperature is 0, which always takes the likeliest token; set a temperature", s.TopK)
	case s.Temperature == 0 && s.TopP > 0 && s.TopP < 1:
		return fmt.Errorf("top-p is %g but temperature is 0, which always takes the likeliest token; set a temperature", s.TopP)
	}
	return nil
}

// sampler chooses the tokens of one sequence.
type sampler struct {
	Sampling
	seen    map[int32]bool // with a penalty: the tokens so far
	all     []int32        // every id, as a heap
	kept    []int32        // the candidates
	weights []float64      // of kept
}

func newSampler(s Sampling, prompt []int32) *sampler {
	p := &sampler{Sampling: s}
	if s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1 {
		p.seen = make(map[int32]bool)
		for _, id := range prompt {
			p.seen[id] = true
		}
	}
	return p
}

// next chooses the token at a position from its logits, which it may change. They are rounded to
// float32 after each step, as in the reference; probabilities are summed in float64.
func (p *sampler) next(logits []float32, position int) (int32, error) {
	penalty, temperature := float32(p.RepetitionPenalty), float32(p.Temperature)
	for id := range p.seen {
		if x := logits[id]; x < 0 {
			logits[id] = x * penalty
		} else {
			logits[id] = x / penalty
		}
	}
	id := argmax(logits)
	if temperature > 0 {
		for i := range logits {
			logits[i] /= temperature
		}
		top := logits[id]
		if x := float64(top); math.IsNaN(x) || math.IsInf(x, 0) {
			return 0, fmt.Errorf("generate: the logits at position %d have no finite maximum at temperature %g: the temperature is too low or the weights are damaged", position, p.Temperature)
		}
		p.kept = p.kept[:0]
		if p.TopK > 0 || p.TopP > 0 && p.TopP < 1 {
			p.filter(logits, top)
		} else {
			for i := range logits {
				p.kept = append(p.kept, int32(i))
			}
		}
		id = p.draw(logits, top, uniform(p.Seed, p.Sequence, position))
	}
	if p.seen != nil {
		p.seen[id] = true
	}
	return id, nil
}

// filter sets kept to the candidates of top-k and then top-p, likeliest first.
func (p *sampler) filter(logits []float32, top float32) {
	h := newHeap(p.all[:0], logits)
	p.all = h.ids
	from := h.ids
	if p.TopK > 0 && p.TopK < len(logits) {
		for len(p.kept) < p.TopK || len(h.ids) > 0 && logits[h.ids[0]] == logits[p.kept[len(p.kept)-1]] {
			p.kept = append(p.kept, h.pop())
		}
		h.ids, from = nil, p.kept
	}
	if !(p.TopP > 0 && p.TopP < 1) {
		if len(p.kept) == 0 { // top-k keeps all
			p.kept = append(p.kept, h.ids...)
			slices.Sort(p.kept)
		}
		return
	}
	enough := 0.0
	for _, id := range from {
		enough += weight(logits[id], top)
	}
	enough *= p.TopP
	n := 0
	for sum := 0.0; sum < enough && (n < len(p.kept) || len(h.ids) > 0); n++ {
		if n == len(p.kept) {
			p.kept = append(p.kept, h.pop())
		}
		sum += weight(logits[p.kept[n]], top)
	}
	p.kept = p.kept[:n]
}

func weight(logit, top float32) float64 { return math.Exp(float64(logit) - float64(top)) }

// draw picks the one of kept in whose share of the probability u of [0, 1) falls.
func (p *sampler) draw(logits []float32, top float32, u float64) int32 {
	p.weights = p.weights[:0]
	sum := 0.0
	for _, id := range p.kept {
		w := weight(logits[id], top)
		p.weights = append(p.weights, w)
		sum += w
	}
	u *= sum
	picked := 0
	for i, w := range p.weights {
		if w > 0 {
			picked = i // rounding may leave u just above the last share
		}
		if u < w {
			break
		}
		u -= w
	}
	return p.kept[picked]
}
