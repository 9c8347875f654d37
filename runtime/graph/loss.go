package graph

import "triality/runtime/device"

// crossEntropyBoth is crossEntropyGrad that also writes the losses, over its last input.
type crossEntropyBoth struct{ crossEntropyGrad }

func (k crossEntropyBoth) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.LossAndGrad).CrossEntropyBoth(in[4], out[0], out[1], in[0], in[1], in[2], in[3], k.T, k.D, k.V)
}
func (crossEntropyBoth) signature() string { return "mmiff>m" }

// joinLoss computes a loss where its gradient is computed, so that the logits are gone through once, for a
// device that can: the loss, and what depends on it, comes later, as long as the gradient needs none of it.
func (s *schedule) joinLoss() {
	for i, it := range s.items {
		switch it.kernel.(type) {
		case fill, constant:
			s.items[i].in = nil // it gave the shape
		}
	}
	for i := 0; i < len(s.items); i++ {
		if k, ok := s.items[i].kernel.(crossEntropy); ok {
			if g := s.lossGrad(i, k); g >= 0 {
				s.moveLoss(i, g)
			}
		}
	}
}

// lossGrad finds the gradient of loss i over the same operands, if it does not depend on the loss.
func (s *schedule) lossGrad(i int, k crossEntropy) int {
	after := s.dependents(i)
	for g := i + 1; g < len(s.items); g++ {
		kg, ok := s.items[g].kernel.(crossEntropyGrad)
		if ok && !after[g] && kg == crossEntropyGrad(k) && s.sameNodes(s.items[i].in, s.items[g].in[:3]) {
			return g
		}
	}
	return -1
}

// dependents tells which items depend on item i.
func (s *schedule) dependents(i int) []bool {
	after := make([]bool, len(s.items))
	after[i] = true
	for n := i + 1; n < len(s.items); n++ {
		for _, j := range s.items[n].in {
			after[n] = after[n] || after[j]
		}
	}
	return after
}

// moveLoss makes the loss i memory that its gradient g writes, and puts what depends on it after g.
func (s *schedule) moveLoss(i, g int) {
	after := s.dependents(i)
	order := make([]int, 0, len(s.items))
	var later []int
	for n := range s.items {
		switch {
		case n != i && n <= g && after[n]:
			later = append(later, n)
		case n == g:
			order = append(append(order, n), later...)
		default:
			order = append(order, n)
		}
	}
	at := make([]int, len(s.items))
	for to, n := range order {
		at[n] = to
	}
	s.items[i].kernel, s.items[i].in = scratch{}, nil
	s.items[g].kernel = crossEntropyBoth{s.items[g].kernel.(crossEntropyGrad)}
	s.items[g].in = append(s.items[g].in[:4:4], i)
	items := make([]item, len(order))
	for to, n := range order {
		it := s.items[n]
		it.in = moved(it.in, at)
		items[to] = it
	}
	for n, from := range s.index {
		s.index[n] = at[from]
	}
	s.items = items
}
