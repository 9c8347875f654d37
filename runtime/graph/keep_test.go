package graph

import (
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
)

func TestAttentionKeepsWhatItsGradientNeeds(t *testing.T) {
	for name, opts := range map[string]func(network) []Option{
		"plain":      func(network) []Option { return nil },
		"recomputed": func(n network) []Option { return []Option{WithRecompute(n.layers...)} },
		"selective":  func(n network) []Option { return []Option{WithRecompute(n.layers...), WithCostlyKept()} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			net := newNetwork(w, 3)
			grads, err := Grad(net.cost, net.wrt...)
			if err != nil {
				t.Fatal(err)
			}
			outputs := append(G.Nodes{net.cost}, grads...)
			apart, kept := w.plainMachine(outputs, opts(net)...), w.machine(outputs, opts(net)...)
			if n := count[attentionGradKept](kept); n != 3 || count[attentionGrad](kept) != 0 || count[attentionGradKept](apart) != 0 {
				t.Errorf("%d of 3 gradients are given what attention kept", n)
			}
			// Three layers, five rows, two heads, in blocks of 16 elements, and as much for other places.
			if more := kept.ArenaBytes() - apart.ArenaBytes(); more > 2*3*4*5*16 {
				t.Errorf("keeping it takes %d bytes", more)
			}
			poisoned(w, kept)
			w.run(apart)
			w.same(kept, apart, outputs, 1e-10)
		})
	}
}

// Where the module after attention is not trained, its result would live to the gradient for the
// statistics alone.
func TestAttentionThatNothingElseReadsLaterKeepsNothing(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 2)
	var wrt G.Nodes
	for _, n := range net.wrt {
		if !strings.HasSuffix(n.Name(), ".o") {
			wrt = append(wrt, n)
		}
	}
	grads, err := Grad(net.cost, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	m := w.machine(append(G.Nodes{net.cost}, grads...))
	if count[attentionKept](m) != 0 || count[attentionGrad](m) != 2 {
		t.Errorf("%d attentions keep statistics", count[attentionKept](m))
	}
}
