package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// languageLoss says what a language model is trained on beside the mean negative log-likelihood.
type languageLoss struct {
	gamma     float64
	smoothing float64
	classes   []int32
}

func (o Options) loss() languageLoss {
	return languageLoss{o.FocalGamma, o.LabelSmoothing, o.ClassTokens}
}

func (o Options) lossFaults() error {
	var faults []error
	if g := o.FocalGamma; !(g >= 0) || math.IsInf(g, 0) {
		faults = append(faults, fmt.Errorf("focal_gamma: %v: must be a number, at least 0 (0 = off)", g))
	}
	if s := o.LabelSmoothing; !(s >= 0 && s < 1) {
		faults = append(faults, fmt.Errorf("label_smoothing: %v: must be at least 0 and less than 1 (0 = off)", s))
	}
	if o.FocalGamma > 0 && o.LabelSmoothing > 0 {
		faults = append(faults, errors.New("focal_gamma, label_smoothing: the focal loss is of one right class, which smoothing has not: choose one"))
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(o.ClassTokens)))); o.LabelSmoothing > 0 && (n < 2 || n != len(o.ClassTokens)) {
		faults = append(faults, fmt.Errorf("label_smoothing: the labels begin with the tokens %v, which must be two or more that differ", o.ClassTokens))
	}
	return errors.Join(faults...)
}

// check refuses what a device has no form of.
func (l languageLoss) check(dev device.Device) error {
	if s, ok := dev.(device.StandIn); ok {
		dev = s.StandsFor()
	}
	if _, ok := dev.(device.Focal); l.gamma > 0 && !ok {
		return fmt.Errorf("focal_gamma: the %s device has no focal loss yet; set device: cpu, or leave it out", dev.Info().Name)
	}
	return nil
}

func (l languageLoss) identity(id map[string]string, number func(float64) string) {
	if l.gamma > 0 {
		id["focal_gamma"] = number(l.gamma)
	}
	if l.smoothing > 0 {
		id["label_smoothing"] = number(l.smoothing) + " over " + fmt.Sprint(l.classes)
	}
}

// training is the cost of a batch, Σ share·loss over its tokens, and what gives the further leaves their values.
//
// Label smoothing (Szegedy et al. 2016) is over the classes, not the vocabulary: of the token that says the class, which is
// each example's first trained one, the target is 1 − s of it and s/K of each of the K tokens that labels begin with. With
// z the logits of those, its loss is nll + s·(z_label − mean z), so that only K logits are needed beside nll.
func (l languageLoss) training(b *model.Builder, h, labels, share *G.Node) (cost *G.Node, feed func(p *Packed, w *Window) []Input, err error) {
	nll, err := b.NLL(h, labels)
	if err != nil {
		return nil, nil, err
	}
	if nll, err = graph.Focal(nll, l.gamma); err != nil {
		return nil, nil, err
	}
	if cost, err = graph.Dot(share, nll); err != nil || l.smoothing == 0 {
		return cost, nil, err
	}
	rows, K := h.Shape()[0], len(l.classes)
	tokens, spread := b.Leaf("input.classes", device.Int32, K), b.Leaf("input.smoothing", device.Float, rows, K)
	if err := b.Err(); err != nil {
		return nil, nil, err
	}
	z, err := b.LogitsOf(h, tokens)
	if err != nil {
		return nil, nil, err
	}
	more, err := graph.Dot(spread, z)
	if err != nil {
		return nil, nil, err
	}
	cost, err = graph.Add(cost, more)
	return cost, func(p *Packed, w *Window) []Input {
		return []Input{{tokens, l.classes}, {spread, l.spread(p, w)}}
	}, err
}

// spread is share·s·(1 − 1/K) at the class of the tokens that say one, −share·s/K at the other classes, and 0 elsewhere.
func (l languageLoss) spread(p *Packed, w *Window) []float64 {
	K, share := len(l.classes), w.LossWeights(p)
	out := make([]float64, p.T()*K)
	for _, start := range p.Starts {
		t := start
		for t < p.Tokens && p.Labels[t] < 0 && (t == start || p.Pos[t] > 0) {
			t++
		}
		if t == p.Tokens || t > start && p.Pos[t] == 0 {
			continue // none of its tokens is trained on
		}
		class := slices.Index(l.classes, p.Labels[t])
		if class < 0 {
			continue // the answer begins with something else
		}
		for k := range K {
			out[t*K+k] = -share[t] * l.smoothing / float64(K)
		}
		out[t*K+class] += share[t] * l.smoothing
	}
	return out
}
