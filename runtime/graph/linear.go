package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

type matMul struct {
	M, N, K        int
	TransA, TransB bool
}

// MatMul is op(a)·op(b) of shape [M,N]. a is [M,K], or [K,M] with transA; b is [K,N], or [N,K]
// with transB (the layout of a Hugging Face linear weight).
func MatMul(a, b *G.Node, transA, transB bool) (*G.Node, error) {
	ar, ac, err := matrix("matMul", "a", a)
	if err != nil {
		return nil, err
	}
	br, bc, err := matrix("matMul", "b", b)
	if err != nil {
		return nil, err
	}
	if transA {
		ar, ac = ac, ar
	}
	if transB {
		br, bc = bc, br
	}
	if ac != br {
		return nil, fmt.Errorf("graph: matMul: %s %v (transposed: %t) and %s %v (transposed: %t) do not fit", label(a), a.Shape(), transA, label(b), b.Shape(), transB)
	}
	return apply(matMul{ar, bc, ac, transA, transB}, []int{ar, bc}, a, b)
}

func (k matMul) launch(dev device.Device, out, in []device.Buffer) {
	dev.MatMul(out[0], in[0], in[1], k.M, k.N, k.K, k.TransA, k.TransB, false)
}
func (matMul) signature() string { return "mm>m" }
func (matMul) wrt() []bool       { return []bool{true, true} }

func (k matMul) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	a, b := in[0], in[1]
	var da, db *G.Node
	var err error
	if k.TransA {
		da, err = MatMul(b, dy, k.TransB, true)
	} else {
		da, err = MatMul(dy, b, false, !k.TransB)
	}
	if err != nil {
		return nil, err
	}
	if k.TransB {
		db, err = MatMul(dy, a, true, k.TransA)
	} else {
		db, err = MatMul(a, dy, !k.TransA, false)
	}
	return G.Nodes{da, db}, err
}

type addBias struct{ T, N int }

// AddBias adds bias[N] to every row of a[T,N].
func AddBias(a, bias *G.Node) (*G.Node, error) {
	t, n, err := matrix("addBias", "a", a)
	if err != nil {
		return nil, err
	}
	if _, err := floats("addBias", "bias", bias, n); err != nil {
		return nil, err
	}
	return apply(addBias{t, n}, a.Shape(), a, bias)
}

func (k addBias) launch(dev device.Device, out, in []device.Buffer) {
	dev.AddBias(out[0], in[0], in[1], k.T, k.N)
}
func (addBias) signature() string { return "mf>m" }
func (addBias) inPlace() []int    { return []int{0} }
func (addBias) wrt() []bool       { return []bool{true, true} }

func (k addBias) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	db, err := apply(sumRows(k), in[1].Shape(), dy)
	return G.Nodes{dy, db}, err
}

type sumRows struct{ T, N int }

func (k sumRows) launch(dev device.Device, out, in []device.Buffer) {
	dev.SumRows(out[0], in[0], k.T, k.N)
}
func (sumRows) signature() string { return "m>f" }

type dot struct{}

// Dot is Σ a·b over all elements, of shape [1].
func Dot(a, b *G.Node) (*G.Node, error) {
	n, err := floats("dot", "a", a, -1)
	if err != nil {
		return nil, err
	}
	if _, err := floats("dot", "b", b, n); err != nil {
		return nil, err
	}
	return apply(dot{}, []int{1}, a, b)
}

func (dot) launch(dev device.Device, out, in []device.Buffer) { dev.Dot(out[0], in[0], in[1]) }
func (dot) signature() string                                 { return "mm>f" }
func (dot) wrt() []bool                                       { return []bool{true, true} }

func (dot) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	out := make(G.Nodes, 2)
	for i := range out {
		d, err := ScaleBy(in[1-i], dy)
		if err != nil {
			return nil, err
		}
		if out[i], err = reshape(d, in[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
