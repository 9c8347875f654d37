package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

type skewExp struct{}

// SkewExp is exp(A) in SO(8), [8,8], with A skew-symmetric from a's 28 entries above the diagonal.
func SkewExp(a *G.Node) (*G.Node, error) {
	if _, err := floats("skewExp", "a", a, 28); err != nil {
		return nil, err
	}
	return apply(skewExp{}, []int{8, 8}, a)
}

func (skewExp) launch(dev device.Device, out, in []device.Buffer) { dev.SkewExp(out[0], in[0]) }
func (skewExp) signature() string                                 { return "f>f" }
func (skewExp) wrt() []bool                                       { return []bool{true} }

func (skewExp) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	da, err := apply(skewExpGrad{}, in[0].Shape(), in[0], dy)
	return G.Nodes{da}, err
}

type skewExpGrad struct{}

func (skewExpGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.SkewExpGrad(out[0], in[0], in[1])
}
func (skewExpGrad) signature() string { return "ff>f" }

type blockMul struct {
	T, D  int
	Trans bool
}

// BlockMul multiplies each block of eight elements of each row of x[T,D] by m[8,8].
func BlockMul(x, m *G.Node) (*G.Node, error) { return blockProduct(x, m, false) }

func blockProduct(x, m *G.Node, trans bool) (*G.Node, error) {
	t, d, err := matrix("blockMul", "x", x)
	if err != nil {
		return nil, err
	}
	if d%8 != 0 {
		return nil, fmt.Errorf("graph: blockMul: rows of %d are not blocks of eight", d)
	}
	r, c, err := matrix("blockMul", "m", m)
	if err != nil {
		return nil, err
	}
	if r != 8 || c != 8 {
		return nil, fmt.Errorf("graph: blockMul: m is [%d, %d], must be [8, 8]", r, c)
	}
	return apply(blockMul{t, d, trans}, x.Shape(), x, m)
}

func (k blockMul) launch(dev device.Device, out, in []device.Buffer) {
	dev.BlockMul(out[0], in[0], in[1], k.T, k.D, k.Trans)
}
func (blockMul) inPlace() []int    { return []int{0} }
func (blockMul) signature() string { return "mf>m" }
func (blockMul) wrt() []bool       { return []bool{true, true} }

func (k blockMul) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	dx, err := blockProduct(dy, in[1], !k.Trans)
	if err != nil {
		return nil, err
	}
	x, g := in[0], dy
	if k.Trans { // y_b = mᵀ·x_b, so dm = Σ x_b·dy_bᵀ
		x, g = dy, in[0]
	}
	dm, err := apply(blockMulGradM{k.T, k.D}, []int{8, 8}, x, g)
	return G.Nodes{dx, dm}, err
}

type blockMulGradM struct{ T, D int }

func (k blockMulGradM) launch(dev device.Device, out, in []device.Buffer) {
	dev.BlockMulGradM(out[0], in[0], in[1], k.T, k.D)
}
func (blockMulGradM) signature() string { return "mm>f" }

type pet struct{ T, D int }

// PET is the mean squared second difference of h[T,D] along each sequence, of shape [1]. lo is
// Int32[T], the first row of each token's own sequence.
func PET(h, lo *G.Node) (*G.Node, error) {
	t, d, err := matrix("pet", "h", h)
	if err != nil {
		return nil, err
	}
	if _, err := indices("pet", "lo", lo, t); err != nil {
		return nil, err
	}
	return apply(pet{t, d}, []int{1}, h, lo)
}

func (k pet) launch(dev device.Device, out, in []device.Buffer) {
	dev.PET(out[0], in[0], in[1], k.T, k.D)
}
func (pet) signature() string { return "mi>f" }
func (pet) wrt() []bool       { return []bool{true, false} }

func (k pet) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	dh, err := apply(petGrad(k), in[0].Shape(), in[0], in[1], dy)
	return G.Nodes{dh, nil}, err
}

type petGrad struct{ T, D int }

func (k petGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.PETGrad(out[0], in[0], in[1], in[2], k.T, k.D)
}
func (petGrad) signature() string { return "mif>m" }
