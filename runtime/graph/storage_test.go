package graph

import (
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// codes adds an int8 weight and its scale.
func (w *world) codes(name string, n, k int) (codes, scale *G.Node) {
	codes = w.must(Leaf(w.g, name, device.Int8, n, k))
	q := make([]int8, n*k)
	for i := range q {
		q[i] = int8(w.rng.IntN(255) - 127)
	}
	w.data[codes] = q
	scale = w.float(name+".scale", n)
	s := w.data[scale].([]float64)
	for i, v := range s {
		s[i] = math.Abs(v)
	}
	w.floats = w.floats[:len(w.floats)-1] // a constant
	return codes, scale
}

func TestTheTypesOfResultsFollowFromThoseOfTheLeaves(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 2)
	grads, err := Grad(net.cost, net.wrt...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Compile(w.dev, append(G.Nodes{net.cost}, grads...), WithStorage(Matrices(device.BFloat16)))
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range m.plan.items {
		want := device.Float
		switch it.kernel.(type) {
		case nil:
			if want = dtypeOf(it.node); want == device.Float {
				want = Matrices(device.BFloat16)(it.node)
			}
		case matMul, matMulAdd, addBias, embedding, embeddingGrad, sum, dropout, swiGLU, swiGLUGrad, rmsNorm, rmsNormGradX, rmsNormGradXAdd, rotary, attention, attentionGrad, attentionKept, attentionGradKept, crossEntropyGrad, crossEntropyBoth:
			want = device.BFloat16
		case view:
			from := m.plan.items[it.in[0]]
			want = from.dtype
			if k, ok := from.kernel.(partTyped); ok {
				part, _ := m.plan.part(i)
				want = k.partType(part, want)
			}
		}
		if it.dtype != want {
			t.Errorf("%s is %v, want %v", label(it.node), it.dtype, want)
		}
		for part, v := range m.plan.values[i] {
			want := it.dtype
			if k, ok := it.kernel.(partTyped); ok {
				want = k.partType(part, it.dtype)
			}
			if v.storage != nil && v.dtype != want {
				t.Errorf("%s lies in memory of %v", label(it.node), v.dtype)
			}
		}
	}
	if m.DType(net.wrt[0]) != device.BFloat16 || m.DType(net.wrt[1]) != device.Float {
		t.Error("a table is not narrow, or a norm's weight is")
	}
	wide := w.machine(append(G.Nodes{net.cost}, grads...))
	if f, n := wide.ArenaBytes(), m.ArenaBytes(); n > f*2/3 {
		t.Errorf("the arena has %d bytes in bfloat16, %d in float32", n, f)
	}
}

// narrow compiles with a storage rule and binds every leaf to a buffer of its type.
func (w *world) narrow(outputs G.Nodes, of func(*G.Node) device.DType, opts ...Option) (*Machine, map[*G.Node]device.Buffer) {
	w.t.Helper()
	m, err := Compile(w.dev, outputs, append(opts, WithStorage(of))...)
	if err != nil {
		w.t.Fatal(err)
	}
	bufs := map[*G.Node]device.Buffer{}
	for n, data := range w.data {
		buf, err := w.dev.Alloc(m.DType(n), size(n))
		if err == nil {
			err = w.dev.Upload(buf, data)
		}
		if err == nil {
			err = m.Set(n, buf)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		bufs[n] = buf
	}
	return m, bufs
}

func TestANarrowModelRunsInItsTypes(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 2)
	grads, err := Grad(net.cost, net.wrt...)
	if err != nil {
		t.Fatal(err)
	}
	outputs := append(G.Nodes{net.cost}, grads...)
	m, _ := w.narrow(outputs, Matrices(device.BFloat16), WithRecompute(net.layers...))
	w.run(m)
	narrow := w.read(m.Output(net.cost))[0]
	wide := w.machine(outputs)
	w.run(wide)
	want := w.read(wide.Output(net.cost))[0]
	if d := math.Abs(narrow-want) / math.Abs(want); d == 0 || d > 0.05 {
		t.Errorf("the cost is %g in bfloat16 and %g in float64", narrow, want)
	}
}

func TestTypesThatDoNotMeetAreRefusedByName(t *testing.T) {
	w := newWorld(t)
	left, right, bias := w.float("left hand", 2, 2), w.float("right hand", 2, 2), w.float("bias", 2)
	codes, scale := w.codes("weight", 2, 2)
	only := func(leaf *G.Node, s device.DType) Option {
		return WithStorage(func(n *G.Node) device.DType {
			if n == leaf {
				return s
			}
			return device.Float
		})
	}
	for name, c := range map[string]struct {
		out  *G.Node
		opt  Option
		says []string
	}{
		"a sum":                 {w.must(Add(left, right)), only(left, device.BFloat16), []string{"left hand", "right hand", "bfloat16"}},
		"a product":             {w.must(MatMul(left, right, false, true)), only(right, device.Float16), []string{"matMul", "float16"}},
		"a narrow bias":         {w.must(AddBias(left, bias)), only(bias, device.BFloat16), []string{"addBias", "bias"}},
		"a narrow scale":        {w.must(QuantizedLinear(left, codes, scale, 6)), only(scale, device.BFloat16), []string{"quantizedLinear", "weight.scale"}},
		"a leaf that is no int": {w.must(Scale(left, 2)), only(left, device.Int32), []string{"left hand", "int32"}},
	} {
		_, err := Compile(w.dev, G.Nodes{c.out}, c.opt)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v does not name %s", name, err, s)
			}
		}
	}
	if _, err := Leaf(w.g, "narrow", device.BFloat16, 2); err == nil {
		t.Error("a leaf is narrow in the graph")
	}
	for name, err := range map[string]error{
		"codes of floats":      second(QuantizedLinear(left, right, scale, 6)),
		"other rows":           second(QuantizedLinear(w.float("x", 2, 3), codes, scale, 6)),
		"scales":               second(QuantizedLinear(left, codes, w.float("s3", 3), 6)),
		"a negative threshold": second(QuantizedLinear(left, codes, scale, -1)),
		"a product with codes": second(MatMul(left, codes, false, true)),
		"codes as an addend":   second(Add(codes, codes)),
		"codes as indices":     second(Embedding(left, codes)),
		"no codes":             second(Dequantize(nil, scale)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnInt8LinearModuleAndItsGradient(t *testing.T) {
	w := newWorld(t)
	x := w.float("x", 3, 6)
	codes, scale := w.codes("weight", 4, 6)
	y := w.must(QuantizedLinear(x, codes, scale, 1.5))
	full := w.must(Dequantize(codes, scale))
	exact := w.must(MatMul(x, full, false, true))
	grads, err := Grad(w.weigh(y), x)
	if err != nil {
		t.Fatal(err)
	}
	through := w.must(MatMul(w.g.ByName("cost.weights")[0], full, false, false))
	m := w.machine(G.Nodes{y, exact, grads[0], through})
	w.run(m)
	got, want := w.read(m.Output(y)), w.read(m.Output(exact))
	for i := range got {
		if math.Abs(got[i]-want[i]) > 0.05 || slices.Equal(got, want) {
			t.Errorf("element %d is %g, with weights as floats %g", i, got[i], want[i])
		}
	}
	dx, straight := w.read(m.Output(grads[0])), w.read(m.Output(through))
	for i := range dx {
		if math.Abs(dx[i]-straight[i]) > 1e-12 {
			t.Errorf("gradient %d is %g, of the dequantized weights %g", i, dx[i], straight[i])
		}
	}
	if _, err := Grad(w.must(Dot(full, full)), codes); err == nil {
		t.Error("codes have a gradient")
	}
}

// sunk accumulates the gradients of a network into leaves of their own.
func sunk(w *world, net network) (outputs, sinks, grads G.Nodes) {
	w.t.Helper()
	grads, err := Grad(net.cost, net.wrt...)
	if err != nil {
		w.t.Fatal(err)
	}
	outputs = G.Nodes{net.cost}
	for i, g := range grads {
		sink := w.float("sink of "+net.wrt[i].Name(), g.Shape()...)
		clear(w.data[sink].([]float64))
		sinks = append(sinks, sink)
		outputs = append(outputs, w.must(Accumulate(sink, g)))
	}
	return outputs, sinks, grads
}

func TestAccumulatedGradientsAreThoseOfTheirRuns(t *testing.T) {
	for name, keep := range map[string]bool{"plain": false, "recomputed": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			net := newNetwork(w, 3)
			outputs, sinks, grads := sunk(w, net)
			var opts []Option
			if keep {
				opts = append(opts, WithRecompute(net.layers...))
			}
			m := w.machine(outputs, opts...)
			poisoned(w, m)
			w.run(m) // a second micro-batch with the same inputs
			var sums [][]float64
			for _, sink := range sinks {
				sums = append(sums, w.read(w.bufs[sink]))
			}
			plain := w.machine(grads)
			w.run(plain)
			for i, sink := range sinks {
				got, want := sums[i], w.read(plain.Output(grads[i]))
				for k := range want {
					if math.Abs(got[k]-2*want[k]) > 1e-12*max(1, math.Abs(want[k])) {
						t.Fatalf("%s[%d] is %g after two runs of %g", sink.Name(), k, got[k], want[k])
					}
				}
				if m.Output(outputs[i+1]) != w.bufs[sink] {
					t.Errorf("the output of %s is not the sink", sink.Name())
				}
			}
		})
	}
}

func TestAccumulatedGradientsTakeNoMemory(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 24)
	outputs, _, grads := sunk(w, net)
	with, without := w.machine(outputs, WithRecompute(net.layers...)), w.machine(append(G.Nodes{net.cost}, grads...), WithRecompute(net.layers...))
	var weights int64
	for _, g := range grads {
		weights += 4 * int64(size(g))
	}
	if with.ArenaBytes() > without.ArenaBytes()-weights*3/4 {
		t.Errorf("the arena has %d bytes, %d with %d of gradients as outputs", with.ArenaBytes(), without.ArenaBytes(), weights)
	}
	products := 0
	for _, it := range with.plan.items {
		switch it.kernel.(type) {
		case matMulInto:
			products++
		}
	}
	if products != 24*7 {
		t.Errorf("%d products go straight to their sinks, want %d", products, 24*7)
	}
}

func TestNarrowGradientsAreAddedToFloatSinks(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 2)
	outputs, sinks, grads := sunk(w, net)
	storage := func(n *G.Node) device.DType {
		if slices.Contains(sinks, n) {
			return device.Float
		}
		return Matrices(device.BFloat16)(n)
	}
	m, sums := w.narrow(outputs, storage)
	w.run(m)
	plain, _ := w.narrow(grads, storage)
	w.run(plain)
	for i, sink := range sinks {
		if m.DType(sink) != device.Float {
			t.Errorf("%s is %v", sink.Name(), m.DType(sink))
		}
		want := w.read(plain.Output(grads[i]))
		for k, v := range w.read(sums[sink]) {
			if math.Abs(v-want[k]) > 1e-12*max(1, math.Abs(want[k])) {
				t.Fatalf("%s[%d] is %g, the gradient %g", sink.Name(), k, v, want[k])
			}
		}
	}
}

func TestASinkThatSomethingElseReadsIsRefused(t *testing.T) {
	w := newWorld(t)
	sink, g := w.float("basin", 2, 2), w.float("g", 2, 2)
	acc := w.must(Accumulate(sink, w.must(Scale(g, 2))))
	if _, err := Compile(w.dev, G.Nodes{acc, w.must(Scale(sink, 3))}); err == nil || !strings.Contains(err.Error(), "basin") {
		t.Errorf("got %v", err)
	}
	for name, err := range map[string]error{
		"a result as sink": second(Accumulate(w.must(Scale(g, 2)), g)),
		"another shape":    second(Accumulate(w.float("long", 4), g)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
