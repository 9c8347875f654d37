package graph

import (
	"fmt"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// fp8Module is a linear module in e4m3 with an adapter.
func fp8Module(w *world, name string, x *G.Node, out, in int, wrt *G.Nodes) *G.Node {
	codes, scale := w.e4m3(name, out, in)
	a, b := w.float(name+".a", 2, in), w.float(name+".b", out, 2)
	*wrt = append(*wrt, a, b)
	up := w.must(MatMul(w.must(MatMul(x, a, false, true)), b, false, true))
	return w.must(Add(w.must(FP8Linear(x, codes, scale)), up))
}

// e4m3 adds a weight in codes.
func (w *world) e4m3(name string, rows, columns int) (codes, scale *G.Node) {
	codes, scale = w.must(Leaf(w.g, name, device.Int8, rows, columns)), w.must(Leaf(w.g, name+".scale", device.Float, rows))
	q, s := make([]int8, rows*columns), make([]float64, rows)
	for i := range q {
		q[i] = int8(device.ToE4M3(float32(100 * w.rng.NormFloat64())))
	}
	for i := range s {
		s[i] = (0.5 + w.rng.Float64()) / 448
	}
	w.data[codes], w.data[scale] = q, s
	return codes, scale
}

// The reference complains where activations are not those of the product before.
func TestFP8ProductsShareActivationsAndAddUp(t *testing.T) {
	for name, opts := range map[string]func(G.Nodes) []Option{
		"plain":      func(G.Nodes) []Option { return nil },
		"recomputed": func(keep G.Nodes) []Option { return []Option{WithRecompute(keep...)} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.float("input", 5, 8)
			var wrt, keep G.Nodes
			for i := range 2 {
				name := fmt.Sprint(i)
				x := w.must(RMSNorm(h, w.float(name+".norm", 8), 1e-3))
				q, k, v := fp8Module(w, name+".q", x, 8, 8, &wrt), fp8Module(w, name+".k", x, 8, 8, &wrt), fp8Module(w, name+".v", x, 8, 8, &wrt)
				h = w.must(Add(h, fp8Module(w, name+".down", w.must(Mul(w.must(Mul(q, k)), v)), 8, 8, &wrt)))
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
			sums := 0
			for _, it := range m.plan.items {
				switch k := it.kernel.(type) {
				case fp8LinearShared:
					flags = append(flags, [2]bool{k.Again, k.Keep})
				case fp8LinearGrad:
					if k.Sum {
						sums++
					}
				}
			}
			layer := [][2]bool{{false, true}, {true, true}, {true, false}, {false, false}}
			if want := slices.Concat(layer, layer); !slices.Equal(flags[:min(len(flags), len(want))], want) {
				t.Errorf("products share their activations (again, keep) as %v, want %v", flags, want)
			}
			if sums == 0 || count[fp8LinearGrad](m) != count[fp8LinearGrad](apart) || count[sum](m) >= count[sum](apart)/2 {
				t.Errorf("%d of %d gradients add; %d sums are left of %d", sums, count[fp8LinearGrad](m), count[sum](m), count[sum](apart))
			}
			t.Logf("%d of %d gradients add; %d sums are left of %d", sums, count[fp8LinearGrad](m), count[sum](m), count[sum](apart))
			if count[fp8LinearShared](apart) > 0 || (name == "recomputed") != (len(flags) > 8) {
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

func TestAnFP8WeightIsRefusedWhereItDoesNotFit(t *testing.T) {
	w := newWorld(t)
	codes, scale := w.e4m3("weight", 4, 6)
	if _, err := FP8Linear(w.float("x", 2, 5), codes, scale); err == nil {
		t.Error("rows of 5 and weights of 6 fit")
	}
	if _, err := FP8Linear(w.float("y", 2, 6), w.float("floats", 4, 6), scale); err == nil {
		t.Error("floats are codes")
	}
	if _, err := DequantizeFP8(codes, w.float("short", 3)); err == nil {
		t.Error("three scales are enough for four rows")
	}
}
