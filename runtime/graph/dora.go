package graph

import (
	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

type divideByRowNorms struct{ N, K int }

// DivideByRowNorms is m[n] divided by the length of row n of w[N,K]. w is taken as a constant: the
// gradient is that of m alone, as in DoRA (Liu et al. 2024, section 4.3). It needs the inverse lengths
// again and not w, so that a w made for this call is gone after it.
func DivideByRowNorms(m, w *G.Node) (*G.Node, error) {
	n, k, err := matrix("divideByRowNorms", "w", w)
	if err != nil {
		return nil, err
	}
	if _, err := floats("divideByRowNorms", "m", m, n); err != nil {
		return nil, err
	}
	one, err := apply(constant{1}, m.Shape(), m)
	if err != nil {
		return nil, err
	}
	inverse, err := apply(divideByRowNorms{n, k}, m.Shape(), one, w)
	if err != nil {
		return nil, err
	}
	return Mul(m, inverse)
}

func (k divideByRowNorms) launch(dev device.Device, out, in []device.Buffer) {
	dev.DivideByRowNorms(out[0], in[0], in[1], k.N, k.K)
}
func (divideByRowNorms) signature() string { return "fm>f" }

type scaleColumns struct{ T, N int }

// ScaleColumns is a[t,n]·s[n]. a is [T,N], s [N].
func ScaleColumns(a, s *G.Node) (*G.Node, error) {
	t, n, err := matrix("scaleColumns", "a", a)
	if err != nil {
		return nil, err
	}
	if _, err := floats("scaleColumns", "s", s, n); err != nil {
		return nil, err
	}
	return apply(scaleColumns{t, n}, a.Shape(), a, s)
}

func (k scaleColumns) launch(dev device.Device, out, in []device.Buffer) {
	dev.ScaleColumns(out[0], in[0], in[1], k.T, k.N)
}
func (scaleColumns) signature() string { return "mf>m" }
func (scaleColumns) inPlace() []int    { return []int{0} }
func (scaleColumns) wrt() []bool       { return []bool{true, true} }

func (k scaleColumns) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	da, err := ScaleColumns(dy, in[1])
	if err != nil {
		return nil, err
	}
	p, err := Mul(in[0], dy)
	if err != nil {
		return nil, err
	}
	ds, err := apply(sumRows(k), in[1].Shape(), p)
	return G.Nodes{da, ds}, err
}
