package graph

import (
	"testing"

	G "gorgonia.org/gorgonia"
)

func TestALossIsComputedWithItsGradient(t *testing.T) {
	for name, c := range map[string]struct {
		opts func(network) []Option
		tied bool // the head is trained
	}{
		"plain":         {func(network) []Option { return nil }, true},
		"recomputed":    {func(n network) []Option { return []Option{WithRecompute(n.layers...)} }, true},
		"a frozen head": {func(network) []Option { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			net := newNetwork(w, 2)
			wrt := net.wrt
			if !c.tied {
				wrt = wrt[1:]
			}
			grads, err := Grad(net.cost, wrt...)
			if err != nil {
				t.Fatal(err)
			}
			scaled := w.must(Scale(net.cost, 2)) // depends on the loss beside the cost
			outputs := append(G.Nodes{net.cost, scaled}, grads...)
			apart, joined := w.plainMachine(outputs, c.opts(net)...), w.machine(outputs, c.opts(net)...)
			if count[crossEntropyBoth](joined) != 1 || count[crossEntropy](joined) != 0 || count[crossEntropyGrad](joined) != 0 {
				t.Error("the loss is computed apart from its gradient")
			}
			if count[crossEntropyBoth](apart) != 0 {
				t.Error("a device that cannot is given both at once")
			}
			if more := joined.ArenaBytes() - apart.ArenaBytes(); more > 2*4*5*16 {
				t.Errorf("computing both at once takes %d bytes", more)
			}
			poisoned(w, joined)
			w.run(apart)
			w.same(joined, apart, outputs, 1e-10)
		})
	}
}

func TestALossThatItsGradientNeedsComesFirst(t *testing.T) {
	w := newWorld(t)
	h, table := w.float("h", 5, 8), w.float("table", 9, 8)
	nll := w.must(CrossEntropy(h, table, w.index("labels", 1, 4, -100, 5, 2)))
	cost := w.must(Dot(nll, nll)) // its gradient is 2·nll
	grads, err := Grad(cost, h, table)
	if err != nil {
		t.Fatal(err)
	}
	outputs := append(G.Nodes{cost}, grads...)
	apart, joined := w.plainMachine(outputs), w.machine(outputs)
	if count[crossEntropy](joined) != 1 || count[crossEntropyBoth](joined) != 0 {
		t.Error("the loss is computed with its gradient, which needs it")
	}
	w.run(joined)
	w.run(apart)
	w.same(joined, apart, outputs, 1e-12)
}

func TestALossWithoutAGradientIsComputedAlone(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 2)
	m := w.machine(G.Nodes{net.cost})
	if count[crossEntropy](m) != 1 || count[crossEntropyBoth](m) != 0 {
		t.Error("an evaluation computes gradients")
	}
}
