package graph

import (
	"math"
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

// world is a graph under test with float64 data for its leaves on the reference device.
type world struct {
	t      *testing.T
	g      *G.ExprGraph
	dev    device.Device
	rng    *rand.Rand
	data   map[*G.Node]any // []float64 or []int32
	floats G.Nodes         // in order of creation
	bufs   map[*G.Node]device.Buffer
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, g: G.NewGraph(), dev: reference.New(), rng: rand.New(rand.NewPCG(1, 2)),
		data: map[*G.Node]any{}, bufs: map[*G.Node]device.Buffer{},
	}
}

// float adds a float leaf of normal values.
func (w *world) float(name string, shape ...int) *G.Node {
	n := w.must(Leaf(w.g, name, device.Float, shape...))
	if w.data[n] != nil {
		return n
	}
	x := make([]float64, size(n))
	for i := range x {
		x[i] = w.rng.NormFloat64()
	}
	w.data[n] = x
	w.floats = append(w.floats, n)
	return n
}

func (w *world) index(name string, values ...int32) *G.Node {
	n := w.must(Leaf(w.g, name, device.Int32, len(values)))
	w.data[n] = values
	return n
}

func (w *world) must(n *G.Node, err error) *G.Node {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// machine compiles and binds every leaf to its data.
func (w *world) machine(outputs G.Nodes, opts ...Option) *Machine {
	w.t.Helper()
	m, err := Compile(w.dev, outputs, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	for n, x := range w.data {
		if w.bufs[n] == nil {
			buf, err := w.dev.Alloc(dtypeOf(n), size(n))
			if err != nil {
				w.t.Fatal(err)
			}
			w.bufs[n] = buf
		}
		if err := w.dev.Upload(w.bufs[n], x); err != nil {
			w.t.Fatal(err)
		}
		if err := m.Set(n, w.bufs[n]); err != nil {
			w.t.Fatal(err)
		}
	}
	return m
}

func (w *world) run(m *Machine) {
	w.t.Helper()
	if err := m.RunAll(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(buf device.Buffer) []float64 {
	w.t.Helper()
	if buf == nil {
		w.t.Fatal("no such output")
	}
	x := make([]float64, buf.Len())
	if err := w.dev.Download(x, buf); err != nil {
		w.t.Fatal(err)
	}
	return x
}

// weigh makes a cost of a node: its product with fixed random weights.
func (w *world) weigh(y *G.Node) *G.Node {
	weights := w.float("cost.weights", y.Shape()...)
	w.floats = w.floats[:len(w.floats)-1]
	return w.must(Dot(weights, y))
}

// checkGradients compares the gradients of cost with respect to the float leaves (all, or those given)
// with central finite differences, to 1e-6 of the largest component.
func (w *world) checkGradients(cost *G.Node, wrt ...*G.Node) {
	w.t.Helper()
	if len(wrt) == 0 {
		wrt = w.floats
	}
	grads, err := Grad(cost, wrt...)
	if err != nil {
		w.t.Fatal(err)
	}
	m := w.machine(append(G.Nodes{cost}, grads...))
	w.run(m)
	got := make([][]float64, len(grads))
	for i, n := range grads {
		got[i] = w.read(m.Output(n))
	}
	forward := w.machine(G.Nodes{cost})
	at := func(leaf *G.Node, x []float64) float64 {
		if err := w.dev.Upload(w.bufs[leaf], x); err != nil {
			w.t.Fatal(err)
		}
		w.run(forward)
		return w.read(forward.Output(cost))[0]
	}
	for i, leaf := range wrt {
		x := w.data[leaf].([]float64)
		const h = 1e-5
		largest := 1e-3
		want := make([]float64, len(x))
		for j := range x {
			old := x[j]
			x[j] = old + h
			up := at(leaf, x)
			x[j] = old - h
			down := at(leaf, x)
			x[j] = old
			want[j] = (up - down) / (2 * h)
			largest = max(largest, math.Abs(want[j]))
		}
		at(leaf, x)
		nonzero := false
		for j := range x {
			if d := math.Abs(got[i][j] - want[j]); !(d <= 1e-6*largest) {
				w.t.Fatalf("gradient of %s[%d] is %g, finite differences give %g", leaf.Name(), j, got[i][j], want[j])
			}
			nonzero = nonzero || got[i][j] != 0
		}
		if !nonzero {
			w.t.Errorf("gradient of %s is zero everywhere: the test shows nothing", leaf.Name())
		}
	}
}
