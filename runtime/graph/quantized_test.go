package graph

import (
	"fmt"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
)

// The reference complains where activations are not those of the product before.
func TestInt8ProductsOfTheSameActivationsShareThem(t *testing.T) {
	for name, opts := range map[string]func(G.Nodes) []Option{
		"plain":      func(G.Nodes) []Option { return nil },
		"recomputed": func(keep G.Nodes) []Option { return []Option{WithRecompute(keep...)} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.float("input", 5, 8)
			var wrt, keep G.Nodes
			module := func(name string, x *G.Node, n int, threshold float64) *G.Node {
				codes, scale := w.codes(name, n, 8)
				a, b := w.float(name+".a", 2, 8), w.float(name+".b", n, 2)
				wrt = append(wrt, a, b)
				up := w.must(MatMul(w.must(MatMul(x, a, false, true)), b, false, true))
				return w.must(Add(w.must(QuantizedLinear(x, codes, scale, threshold)), up))
			}
			for i := range 2 {
				name := fmt.Sprint(i)
				x := w.must(RMSNorm(h, w.float("norm", 8), 1e-3))
				q, k, v := module(name+".q", x, 8, 1), module(name+".k", x, 8, 1), module(name+".v", x, 8, 1)
				other := module(name+".other", x, 8, 2) // another threshold
				x = w.must(Mul(w.must(Mul(q, k)), w.must(Mul(v, other))))
				h = module(name+".down", w.must(RMSNorm(x, w.float("norm", 8), 1e-3)), 8, 1)
				keep = append(keep, h)
			}
			cost := w.weigh(h)
			grads, err := Grad(cost, wrt...)
			if err != nil {
				t.Fatal(err)
			}
			outputs := append(G.Nodes{cost}, grads...)
			m, apart := w.machine(outputs, opts(keep)...), w.plainMachine(outputs, opts(keep)...)
			var flags [][2]bool
			adding := 0
			for _, it := range m.plan.items {
				switch k := it.kernel.(type) {
				case quantizedLinearShared:
					flags = append(flags, [2]bool{k.Again, k.Keep})
				case quantizedLinearGrad:
					if k.Sum {
						adding++
					}
				}
			}
			// Of the second layer's four products of x three gradients add to one before them; nothing asks for those of the first.
			if adding < 3 || count[sum](m) >= count[sum](apart)/2 {
				t.Errorf("%d of %d gradients add; %d sums are left of %d", adding, count[quantizedLinearGrad](m), count[sum](m), count[sum](apart))
			}
			layer := [][2]bool{{false, true}, {true, true}, {true, false}, {false, false}, {false, false}}
			if want := slices.Concat(layer, layer); !slices.Equal(flags[:min(len(flags), len(want))], want) {
				t.Errorf("products share their activations (again, keep) as %v, want %v", flags, want)
			}
			if count[quantizedLinearShared](apart) > 0 || (name == "recomputed") != (len(flags) > 10) {
				t.Errorf("%d products", len(flags))
			}
			poisoned(w, m)
			if err := w.dev.Sync(); err != nil {
				t.Fatal(err)
			}
			w.run(apart)
			w.same(m, apart, outputs, 1e-12)
		})
	}
}
