package graph

import (
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

func TestEqualNodesAreMergedAndUnequalOnesAreNot(t *testing.T) {
	w := newWorld(t)
	x, y, key := w.float("x", 4, 4), w.float("y", 4, 4), w.index("key", 1, 2)
	same := func(a, b *G.Node) bool { return a == b }
	drop := func(stream uint32, rate float64) *G.Node { return w.must(Dropout(x, key, stream, rate)) }
	for name, c := range map[string]struct {
		a, b *G.Node
		want bool
	}{
		"dropouts of one stream":            {drop(1, 0.5), drop(1, 0.5), true},
		"dropouts of two streams":           {drop(1, 0.5), drop(2, 0.5), false},
		"dropouts of two rates":             {drop(1, 0.5), drop(1, 0.25), false},
		"products of equal inputs":          {w.must(MatMul(x, y, false, true)), w.must(MatMul(x, y, false, true)), true},
		"products transposed unlike":        {w.must(MatMul(x, y, false, true)), w.must(MatMul(x, y, true, false)), false},
		"products in another order":         {w.must(MatMul(x, y, false, false)), w.must(MatMul(y, x, false, false)), false},
		"sums in another order":             {w.must(Add(x, y)), w.must(Add(y, x)), false},
		"scales":                            {w.must(Scale(x, 2)), w.must(Scale(x, 2.0000000000000004)), false},
		"norms of another epsilon":          {w.must(RMSNorm(x, w.float("w", 4), 1e-5)), w.must(RMSNorm(x, w.float("w", 4), 1e-6)), false},
		"views at another offset":           {w.must(View(x, 0, 2, 2)), w.must(View(x, 4, 2, 2)), false},
		"a product and its other operation": {w.must(Mul(x, y)), w.must(SwiGLU(x, y)), false},
	} {
		if same(c.a, c.b) != c.want {
			t.Errorf("%s: merged is %t, want %t", name, !c.want, c.want)
		}
	}
	// The masks must differ at run time too.
	a, b := drop(1, 0.5), drop(2, 0.5)
	m := w.machine(G.Nodes{a, b})
	w.run(m)
	if slices.Equal(w.read(m.Output(a)), w.read(m.Output(b))) {
		t.Error("two streams give one mask")
	}
}

func TestNodesWithCollidingHashesStayApart(t *testing.T) {
	// Gorgonia's node hash has 32 bits: among 400,000 dropouts some pair collides. Find it, and see
	// that the op's second hash keeps the two apart.
	w := newWorld(t)
	x, key := w.float("x", 2), w.index("key", 1, 2)
	first := w.must(Dropout(x, key, 0, 0.5))
	before, after, _ := strings.Cut(first.Op().(*op).key, "Stream:0")
	prefix := fmt.Sprintf("%v%v", first.Type(), first.Shape()) + before + "Stream:"
	seen := make(map[uint32]uint32)
	for n := range uint32(400000) {
		i := n * 2654435761 // spread over all streams
		h := fnv.New32a()
		io.WriteString(h, prefix+strconv.Itoa(int(i))+after)
		j, collides := seen[h.Sum32()]
		if seen[h.Sum32()] = i; !collides {
			continue
		}
		a, b := w.must(Dropout(x, key, i, 0.5)), w.must(Dropout(x, key, j, 0.5))
		if a.Hashcode() != b.Hashcode() {
			t.Fatalf("streams %d and %d do not collide: this test no longer knows Gorgonia's hash", i, j)
		}
		if a == b {
			t.Errorf("streams %d and %d are one node", i, j)
		}
		return
	}
	t.Error("no collision found")
}

// network is a small deep model with fan-out, chances to work in place, views and dropout.
type network struct {
	cost   *G.Node
	wrt    G.Nodes
	layers G.Nodes // each layer's output
}

func newNetwork(w *world, layers int) (net network) {
	lo, hi, pos := w.index("lo", 0, 0, 0, 3, 3), w.index("hi", 1, 2, 3, 4, 5), w.index("pos", 0, 1, 2, 0, 1)
	freq := w.float("freq", 2)
	table := w.float("table", 9, 8)
	net.wrt = append(net.wrt, table)
	weight := func(i int, name string, shape ...int) *G.Node {
		n := w.float(fmt.Sprintf("%d.%s", i, name), shape...)
		net.wrt = append(net.wrt, n)
		return n
	}
	h := w.must(Embedding(table, w.index("ids", 3, 1, 4, 1, 5)))
	for i := range layers {
		x := w.must(RMSNorm(h, weight(i, "norm1", 8), 1e-6))
		q := w.must(Rotary(w.must(AddBias(w.must(MatMul(x, weight(i, "q", 8, 8), false, true)), weight(i, "qb", 8))), pos, freq, 2, 4, 1))
		k := w.must(Rotary(w.must(MatMul(x, weight(i, "k", 4, 8), false, true)), pos, freq, 1, 4, 1))
		v := w.must(MatMul(x, weight(i, "v", 4, 8), false, true))
		a := w.must(Attention(q, k, v, lo, hi, Heads{2, 1, 4, 0.5, 0}))
		h = w.must(Add(h, w.must(MatMul(a, weight(i, "o", 8, 8), false, true))))
		x = w.must(RMSNorm(h, weight(i, "norm2", 8), 1e-6))
		f := w.must(SwiGLU(w.must(MatMul(x, weight(i, "gate", 12, 8), false, true)), w.must(MatMul(x, weight(i, "up", 12, 8), false, true))))
		f = w.must(Dropout(f, w.index("key", 1, 2), uint32(i), 0.1))
		h = w.must(Add(h, w.must(MatMul(f, weight(i, "down", 8, 12), false, true))))
		net.layers = append(net.layers, h)
	}
	h = w.must(RMSNorm(h, weight(layers, "norm", 8), 1e-6))
	nll := w.must(CrossEntropy(h, table, w.index("labels", 1, 4, -100, 5, 2)))
	net.cost = w.must(Dot(w.float("token weights", 5), nll))
	return net
}

func TestGradientOfATwoLayerLlamaEqualsFiniteDifferences(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 2)
	w.checkGradients(net.cost, net.wrt...)
}

// apart runs a graph with every result in memory of its own.
func apart(m *Machine) {
	off := 0
	for _, s := range m.plan.stores {
		s.off, off = off, off+alignUp(s.n)
	}
	m.plan.arena[device.Float] = off
	m.arena.reserve(m.plan.arena)
}

// poisoned runs a machine launch by launch, with NaN in all memory that no live result holds.
func poisoned(w *world, m *Machine) {
	w.t.Helper()
	if err := m.arena.Ready(); err != nil {
		w.t.Fatal(err)
	}
	if err := m.bind(); err != nil {
		w.t.Fatal(err)
	}
	for _, l := range m.launches {
		live := make([]bool, m.plan.arena[device.Float])
		for _, st := range m.plan.stores {
			if st.def < l.item && st.end >= l.item {
				for e := st.off; e < st.off+st.n; e++ {
					if live[e] {
						w.t.Fatalf("item %d: two live results share element %d", l.item, e)
					}
					live[e] = true
				}
			}
		}
		for e := range live {
			if !live[e] {
				w.dev.Fill(m.arena.bufs[device.Float].Slice(e, e+1), math.NaN())
			}
		}
		l.launch(w.dev, l.out, l.in)
	}
}

func TestMemoryIsReusedWithoutHarm(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 3)
	grads, err := Grad(net.cost, net.wrt...)
	if err != nil {
		t.Fatal(err)
	}
	outputs := append(G.Nodes{net.cost}, grads...)
	wide := w.machine(outputs)
	apart(wide)
	w.run(wide)
	for name, opts := range map[string][]Option{"reuse": nil, "recomputation": {WithRecompute(net.layers...)}} {
		tight := w.machine(outputs, opts...)
		if tight.ArenaBytes()*2 > wide.ArenaBytes() {
			t.Errorf("%s: the arena has %d bytes, without reuse %d", name, tight.ArenaBytes(), wide.ArenaBytes())
		}
		poisoned(w, tight)
		for i, n := range outputs {
			if !slices.Equal(w.read(tight.Output(n)), w.read(wide.Output(n))) {
				t.Errorf("%s: output %d differs from the run without reuse", name, i)
			}
		}
	}
}

func TestRecomputationNeedsLessMemoryAndMoreLaunches(t *testing.T) {
	w := newWorld(t)
	net := newNetwork(w, 24)
	// Gradients of the first layer only: outputs that live to the end do not hide the difference.
	grads, err := Grad(net.cost, net.wrt[1:3]...)
	if err != nil {
		t.Fatal(err)
	}
	outputs := append(G.Nodes{net.cost}, grads...)
	plain, again := w.machine(outputs), w.machine(outputs, WithRecompute(net.layers...))
	if again.ArenaBytes()*3 > plain.ArenaBytes() {
		t.Errorf("24 layers need %d bytes with recomputation, %d without", again.ArenaBytes(), plain.ArenaBytes())
	}
	if again.Steps() <= plain.Steps() || again.Steps() > plain.Steps()*3/2 {
		t.Errorf("%d launches with recomputation, %d without", again.Steps(), plain.Steps())
	}
	w.run(plain)
	w.run(again)
	for i, n := range outputs {
		if !slices.Equal(w.read(plain.Output(n)), w.read(again.Output(n))) {
			t.Errorf("output %d differs with recomputation", i)
		}
	}
	t.Logf("24 layers: arena %d → %d bytes, launches %d → %d", plain.ArenaBytes(), again.ArenaBytes(), plain.Steps(), again.Steps())
}

func TestADyingInputIsOverwrittenAndALiveOneIsNot(t *testing.T) {
	w := newWorld(t)
	x := w.float("x", 4, 4)
	a := w.must(Scale(x, 2))
	b := w.must(Add(a, x))
	c := w.must(Mul(b, b))
	m := w.machine(G.Nodes{c})
	if m.ArenaBytes() != 4*32 { // b lies over a; c·c must not take b twice
		t.Errorf("the arena has %d bytes, want 128", m.ArenaBytes())
	}
	w.run(m)
	data := w.data[x].([]float64)
	for i, v := range w.read(m.Output(c)) {
		if want := 9 * data[i] * data[i]; math.Abs(v-want) > 1e-12 {
			t.Fatalf("element %d is %g, want %g", i, v, want)
		}
	}
	if !slices.Equal(w.read(w.bufs[x]), data) {
		t.Error("a leaf was overwritten")
	}
	m = w.machine(G.Nodes{a, c}) // a is an output too, and lives on
	w.run(m)
	for i, v := range w.read(m.Output(a)) {
		if v != 2*data[i] {
			t.Fatalf("an output was overwritten: element %d is %g, want %g", i, v, 2*data[i])
		}
	}
}

func TestMachinesShareAnArenaThatGrows(t *testing.T) {
	w := newWorld(t)
	arena := NewArena(w.dev)
	x := w.float("x", 8, 8)
	small := w.must(Scale(x, 2))
	m1 := w.machine(G.Nodes{small}, WithArena(arena))
	w.run(m1)
	before := w.read(m1.Output(small))
	big := w.must(MatMul(w.must(MatMul(x, w.float("y", 64, 8), false, true)), w.float("z", 64, 8), false, false))
	m2 := w.machine(G.Nodes{big}, WithArena(arena))
	if arena.Bytes() != max(m1.ArenaBytes(), m2.ArenaBytes()) {
		t.Errorf("the arena has %d bytes for machines of %d and %d", arena.Bytes(), m1.ArenaBytes(), m2.ArenaBytes())
	}
	w.run(m2)
	if m1.Output(small) != nil {
		t.Error("an output in freed memory is given out")
	}
	w.run(m1)
	if !slices.Equal(w.read(m1.Output(small)), before) {
		t.Error("the first machine is wrong after the arena grew")
	}
	if err := m1.Close(); err != nil {
		t.Fatal(err)
	}
	w.run(m2) // still has the arena
}

func TestCacheWriteChangesTheLeafInPlace(t *testing.T) {
	w := newWorld(t)
	cache, x := w.float("cache", 4, 2), w.float("x", 2, 2)
	written := w.must(CacheWrite(cache, x, w.index("slots", 3, 1)))
	y := w.must(Scale(written, 10))
	m := w.machine(G.Nodes{y})
	w.run(m)
	c, rows := w.data[cache].([]float64), w.data[x].([]float64)
	want := []float64{c[0], c[1], rows[2], rows[3], c[4], c[5], rows[0], rows[1]}
	if got := w.read(w.bufs[cache]); !slices.Equal(got, want) {
		t.Errorf("the cache is %v, want %v", got, want)
	}
	for i, v := range w.read(m.Output(y)) {
		if math.Abs(v-10*want[i]) > 1e-12 {
			t.Errorf("what reads the written cache sees %g at %d, want %g", v, i, 10*want[i])
		}
	}
}

func TestUnsetAndUnsupportedNodesAreNamed(t *testing.T) {
	w := newWorld(t)
	a, b := w.float("left hand", 2, 2), w.float("right hand", 2, 2)
	sum := w.must(Add(a, b))
	m, err := Compile(w.dev, G.Nodes{sum})
	if err != nil {
		t.Fatal(err)
	}
	buf, _ := w.dev.Alloc(device.Float, 4)
	if err := m.Set(a, buf); err != nil {
		t.Fatal(err)
	}
	if err := m.RunAll(); err == nil || !strings.Contains(err.Error(), "right hand") || strings.Contains(err.Error(), "left hand") {
		t.Errorf("a run with one leaf unset says %v", err)
	}
	if m.Output(sum) != nil {
		t.Error("there is an output before the first run")
	}
	short, _ := w.dev.Alloc(device.Float, 3)
	ints, _ := w.dev.Alloc(device.Int32, 4)
	for name, err := range map[string]error{
		"a short buffer": m.Set(a, short), "an index buffer": m.Set(a, ints), "a result": m.Set(sum, buf), "no buffer": m.Set(a, nil),
	} {
		if err == nil {
			t.Errorf("set accepts %s", name)
		}
	}
	foreign := G.Must(G.Tanh(a))
	if _, err := Compile(w.dev, G.Nodes{foreign}); err == nil || !strings.Contains(err.Error(), "tanh") {
		t.Errorf("a foreign operation gives %v", err)
	}
	difference := G.Must(G.Sub(a, b))
	if _, err := Compile(w.dev, G.Nodes{difference}); err == nil {
		t.Error("a foreign - is taken for a sum")
	}
	if _, err := Compile(w.dev, nil); err == nil {
		t.Error("compile without outputs: no error")
	}
}

func TestConstructorsRefuseWrongShapes(t *testing.T) {
	w := newWorld(t)
	a, v, ids := w.float("a", 3, 4), w.float("v", 4), w.index("ids", 0, 1, 2)
	h := Heads{2, 2, 2, 1, 0}
	for name, err := range map[string]error{
		"add":                second(Add(a, v)),
		"add of nothing":     second(Add(a, nil)),
		"mul":                second(Mul(a, v)),
		"matrix product":     second(MatMul(a, a, false, false)),
		"product of vector":  second(MatMul(v, a, false, false)),
		"bias":               second(AddBias(a, w.float("b", 3))),
		"scale by a vector":  second(ScaleBy(a, v)),
		"dropout rate":       second(Dropout(a, w.index("key", 1, 2), 0, 1)),
		"dropout key":        second(Dropout(a, ids, 0, 0.5)),
		"embedding by float": second(Embedding(a, v)),
		"norm":               second(RMSNorm(a, w.float("n", 3), 1e-6)),
		"odd rotary head":    second(Rotary(w.float("r", 3, 3), ids, w.float("f", 1), 1, 3, 1)),
		"rotary frequencies": second(Rotary(a, ids, w.float("wide", 2), 2, 2, 1)),
		"rotary positions":   second(Rotary(a, w.index("p", 1), w.float("f", 1), 2, 2, 1)),
		"attention heads":    second(Attention(a, a, a, ids, ids, Heads{3, 2, 2, 1, 0})),
		"attention values":   second(Attention(a, a, v, ids, ids, h)),
		"attention window":   second(Attention(a, a, a, ids, ids, Heads{2, 2, 2, 1, -1})),
		"attention range":    second(Attention(a, a, a, v, ids, h)),
		"cache rows":         second(CacheWrite(w.float("c", 9, 3), a, ids)),
		"labels":             second(CrossEntropy(a, w.float("head", 9, 4), w.index("l", 1))),
		"dot":                second(Dot(a, v)),
		"columns":            second(ScaleColumns(a, w.float("s3", 3))),
		"lengths of rows":    second(DivideByRowNorms(v, a)),
		"generator":          second(SkewExp(v)),
		"blocks of four":     second(BlockMul(a, w.float("m", 8, 8))),
		"block matrix":       second(BlockMul(w.float("e", 1, 8), a)),
		"block of nothing":   second(BlockMul(w.float("e", 1, 8), nil)),
		"second difference":  second(PET(a, v)),
		"view outside":       second(View(a, 10, 4)),
		"a leaf of no rows":  second(Leaf(w.g, "z", device.Float, 0, 3)),
		"a leaf of no shape": second(Leaf(w.g, "z", device.Float)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_ *G.Node, err error) error { return err }

func TestOperationsRunInGorgoniasOwnMachine(t *testing.T) {
	g := G.NewGraph()
	x := G.NewMatrix(g, G.Float64, G.WithShape(2, 4), G.WithName("x"), G.WithValue(tensor.New(tensor.WithShape(2, 4), tensor.WithBacking([]float64{1, -2, 3, 4, 0.5, 6, 7, -8}))))
	y := G.NewMatrix(g, G.Float64, G.WithShape(3, 4), G.WithName("y"), G.WithValue(tensor.New(tensor.WithShape(3, 4), tensor.WithBacking([]float64{1, 0, 1, 0, 2, 1, 0, 0, -1, 1, 1, 1}))))
	p, err := MatMul(x, y, false, true)
	if err != nil {
		t.Fatal(err)
	}
	v, err := View(p, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	if got, want := v.Value().Data().([]float64), []float64{7.5, 7, 4.5}; !slices.Equal(got, want) {
		t.Errorf("Gorgonia's machine gives %v, want %v", got, want)
	}
}

func TestGraphsAreBuiltConcurrently(t *testing.T) {
	// Each run of the process builds its own graphs; Gorgonia's pools are shared between them.
	costs := make([]float64, 4)
	t.Run("at once", func(t *testing.T) {
		for i := range costs {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				net := newNetwork(w, 8)
				grads, err := Grad(net.cost, net.wrt...)
				if err != nil {
					t.Fatal(err)
				}
				m := w.machine(append(G.Nodes{net.cost}, grads...))
				w.run(m)
				costs[i] = w.read(m.Output(net.cost))[0]
			})
		}
	})
	for i, c := range costs {
		if c != costs[0] || c == 0 {
			t.Errorf("graph %d gives %g, the first %g", i, c, costs[0])
		}
	}
}

func TestADeepGraphBuildsFast(t *testing.T) {
	w := newWorld(t)
	start := time.Now()
	net := newNetwork(w, deepLayers)
	built := time.Since(start)
	grads, err := Grad(net.cost, net.wrt...)
	if err != nil {
		t.Fatal(err)
	}
	derived := time.Since(start)
	m, err := Compile(reference.New(), append(G.Nodes{net.cost}, grads...))
	if err != nil {
		t.Fatal(err)
	}
	total := time.Since(start)
	t.Logf("%d layers, %d nodes: model %v, gradients %v, plan %v, %d steps", deepLayers, len(w.g.AllNodes()), built, derived-built, total-derived, m.Steps())
	if total > 20*time.Second {
		t.Errorf("%d layers took %v", deepLayers, total)
	}
}
