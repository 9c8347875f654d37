package graph

import (
	"testing"

	G "gorgonia.org/gorgonia"
)

func TestGradientOfEachOperationEqualsFiniteDifferences(t *testing.T) {
	heads := Heads{Heads: 4, KVHeads: 2, HeadDim: 4, Scale: 0.5}
	lo := []int32{0, 0, 0, 3, 3}
	hi := []int32{1, 2, 3, 4, 5}
	cases := map[string]func(w *world) (*G.Node, error){
		"embedding with a repeated id": func(w *world) (*G.Node, error) {
			return Embedding(w.float("table", 5, 3), w.index("ids", 4, 0, 4, 2))
		},
		"rms norm":                     func(w *world) (*G.Node, error) { return RMSNorm(w.float("x", 3, 6), w.float("w", 6), 1e-5) },
		"matrix product":               func(w *world) (*G.Node, error) { return MatMul(w.float("a", 3, 4), w.float("b", 4, 5), false, false) },
		"matrix product, a transposed": func(w *world) (*G.Node, error) { return MatMul(w.float("a", 4, 3), w.float("b", 4, 5), true, false) },
		"matrix product, b transposed": func(w *world) (*G.Node, error) { return MatMul(w.float("a", 3, 4), w.float("b", 5, 4), false, true) },
		"matrix product, both":         func(w *world) (*G.Node, error) { return MatMul(w.float("a", 4, 3), w.float("b", 5, 4), true, true) },
		"matrix product of one row":    func(w *world) (*G.Node, error) { return MatMul(w.float("a", 1, 4), w.float("b", 5, 4), false, true) },
		"bias":                         func(w *world) (*G.Node, error) { return AddBias(w.float("a", 3, 4), w.float("bias", 4)) },
		"sum":                          func(w *world) (*G.Node, error) { return Add(w.float("a", 3, 4), w.float("b", 3, 4)) },
		"sum of one number":            func(w *world) (*G.Node, error) { return Add(w.float("a", 1), w.float("b", 1)) },
		"sum of one row":               func(w *world) (*G.Node, error) { return Add(w.float("a", 1, 7), w.float("b", 1, 7)) },
		"sum of a node and itself":     func(w *world) (*G.Node, error) { a := w.float("a", 3, 4); return Add(a, a) },
		"product":                      func(w *world) (*G.Node, error) { return Mul(w.float("a", 3, 4), w.float("b", 3, 4)) },
		"product of a node and itself": func(w *world) (*G.Node, error) { a := w.float("a", 3, 4); return Mul(a, a) },
		"fixed scale":                  func(w *world) (*G.Node, error) { return Scale(w.float("a", 3, 4), -2.5) },
		"scale by a node":              func(w *world) (*G.Node, error) { return ScaleBy(w.float("a", 3, 4), w.float("s", 1)) },
		"scale by a [1,1] node":        func(w *world) (*G.Node, error) { return ScaleBy(w.float("a", 3, 4), w.float("s", 1, 1)) },
		"dropout":                      func(w *world) (*G.Node, error) { return Dropout(w.float("x", 5, 8), w.index("key", 7, 9), 3, 0.3) },
		"swiglu":                       func(w *world) (*G.Node, error) { return SwiGLU(w.float("gate", 3, 5), w.float("up", 3, 5)) },
		"rotary embedding": func(w *world) (*G.Node, error) {
			x, pos, freq := w.float("x", 3, 8), w.index("pos", 0, 5, 2), w.float("freq", 2)
			w.floats = w.floats[:1]
			return Rotary(x, pos, freq, 2, 4, 1.25)
		},
		"rotary embedding of a part of each head": func(w *world) (*G.Node, error) {
			x, pos, freq := w.float("x", 3, 16), w.index("pos", 0, 5, 2), w.float("freq", 3)
			w.floats = w.floats[:1]
			return Rotary(x, pos, freq, 2, 8, 1.25)
		},
		"attention over packed sequences with grouped heads": func(w *world) (*G.Node, error) {
			return Attention(w.float("q", 5, 16), w.float("k", 5, 8), w.float("v", 5, 8), w.index("lo", lo...), w.index("hi", hi...), heads)
		},
		"attention with more keys than queries and an empty range": func(w *world) (*G.Node, error) {
			return Attention(w.float("q", 2, 16), w.float("k", 5, 8), w.float("v", 5, 8), w.index("lo", 1, 0), w.index("hi", 4, 0), heads)
		},
		"attention under a window": func(w *world) (*G.Node, error) {
			h := heads
			h.Window = 2
			return Attention(w.float("q", 5, 16), w.float("k", 5, 8), w.float("v", 5, 8), w.index("lo", lo...), w.index("hi", hi...), h)
		},
		"cross-entropy with masked rows": func(w *world) (*G.Node, error) {
			return CrossEntropy(w.float("h", 4, 3), w.float("w", 6, 3), w.index("labels", 5, -100, 0, 3))
		},
		"focal loss of some rows": func(w *world) (*G.Node, error) {
			return Focal(w.must(CrossEntropy(w.float("h", 4, 3), w.float("w", 6, 3), w.index("labels", 5, -100, 0, 3))), 2)
		},
		"focal loss of a gamma below 1": func(w *world) (*G.Node, error) {
			return Focal(w.must(CrossEntropy(w.float("h", 3, 3), w.float("w", 6, 3), w.index("labels", 1, 2, 3))), 0.5)
		},
		"dot":                 func(w *world) (*G.Node, error) { return Dot(w.float("a", 3, 4), w.float("b", 3, 4)) },
		"dot of unlike shape": func(w *world) (*G.Node, error) { return Dot(w.float("a", 3, 4), w.float("b", 12)) },
		"skew exponential":    func(w *world) (*G.Node, error) { return SkewExp(w.float("a", 28)) },
		"block product":       func(w *world) (*G.Node, error) { return BlockMul(w.float("x", 3, 16), w.float("m", 8, 8)) },
		"transposed block product": func(w *world) (*G.Node, error) {
			return blockProduct(w.float("x", 3, 16), w.float("m", 8, 8), true)
		},
		"second differences": func(w *world) (*G.Node, error) { return PET(w.float("h", 6, 4), w.index("lo", 0, 0, 0, 0, 4, 4)) },
		"columns scaled":     func(w *world) (*G.Node, error) { return ScaleColumns(w.float("a", 3, 4), w.float("s", 4)) },
		"division by the lengths of rows": func(w *world) (*G.Node, error) {
			m, matrix := w.float("m", 3), w.float("w", 3, 4)
			w.floats = w.floats[:1] // the matrix is a constant
			return DivideByRowNorms(m, matrix)
		},
		"part of a matrix": func(w *world) (*G.Node, error) { return View(w.float("a", 3, 4), 3, 2, 3) },
		"change of shape":  func(w *world) (*G.Node, error) { return View(w.float("a", 3, 4), 0, 2, 6) },
	}
	for name, build := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.checkGradients(w.weigh(w.must(build(w))))
		})
	}
}

func TestGradientOfComposedGraphsEqualsFiniteDifferences(t *testing.T) {
	cases := map[string]func(w *world) *G.Node{
		"a node with four consumers": func(w *world) *G.Node {
			x := w.must(RMSNorm(w.float("x", 4, 8), w.float("w", 8), 1e-6))
			a := w.must(MatMul(x, w.float("wa", 8, 8), false, true))
			b := w.must(SwiGLU(x, a))
			c := w.must(Mul(b, x))
			return w.must(Add(c, x))
		},
		"a parameter used twice": func(w *world) *G.Node {
			m := w.float("w", 6, 6)
			return w.must(MatMul(w.must(MatMul(w.float("x", 3, 6), m, false, true)), m, false, false))
		},
		"heads normed through a change of shape": func(w *world) *G.Node {
			q := w.must(MatMul(w.float("x", 3, 6), w.float("wq", 8, 6), false, true))
			heads := w.must(RMSNorm(w.must(View(q, 0, 6, 4)), w.float("w", 4), 1e-6))
			return w.must(Mul(w.must(View(heads, 0, 3, 8)), q))
		},
		"a weight used in parts": func(w *world) *G.Node {
			x, m := w.float("x", 3, 6), w.float("w", 10, 6)
			gate := w.must(MatMul(x, w.must(View(m, 0, 4, 6)), false, true))
			return w.must(SwiGLU(gate, w.must(MatMul(x, w.must(View(m, 36, 4, 6)), false, true))))
		},
		"tied embedding and head": func(w *world) *G.Node {
			table := w.float("table", 7, 6)
			return w.must(CrossEntropy(w.must(Embedding(table, w.index("ids", 1, 5, 5, 2))), table, w.index("labels", 5, 5, -1, 0)))
		},
		"a low-rank addition with dropout": func(w *world) *G.Node {
			x := w.float("x", 4, 8)
			y := w.must(MatMul(x, w.float("w", 6, 8), false, true))
			d := w.must(Dropout(x, w.index("key", 1, 2), 11, 0.25))
			low := w.must(MatMul(w.must(MatMul(d, w.float("A", 2, 8), false, true)), w.float("B", 6, 2), false, true))
			return w.must(Add(y, w.must(Scale(low, 2))))
		},
		"the SO(8) gate": func(w *world) *G.Node {
			x := w.float("x", 3, 16)
			x = w.must(ScaleBy(w.must(BlockMul(x, w.must(SkewExp(w.float("safe", 28))))), w.float("s.safe", 1)))
			return w.must(ScaleBy(w.must(BlockMul(x, w.must(SkewExp(w.float("cmd", 28))))), w.float("s.cmd", 1)))
		},
		"a sum of a loss and a regulariser": func(w *world) *G.Node {
			h := w.must(RMSNorm(w.float("h", 5, 4), w.float("w", 4), 1e-6))
			nll := w.must(CrossEntropy(h, w.float("head", 6, 4), w.index("labels", 0, 1, 2, -1, 4)))
			return w.must(Add(w.must(Dot(w.float("weights", 5), nll)), w.must(Scale(w.must(PET(h, w.index("lo", 0, 0, 0, 0, 0))), 0.1))))
		},
	}
	for name, build := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.checkGradients(w.weigh(build(w)))
		})
	}
}

func TestOnlyTheGradientsAskedForAreComputed(t *testing.T) {
	build := func(w *world) (cost, h, head *G.Node) {
		h, head = w.float("h", 4, 8), w.float("head", 50, 8)
		nll := w.must(CrossEntropy(h, head, w.index("labels", 1, 2, 3, 4)))
		return w.must(Dot(w.float("weights", 4), nll)), h, head
	}
	w := newWorld(t)
	cost, h, _ := build(w)
	frozen, err := Grad(cost, h)
	if err != nil {
		t.Fatal(err)
	}
	m := w.machine(append(G.Nodes{cost}, frozen...))
	w.run(m)
	if m.ArenaBytes() >= 4*50*8 {
		t.Errorf("with a frozen head the arena has %d bytes: dw is computed", m.ArenaBytes())
	}
	got := w.read(m.Output(frozen[0]))

	w2 := newWorld(t)
	cost, h, head := build(w2)
	both, err := Grad(cost, h, head)
	if err != nil {
		t.Fatal(err)
	}
	m2 := w2.machine(both)
	w2.run(m2)
	for i, x := range w2.read(m2.Output(both[0])) {
		if x != got[i] {
			t.Fatalf("dh[%d] is %g with a frozen head and %g without", i, got[i], x)
		}
	}

	w3 := newWorld(t) // only q is trained: dk and dv are made by the same launch but not read
	q := w3.float("q", 2, 4)
	y := w3.must(Attention(q, w3.float("k", 2, 4), w3.float("v", 2, 4), w3.index("lo", 0, 0), w3.index("hi", 1, 2), Heads{1, 1, 4, 0.5, 0}))
	w3.checkGradients(w3.weigh(y), q)
}

func TestGradRefusesWhatHasNoGradient(t *testing.T) {
	w := newWorld(t)
	x, other, ids := w.float("x", 3, 4), w.float("other", 3, 4), w.index("ids", 0, 1)
	rows := w.must(Embedding(x, ids))
	cost := w.must(Dot(rows, rows))
	for name, f := range map[string]func() (G.Nodes, error){
		"a cost of many numbers":  func() (G.Nodes, error) { return Grad(rows, x) },
		"a leaf outside the cost": func() (G.Nodes, error) { return Grad(cost, other) },
		"an index leaf":           func() (G.Nodes, error) { return Grad(cost, ids) },
		"a result":                func() (G.Nodes, error) { return Grad(cost, rows) },
		"no leaf":                 func() (G.Nodes, error) { return Grad(cost) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Grad(cost, x); err != nil {
		t.Fatal(err)
	}
	if _, err := Grad(cost, x); err == nil {
		t.Error("a graph differentiated twice: no error")
	}
}
