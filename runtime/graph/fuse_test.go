package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// plain is a device without what it may have beside device.Device.
type plain struct{ device.Device }

// plainMachine is w.machine on a device without products that add.
func (w *world) plainMachine(outputs G.Nodes, opts ...Option) *Machine {
	w.t.Helper()
	dev := w.dev
	w.dev = plain{dev}
	defer func() { w.dev = dev }()
	return w.machine(outputs, opts...)
}

// same compares outputs of two machines, to a part of their largest element.
func (w *world) same(got, want *Machine, outputs G.Nodes, within float64) {
	w.t.Helper()
	for _, n := range outputs {
		a, b := w.read(got.Output(n)), w.read(want.Output(n))
		largest := 0.0
		for _, v := range b {
			largest = max(largest, math.Abs(v))
		}
		for i := range b {
			if !(math.Abs(a[i]-b[i]) <= within*largest) {
				w.t.Fatalf("%s[%d] is %g on a device with joined operations and %g on one without", label(n), i, a[i], b[i])
			}
		}
	}
}

// count is the number of launches of kernels like k.
func count[K kernel](m *Machine) (n int) {
	for _, it := range m.plan.items {
		if _, ok := it.kernel.(K); ok {
			n++
		}
	}
	return n
}

// adapted is a linear module with a low-rank adapter.
func adapted(w *world, name string, x *G.Node, out, in int, wrt *G.Nodes) *G.Node {
	y := w.must(MatMul(x, w.float(name, out, in), false, true))
	a, b := w.float(name+".a", 2, in), w.float(name+".b", out, 2)
	*wrt = append(*wrt, a, b)
	up := w.must(MatMul(w.must(MatMul(x, a, false, true)), b, false, true))
	return w.must(Add(y, w.must(Scale(up, 1.5))))
}

// adapter is a chain of modules with adapters, of which two share their input.
func adapterNetwork(w *world) (net network) {
	h := w.float("input", 5, 12)
	for i := range 3 {
		name := fmt.Sprint(i)
		x := w.must(RMSNorm(h, w.float(name+".norm", 12), 1e-6))
		gate, up := adapted(w, name+".gate", x, 20, 12, &net.wrt), adapted(w, name+".up", x, 20, 12, &net.wrt)
		h = w.must(Add(h, adapted(w, name+".down", w.must(SwiGLU(gate, up)), 12, 20, &net.wrt)))
		net.layers = append(net.layers, h)
	}
	net.cost = w.weigh(w.must(RMSNorm(h, w.float("norm", 12), 1e-6)))
	return net
}

func TestAnAdapterHasNoScalingAndNoSumOfItsOwn(t *testing.T) {
	for name, keep := range map[string]bool{"plain": false, "recomputed": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			net := adapterNetwork(w)
			outputs, sinks, _ := sunk(w, net)
			var opts []Option
			if keep {
				opts = append(opts, WithRecompute(net.layers...))
			}
			apart, joined := w.plainMachine(outputs, opts...), w.machine(outputs, opts...)
			if count[scale](apart) == 0 || count[matMulAdd](apart) > 0 {
				t.Error("a device without products that add is given them")
			}
			if n := count[scale](joined); n > 0 {
				t.Errorf("%d scalings are left", n)
			}
			// The gradient of the residual stream goes through that of the norm; the stream itself is a sum a layer.
			residual := 0
			for _, it := range joined.plan.items {
				if _, ok := it.kernel.(sum); !ok {
					continue
				}
				for _, j := range it.in {
					if _, ok := joined.plan.items[j].kernel.(matMul); ok {
						t.Errorf("%s adds a product in a pass of its own", label(it.node))
					}
				}
				residual++
			}
			if gone := count[sum](apart) - residual; residual > 3 || gone < 3*6 {
				t.Errorf("%d sums are left and %d gone", residual, gone)
			}
			if joined.ArenaBytes() > apart.ArenaBytes() {
				t.Errorf("joined products need %d bytes, apart %d", joined.ArenaBytes(), apart.ArenaBytes())
			}
			w.run(apart)
			var want [][]float64
			for _, n := range outputs {
				want = append(want, w.read(apart.Output(n)))
			}
			for _, sink := range sinks {
				if err := w.dev.Upload(w.bufs[sink], w.data[sink]); err != nil {
					t.Fatal(err)
				}
			}
			poisoned(w, joined)
			for i, n := range outputs {
				for k, v := range w.read(joined.Output(n)) {
					if !(math.Abs(v-want[i][k]) <= 1e-12*max(1, math.Abs(want[i][k]))) {
						t.Fatalf("%s[%d] is %g with joined products and %g without", label(n), k, v, want[i][k])
					}
				}
			}
		})
	}
}

func TestWhatSomethingElseReadsStaysApart(t *testing.T) {
	w := newWorld(t)
	x, y := w.float("x", 4, 4), w.float("y", 4, 4)
	p, q := w.must(MatMul(x, y, false, false)), w.must(MatMul(y, x, false, true))
	scaled := w.must(Scale(p, 3))                        // read by a product and by a sum
	wanted := w.must(Scale(q, -2))                       // an output
	twice := w.must(MatMul(wanted, wanted, true, false)) // reads a scaling twice
	outputs := G.Nodes{
		w.must(Add(p, scaled)), wanted, twice, w.must(Add(twice, twice)), w.must(MatMul(scaled, x, false, false)),
		w.must(MatMul(w.must(Scale(x, 5)), w.must(Scale(x, 5)), false, true)),
	}
	joined, apart := w.machine(outputs), w.plainMachine(outputs)
	w.run(joined)
	w.run(apart)
	w.same(joined, apart, outputs, 1e-12)
}

// Graphs of products, scalings, sums and other operations in any order, with some results asked for.
func TestJoinedProductsGiveWhatTheyGaveApart(t *testing.T) {
	joinedOnce := 0
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t)
			rng := rand.New(rand.NewPCG(seed, 4))
			nodes := G.Nodes{w.float("a", 6, 6), w.float("b", 6, 6), w.float("c", 6, 6)}
			wrt := append(G.Nodes(nil), nodes...)
			pick := func() *G.Node { return nodes[max(0, len(nodes)-1-rng.IntN(6))] }
			for range 14 {
				var n *G.Node
				switch rng.IntN(6) {
				case 0, 1:
					n = w.must(MatMul(pick(), pick(), rng.IntN(2) == 0, rng.IntN(2) == 0))
				case 2:
					n = w.must(Scale(pick(), []float64{-1, 0.5, 0.25}[rng.IntN(3)]))
				case 3, 4:
					n = w.must(Add(pick(), pick()))
				case 5:
					n = w.must(RMSNorm(pick(), w.float("norm", 6), 1e-3))
				}
				nodes = append(nodes, n)
			}
			last := nodes[len(nodes)-1]
			for _, n := range wrt {
				last = w.must(Add(last, n))
			}
			cost := w.weigh(w.must(RMSNorm(last, w.float("norm", 6), 1e-3)))
			grads, err := Grad(cost, wrt...)
			if err != nil {
				t.Fatal(err)
			}
			outputs := append(G.Nodes{cost, nodes[3+rng.IntN(14)]}, grads...)
			joined, apart := w.machine(outputs), w.plainMachine(outputs)
			joinedOnce += count[matMulAdd](joined)
			poisoned(w, joined)
			w.run(apart)
			w.same(joined, apart, outputs, 1e-9)
		})
	}
	if joinedOnce < 60 {
		t.Errorf("only %d products were joined: the test shows little", joinedOnce)
	}
}

// Joining changes how a result is rounded, so a node must be joined alike whether it is computed once or again.
func TestRecomputationJoinsTheSameProducts(t *testing.T) {
	w := newWorld(t)
	var keep, wrt G.Nodes
	h := w.float("input", 4, 4)
	for i := range 3 {
		b := w.float(fmt.Sprintf("%d.b", i), 4, 4)
		wrt = append(wrt, b)
		s := w.must(Scale(w.must(RMSNorm(h, w.float("norm", 4), 1e-3)), 2))
		h = w.must(Add(s, w.must(MatMul(s, b, false, true)))) // computed again, s is read by a product alone
		keep = append(keep, h)
	}
	alike(w, w.weigh(h), keep, wrt)
}

// The residual stream and what adapters add are joined alike too, with leaves of the sums in either order.
func TestRecomputationJoinsTheSameResiduals(t *testing.T) {
	for _, stream := range []int{0, 1} {
		w := newWorld(t)
		var keep, wrt G.Nodes
		h := w.float("input", 5, 12)
		for i := range 3 {
			name := fmt.Sprint(i)
			for part := range 2 {
				x := w.must(RMSNorm(h, w.float(name+".norm", 12), 1e-6))
				y := adapted(w, fmt.Sprint(name, ".", part), x, 12, 12, &wrt)
				terms := G.Nodes{h, y}
				h = w.must(Add(terms[stream], terms[1-stream]))
			}
			keep = append(keep, h)
		}
		alike(w, w.weigh(h), keep, wrt)
	}
}

// alike compares the kernels that nodes are computed by, once and again.
func alike(w *world, cost *G.Node, keep, wrt G.Nodes) {
	t := w.t
	t.Helper()
	grads, err := Grad(cost, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	kernels := func(m *Machine) map[*G.Node]string {
		of := map[*G.Node]string{}
		for _, it := range m.plan.items {
			text := fmt.Sprintf("%T%+v of %d", it.kernel, it.kernel, len(it.in))
			if was, ok := of[it.node]; ok && was != text {
				t.Errorf("%s is computed as %s and again as %s", label(it.node), was, text)
			}
			of[it.node] = text
		}
		return of
	}
	once, again := kernels(w.machine(grads)), kernels(w.machine(grads, WithRecompute(keep...)))
	if len(once) != len(again) {
		t.Errorf("%d nodes are computed once and %d with recomputation", len(once), len(again))
	}
	for n, text := range once {
		if again[n] != text {
			t.Errorf("%s is computed as %s and with recomputation as %s", label(n), text, again[n])
		}
	}
}
