package graph

import (
	"math"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// again lists the layers (by net.layers) of the results that a machine computes a second time, in order.
func again(m *Machine, net network) (layers []int, kernels []kernel) {
	seen := map[*G.Node]bool{}
	for _, it := range m.plan.items {
		if !seen[it.node] || !launches(it) {
			seen[it.node] = true
			continue
		}
		layer := 0
		for layer < len(net.layers) && it.node.ID() > net.layers[layer].ID() {
			layer++
		}
		layers, kernels = append(layers, layer), append(kernels, it.kernel)
	}
	return layers, kernels
}

func TestALayerIsComputedAgainJustBeforeItsOwnGradient(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 6)
	outputs, _, _ := sunk(w, net)
	m := w.machine(outputs, WithRecompute(net.layers...))
	layers, _ := again(m, net)
	if len(layers) < 6*8 || !slices.IsSortedFunc(layers, func(a, b int) int { return b - a }) {
		t.Errorf("layers are computed again in the order %v", layers)
	}
	// What is computed again does not wait: its first reader comes before the gradient of another layer.
	first := map[int]int{}
	for i, it := range m.plan.items {
		for _, j := range it.in {
			if _, ok := first[j]; !ok {
				first[j] = i
			}
		}
	}
	perLayer := len(m.plan.items) / 6
	seen := map[*G.Node]bool{}
	for i, it := range m.plan.items {
		if seen[it.node] && launches(it) && first[i]-i > perLayer/2 {
			t.Errorf("%s is computed again at %d and first read at %d", label(it.node), i, first[i])
		}
		seen[it.node] = true
	}
}

func TestSelectiveRecomputationKeepsProductsAndAttention(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 6)
	grads, err := Grad(net.cost, net.wrt...)
	if err != nil {
		t.Fatal(err)
	}
	outputs := append(G.Nodes{net.cost}, grads...)
	plain, some := w.machine(outputs), w.machine(outputs, WithRecompute(net.layers...), WithCostlyKept())
	all := w.machine(outputs, WithRecompute(net.layers...))
	_, kernels := again(some, net)
	for _, k := range kernels {
		if isCostly(k) {
			t.Errorf("%T is computed again", k)
		}
	}
	if len(kernels) == 0 || some.Steps() <= plain.Steps() || some.Steps() >= all.Steps() {
		t.Errorf("%d launches selective, %d without recomputation, %d with", some.Steps(), plain.Steps(), all.Steps())
	}
	poisoned(w, some)
	w.run(plain)
	for i, n := range outputs {
		if !slices.Equal(w.read(plain.Output(n)), w.read(some.Output(n))) {
			t.Errorf("output %d differs", i)
		}
	}
}

func TestProductsOfLowRankAreCheap(t *testing.T) {
	for _, c := range []struct {
		k    kernel
		want bool
	}{
		{matMul{M: 2048, N: 18944, K: 3584}, true}, {matMul{M: 2048, N: 16, K: 3584}, true},
		{matMul{M: 2048, N: 3584, K: 16}, false}, {quantizedLinear{}, true}, {swiGLU{}, false}, {rmsNorm{}, false},
	} {
		if isCostly(c.k) != c.want {
			t.Errorf("%+v costly: %t", c.k, !c.want)
		}
	}
}

func TestADequantizedWeightDoesNotWaitForTheGradient(t *testing.T) {
	w := newWorld(t)
	x := w.float("x", 2, 64)
	y := x
	var weights G.Nodes
	for _, name := range []string{"a", "b", "c"} {
		codes, scale := w.codes(name, 64, 64)
		full := w.must(Dequantize(codes, scale))
		weights = append(weights, full)
		y = w.must(MatMul(y, full, false, true))
	}
	grads, err := Grad(w.weigh(y), x)
	if err != nil {
		t.Fatal(err)
	}
	m := w.machine(grads)
	if n := m.ArenaBytes(); n > 4*(64*64+8*2*64) {
		t.Errorf("the arena has %d bytes, a weight %d", n, 4*64*64)
	}
	w.run(m)
	got := w.read(m.Output(grads[0]))
	// The same with the weights as leaves.
	want := w.data[w.g.ByName("cost.weights")[0]].([]float64)
	values := w.machine(weights)
	w.run(values)
	for i := len(weights) - 1; i >= 0; i-- {
		full := w.read(values.Output(weights[i]))
		next := make([]float64, 2*64)
		for t := range 2 {
			for n := range 64 {
				for k := range 64 {
					next[t*64+k] += want[t*64+n] * full[n*64+k]
				}
			}
		}
		want = next
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-9*max(1, math.Abs(want[i])) {
			t.Fatalf("gradient %d is %g, want %g", i, got[i], want[i])
		}
	}
}

func TestAProductThatSomethingElseReadsIsAddedFromMemory(t *testing.T) {
	w := newWorld(t)
	a, b := w.float("a", 3, 4), w.float("b", 4, 5)
	sinks := G.Nodes{w.float("s0", 3, 5), w.float("s1", 3, 5), w.float("s2", 3, 5)}
	output, read, alone := w.must(MatMul(a, b, false, false)), w.must(MatMul(w.must(Scale(a, 2)), b, false, false)), w.must(MatMul(w.must(Scale(a, 3)), b, false, false))
	other := w.must(Scale(read, 1))
	outputs := G.Nodes{output, other}
	for i, g := range (G.Nodes{output, read, alone}) {
		clear(w.data[sinks[i]].([]float64))
		outputs = append(outputs, w.must(Accumulate(sinks[i], g)))
	}
	m := w.machine(outputs)
	fused := 0
	for _, it := range m.plan.items {
		if _, ok := it.kernel.(matMulInto); ok {
			fused++
		}
	}
	if fused != 1 {
		t.Errorf("%d products go straight to their sinks, want the one that nothing else reads", fused)
	}
	poisoned(w, m)
	for i, sink := range sinks {
		got, want := w.read(w.bufs[sink]), w.read(m.Output(output))
		for k := range got {
			if math.Abs(got[k]-float64(i+1)*want[k]) > 1e-12 {
				t.Errorf("sink %d has %g, want %g", i, got[k], float64(i+1)*want[k])
			}
		}
	}
	if m.DType(sinks[0]) != device.Float {
		t.Error("a sink is narrow")
	}
}
