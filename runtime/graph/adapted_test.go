package graph

import (
	"testing"

	G "gorgonia.org/gorgonia"
)

// termsOf counts the terms of a machine's SwiGLU and of its gradients.
func termsOf(m *Machine) (forward, backward int) {
	for _, it := range m.plan.items {
		var terms []term
		switch k := it.kernel.(type) {
		case swiGLUAdapted:
			terms = k.Terms
		case swiGLUGradAdapted:
			terms = k.Terms
		}
		for _, t := range terms {
			if t.R > 0 && len(terms) == 2 {
				forward++
			} else if t.R > 0 {
				backward++
			}
		}
	}
	return forward, backward
}

func TestSwiGLUAddsWhatAdaptersAddAroundIt(t *testing.T) {
	for name, recompute := range map[string]bool{"plain": false, "recomputed": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			net := adapterNetwork(w)
			outputs, sinks, _ := sunk(w, net)
			var opts []Option
			times := 1
			if recompute {
				opts, times = append(opts, WithRecompute(net.layers...)), 2
			}
			apart, joined := w.plainMachine(outputs, opts...), w.machine(outputs, opts...)
			// Of the last layer nothing is computed again: the loss reads its result.
			if forward, backward := termsOf(joined); forward < 2*(3*times-1) || forward > 2*3*times || backward != 3*3 {
				t.Errorf("%d terms forward and %d in the gradient", forward, backward)
			}
			if joined.ArenaBytes() > apart.ArenaBytes() {
				t.Errorf("joined it needs %d bytes, apart %d", joined.ArenaBytes(), apart.ArenaBytes())
			}
			w.run(apart)
			want := map[*G.Node][]float64{}
			for _, n := range outputs {
				want[n] = w.read(apart.Output(n))
			}
			for _, sink := range sinks {
				if err := w.dev.Upload(w.bufs[sink], w.data[sink]); err != nil {
					t.Fatal(err)
				}
			}
			poisoned(w, joined)
			for _, n := range outputs {
				for k, v := range w.read(joined.Output(n)) {
					if d := v - want[n][k]; !(d*d <= 1e-24*max(1, want[n][k]*want[n][k])) {
						t.Fatalf("%s[%d] is %g joined and %g apart", label(n), k, v, want[n][k])
					}
				}
			}
		})
	}
}

func TestATermStaysASumWhereSwiGLUCannotTakeIt(t *testing.T) {
	for name, c := range map[string]struct {
		build             func(w *world, x *G.Node, wrt *G.Nodes) (outputs G.Nodes)
		forward, backward int
	}{
		"nothing is adapted": {func(w *world, x *G.Node, wrt *G.Nodes) G.Nodes {
			a := w.float("a", 20, 12)
			*wrt = append(*wrt, a)
			return G.Nodes{w.must(SwiGLU(w.must(MatMul(x, a, false, true)), w.must(MatMul(x, w.float("b", 20, 12), false, true))))}
		}, 0, 0},
		"the gate alone is": {func(w *world, x *G.Node, wrt *G.Nodes) G.Nodes {
			gate := adapted(w, "gate", x, 20, 12, wrt)
			return G.Nodes{w.must(SwiGLU(gate, w.must(MatMul(x, w.float("b", 20, 12), false, true))))}
		}, 1, 1},
		"the gate is asked for": {func(w *world, x *G.Node, wrt *G.Nodes) G.Nodes {
			gate, up := adapted(w, "gate", x, 20, 12, wrt), adapted(w, "up", x, 20, 12, wrt)
			return G.Nodes{w.must(SwiGLU(gate, up)), gate}
		}, 1, 1},
		"something else reads up": {func(w *world, x *G.Node, wrt *G.Nodes) G.Nodes {
			gate, up := adapted(w, "gate", x, 20, 12, wrt), adapted(w, "up", x, 20, 12, wrt)
			return G.Nodes{w.must(Mul(w.must(SwiGLU(gate, up)), up))}
		}, 1, 1},
		"the gate is up too": {func(w *world, x *G.Node, wrt *G.Nodes) G.Nodes {
			gate := adapted(w, "gate", x, 20, 12, wrt)
			return G.Nodes{w.must(SwiGLU(gate, gate))}
		}, 2, 2},
		"ranks differ": {func(w *world, x *G.Node, wrt *G.Nodes) G.Nodes {
			gate := adapted(w, "gate", x, 20, 12, wrt)
			a, b := w.float("a", 3, 12), w.float("b", 20, 3)
			*wrt = append(*wrt, a, b)
			up := w.must(Add(w.must(MatMul(x, w.float("up", 20, 12), false, true)), w.must(MatMul(w.must(MatMul(x, a, false, true)), b, false, true))))
			return G.Nodes{w.must(SwiGLU(gate, up))}
		}, 1, 1},
		"the sum is of no product": {func(w *world, x *G.Node, wrt *G.Nodes) G.Nodes {
			a := w.float("a", 5, 12)
			*wrt = append(*wrt, a)
			return G.Nodes{w.must(SwiGLU(w.must(Add(x, a)), x))}
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var wrt G.Nodes
			outputs := c.build(w, w.float("x", 5, 12), &wrt)
			grads, err := Grad(w.weigh(outputs[0]), wrt...)
			if err != nil {
				t.Fatal(err)
			}
			outputs = append(outputs, grads...)
			joined, apart := w.machine(outputs), w.plainMachine(outputs)
			if forward, backward := termsOf(joined); forward != c.forward || backward != c.backward {
				t.Errorf("%d terms forward and %d in the gradient, want %d and %d", forward, backward, c.forward, c.backward)
			}
			poisoned(w, joined)
			w.run(apart)
			w.same(joined, apart, outputs, 1e-12)
		})
	}
}
