// Package graph holds the operations of a transformer as Gorgonia operations, and the machine that
// runs a Gorgonia graph of them on a device.
//
// A model is written once, as a gorgonia.ExprGraph. Each constructor of this package checks shapes
// and adds one node; each operation knows its own gradient as nodes of other operations of the
// set, so Grad derives the gradient of a whole model symbolically. Compile then orders the graph,
// plans the memory and gives a Machine, which implements gorgonia.VM.
//
// Shapes are written [rows, columns]; T counts tokens and D is a hidden width. A graph is written in
// float nodes; how each is stored, in the device's own float type or a narrow one, is decided when it is
// compiled (WithStorage).
package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"triality/runtime/device"
)

// Leaf adds an input node, which Machine.Set binds to a buffer. One graph has one leaf a name. How a
// float leaf is stored is decided when the graph is compiled (WithStorage): dtype is Float, Int32 or Int8.
func Leaf(g *G.ExprGraph, name string, dtype device.DType, shape ...int) (*G.Node, error) {
	if name == "" {
		return nil, fmt.Errorf("graph: a leaf needs a name")
	}
	if dtype != device.Float && dtype != device.Int32 && dtype != device.Int8 {
		return nil, fmt.Errorf("graph: leaf %q cannot be %v; a narrow float leaf is Float here and narrow by WithStorage", name, dtype)
	}
	if len(shape) == 0 {
		return nil, fmt.Errorf("graph: leaf %q has no shape; a single number is [1]", name)
	}
	for _, d := range shape {
		if d <= 0 {
			return nil, fmt.Errorf("graph: leaf %q has shape %v; every dimension must be positive", name, shape)
		}
	}
	dt := G.Float32
	switch dtype {
	case device.Int32:
		dt = G.Int32
	case device.Int8:
		dt = tensor.Int8
	}
	return G.NewTensor(g, dt, len(shape), G.WithShape(shape...), G.WithName(name)), nil
}

func size(n *G.Node) int { return n.Shape().TotalSize() }

func isIndex(n *G.Node) bool { return n.Dtype() == G.Int32 }

func isFloat(n *G.Node) bool { return dtypeOf(n) == device.Float }

func dtypeOf(n *G.Node) device.DType {
	switch n.Dtype() {
	case G.Int32:
		return device.Int32
	case tensor.Int8:
		return device.Int8
	}
	return device.Float
}

// inputs gives a node's inputs in order.
func inputs(n *G.Node) G.Nodes {
	it := n.Graph().From(n.ID())
	if it == nil {
		return nil
	}
	out := make(G.Nodes, 0, it.Len())
	for it.Next() {
		out = append(out, it.Node().(*G.Node))
	}
	return out
}

// matrix gives the rows and columns of a float node of two dimensions.
func matrix(op, role string, n *G.Node) (rows, cols int, err error) {
	if n == nil {
		return 0, 0, fmt.Errorf("graph: %s: %s is missing", op, role)
	}
	s := n.Shape()
	if len(s) != 2 || !isFloat(n) {
		return 0, 0, fmt.Errorf("graph: %s: %s (%s) must be a float matrix, is %v of %v", op, role, label(n), s, n.Dtype())
	}
	return s[0], s[1], nil
}

// floats checks that a node is a float of n elements (any number where n < 0), and gives its size.
func floats(op, role string, node *G.Node, n int) (int, error) {
	if node == nil {
		return 0, fmt.Errorf("graph: %s: %s is missing", op, role)
	}
	if !isFloat(node) || (n >= 0 && size(node) != n) {
		return 0, fmt.Errorf("graph: %s: %s (%s) must hold %d floats, is %v of %v", op, role, label(node), n, node.Shape(), node.Dtype())
	}
	return size(node), nil
}

// indices checks that a node is an index vector of n elements (any number where n < 0).
func indices(op, role string, node *G.Node, n int) (int, error) {
	if node == nil {
		return 0, fmt.Errorf("graph: %s: %s is missing", op, role)
	}
	if !isIndex(node) || (n >= 0 && size(node) != n) {
		return 0, fmt.Errorf("graph: %s: %s (%s) must hold %d int32, is %v of %v", op, role, label(node), n, node.Shape(), node.Dtype())
	}
	return size(node), nil
}

// label names a node in errors: a leaf by its name, a result by its operation and number.
func label(n *G.Node) string {
	if n.Op() == nil {
		return n.Name()
	}
	return fmt.Sprintf("%v#%d", n.Op(), n.ID())
}

func sameShape(a, b tensor.Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
