package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// Add is a + b, of equal shapes: Gorgonia's own +, which it also uses to sum gradients.
func Add(a, b *G.Node) (*G.Node, error) {
	if err := equalShapes("add", a, b); err != nil {
		return nil, err
	}
	n, err := G.Add(a, b)
	if err != nil {
		return nil, fmt.Errorf("graph: add: %w", err)
	}
	// Gorgonia merges by a 32-bit hash without looking at the inputs; a wrong merge must not pass.
	if in := inputs(n); len(in) != 2 || in[0] != a || in[1] != b {
		return nil, fmt.Errorf("graph: add: the hash of %s + %s collides with another sum", label(a), label(b))
	}
	return n, nil
}

func equalShapes(op string, a, b *G.Node) error {
	if _, err := floats(op, "a", a, -1); err != nil {
		return err
	}
	if _, err := floats(op, "b", b, -1); err != nil {
		return err
	}
	if !sameShape(a.Shape(), b.Shape()) {
		return fmt.Errorf("graph: %s: shapes %v (%s) and %v (%s) differ", op, a.Shape(), label(a), b.Shape(), label(b))
	}
	return nil
}

// sum is the kernel that the machine gives Gorgonia's +.
type sum struct{}

func (sum) launch(dev device.Device, out, in []device.Buffer) { dev.Add(out[0], in[0], in[1]) }
func (sum) signature() string                                 { return "mm>m" }
func (sum) inPlace() []int                                    { return []int{0, 1} }

type mul struct{}

// Mul is a · b, element by element, of equal shapes.
func Mul(a, b *G.Node) (*G.Node, error) {
	if err := equalShapes("mul", a, b); err != nil {
		return nil, err
	}
	return apply(mul{}, a.Shape(), a, b)
}

func (mul) launch(dev device.Device, out, in []device.Buffer) { dev.Mul(out[0], in[0], in[1]) }
func (mul) signature() string                                 { return "mm>m" }
func (mul) inPlace() []int                                    { return []int{0, 1} }
func (mul) wrt() []bool                                       { return []bool{true, true} }

func (mul) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	da, err := Mul(dy, in[1])
	if err != nil {
		return nil, err
	}
	db, err := Mul(dy, in[0])
	return G.Nodes{da, db}, err
}

type scale struct{ S float64 }

// Scale is s · a, with s fixed when the graph is built.
func Scale(a *G.Node, s float64) (*G.Node, error) {
	if _, err := floats("scale", "a", a, -1); err != nil {
		return nil, err
	}
	return apply(scale{s}, a.Shape(), a)
}

func (k scale) launch(dev device.Device, out, in []device.Buffer) { dev.Scale(out[0], in[0], k.S) }
func (scale) signature() string                                   { return "m>m" }
func (scale) inPlace() []int                                      { return []int{0} }
func (scale) wrt() []bool                                         { return []bool{true} }

func (k scale) grad(_ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	da, err := Scale(dy, k.S)
	return G.Nodes{da}, err
}

type scaleBy struct{}

// ScaleBy is s · a, where s is a node of one element.
func ScaleBy(a, s *G.Node) (*G.Node, error) {
	if _, err := floats("scaleBy", "a", a, -1); err != nil {
		return nil, err
	}
	if _, err := floats("scaleBy", "s", s, 1); err != nil {
		return nil, err
	}
	return apply(scaleBy{}, a.Shape(), a, s)
}

func (scaleBy) launch(dev device.Device, out, in []device.Buffer) { dev.ScaleBy(out[0], in[0], in[1]) }
func (scaleBy) signature() string                                 { return "mf>m" }
func (scaleBy) inPlace() []int                                    { return []int{0} }
func (scaleBy) wrt() []bool                                       { return []bool{true, true} }

func (scaleBy) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	da, err := ScaleBy(dy, in[1])
	if err != nil {
		return nil, err
	}
	ds, err := Dot(in[0], dy)
	if err != nil {
		return nil, err
	}
	ds, err = reshape(ds, in[1])
	return G.Nodes{da, ds}, err
}

// reshape gives n the shape of like, which has the same number of elements.
func reshape(n, like *G.Node) (*G.Node, error) {
	if sameShape(n.Shape(), like.Shape()) {
		return n, nil
	}
	return View(n, 0, like.Shape()...)
}

type dropout struct {
	Stream uint32
	Rate   float64
}

// Dropout zeroes a share rate of x and scales the rest by 1/(1-rate), by the mask that
// device.Dropout defines for (key, stream). key is Int32[2]; two dropouts of one graph take two
// streams. A rate of 0 gives x itself.
func Dropout(x, key *G.Node, stream uint32, rate float64) (*G.Node, error) {
	if rate < 0 || rate >= 1 {
		return nil, fmt.Errorf("graph: dropout: rate %g is outside [0, 1)", rate)
	}
	if _, err := floats("dropout", "x", x, -1); err != nil {
		return nil, err
	}
	if _, err := indices("dropout", "key", key, 2); err != nil {
		return nil, err
	}
	if rate == 0 {
		return x, nil
	}
	return apply(dropout{stream, rate}, x.Shape(), x, key)
}

func (k dropout) launch(dev device.Device, out, in []device.Buffer) {
	dev.Dropout(out[0], in[0], in[1], k.Stream, k.Rate)
}
func (dropout) signature() string { return "mi>m" }
func (dropout) inPlace() []int    { return []int{0} }
func (dropout) wrt() []bool       { return []bool{true, false} }

func (k dropout) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	dx, err := Dropout(dy, in[1], k.Stream, k.Rate)
	return G.Nodes{dx, nil}, err
}

type swiGLU struct{}

// SwiGLU is silu(gate) · up, of equal shapes (Shazeer 2020).
func SwiGLU(gate, up *G.Node) (*G.Node, error) {
	if err := equalShapes("swiGLU", gate, up); err != nil {
		return nil, err
	}
	return apply(swiGLU{}, gate.Shape(), gate, up)
}

func (swiGLU) launch(dev device.Device, out, in []device.Buffer) { dev.SwiGLU(out[0], in[0], in[1]) }
func (swiGLU) signature() string                                 { return "mm>m" }
func (swiGLU) inPlace() []int                                    { return []int{0, 1} }
func (swiGLU) wrt() []bool                                       { return []bool{true, true} }

func (swiGLU) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	k := swiGLUGrad{size(dy)}
	flat, err := applyMulti(k, in[0], in[1], dy)
	if err != nil {
		return nil, err
	}
	return views(k, flat, in[0].Shape(), in[1].Shape())
}

type swiGLUGrad struct{ N int }

func (k swiGLUGrad) parts() []int { return []int{k.N, k.N} }
func (swiGLUGrad) inPlace() []int { return []int{0, 1, 2} }

func (swiGLUGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.SwiGLUGrad(out[0], out[1], in[0], in[1], in[2])
}
func (swiGLUGrad) signature() string { return "mmm>m" }

type fill struct{ V float64 }

// ones is a node of ones in the shape of like: the gradient of a cost with respect to itself.
func ones(like *G.Node) (*G.Node, error) { return apply(fill{1}, like.Shape(), like) }

func (k fill) launch(dev device.Device, out, _ []device.Buffer) { dev.Fill(out[0], k.V) }
func (fill) signature() string                                  { return "a>a" }

// constant fills what takes no part in a gradient. Its input only gives the shape.
type constant struct{ V float64 }

func (k constant) launch(dev device.Device, out, _ []device.Buffer) { dev.Fill(out[0], k.V) }
func (constant) signature() string                                  { return "a>a" }
