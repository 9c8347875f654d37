package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// view is a span of another node's memory under another shape.
type view struct{ Offset, N, Of int }

// View is the span of shape's size from element offset of node, without a copy.
func View(node *G.Node, offset int, shape ...int) (*G.Node, error) {
	if node == nil {
		return nil, fmt.Errorf("graph: view: node is missing")
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	if len(shape) == 0 || n <= 0 || offset < 0 || offset+n > size(node) {
		return nil, fmt.Errorf("graph: view: [%d, %d) of shape %v is outside %s of %d elements", offset, offset+n, shape, label(node), size(node))
	}
	return apply(view{offset, n, size(node)}, shape, node)
}

// launch does nothing: the machine gives a view the memory of its input.
func (view) launch(device.Device, []device.Buffer, []device.Buffer) {}
func (view) signature() string                                      { return "a>a" }

func (v view) aliasOffset() int { return v.Offset }
func (view) wrt() []bool        { return []bool{true} }

func (v view) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	var dx *G.Node
	var err error
	if v.N == v.Of {
		dx, err = View(dy, 0, in[0].Shape()...)
	} else {
		dx, err = apply(spanGrad(v), in[0].Shape(), dy)
	}
	return G.Nodes{dx}, err
}

// spanGrad is the gradient of a view of a part: dy in its place, zero around it.
type spanGrad struct{ Offset, N, Of int }

func (k spanGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.Fill(out[0], 0)
	dev.Copy(out[0].Slice(k.Offset, k.Offset+k.N), in[0])
}
func (spanGrad) signature() string { return "m>m" }

// views gives the parts of a multi-result node as nodes of the given shapes.
func views(k multi, flat *G.Node, shapes ...[]int) (G.Nodes, error) {
	offsets, _ := partOffsets(k.parts())
	out := make(G.Nodes, len(shapes))
	for i, s := range shapes {
		n, err := View(flat, offsets[i], s...)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// applyMulti adds the flat node of a multi-result kernel.
func applyMulti(k interface {
	kernel
	multi
}, in ...*G.Node) (*G.Node, error) {
	_, total := partOffsets(k.parts())
	return apply(k, []int{total}, in...)
}
