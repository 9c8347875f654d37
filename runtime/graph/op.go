package graph

import (
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"reflect"
	"strings"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

// kernel is one operation with all its sizes and parameters as plain fields: they are its identity.
type kernel interface {
	// launch runs the operation. out has one buffer, or one for each of parts.
	launch(dev device.Device, out, in []device.Buffer)
	// signature gives the element types of inputs and result: see infer.
	signature() string
}

// differentiable kernels give the gradient with respect to some of their inputs.
type differentiable interface {
	// wrt says which inputs have a gradient.
	wrt() []bool
	// grad gives one node for each input, nil where wrt says there is none.
	grad(in G.Nodes, out, dy *G.Node) (G.Nodes, error)
}

// inPlacer kernels may write a result over some inputs, any of them where they have several.
type inPlacer interface{ inPlace() []int }

// multi kernels have several results, which only views read: the graph lays them end to end in one flat
// node at partOffsets, the plan gives each its own memory.
type multi interface{ parts() []int }

// partTyped kernels have results of several types. stored is that of the first.
type partTyped interface {
	multi
	partType(part int, stored device.DType) device.DType
}

// trimmable kernels do without their last results: parts after the last that is read are nil.
type trimmable interface {
	multi
	trim()
}

// aliasing kernels have a result that is (part of) the memory of input 0, from the offset on.
type aliasing interface{ aliasOffset() int }

// alignment of buffers in the arena and of parts in a flat node, in elements: 64 bytes of float32.
const alignment = 16

func alignUp(n int) int { return (n + alignment - 1) / alignment * alignment }

// partOffsets gives where each part starts, and the size of the flat node.
func partOffsets(parts []int) (offsets []int, total int) {
	for i, n := range parts {
		offsets = append(offsets, total)
		if i == len(parts)-1 {
			total += n
		} else {
			total += alignUp(n)
		}
	}
	return offsets, total
}

// op makes a kernel a gorgonia.Op and gorgonia.SDOp.
//
// Gorgonia merges nodes of equal hash without comparing their inputs (nodeEq looks at the op's
// hash code, type and shape), and its hashes have 32 bits. So the op's key names the inputs too,
// and Hashcode uses another polynomial than the node's FNV: both must collide before two different
// nodes are taken for one.
type op struct {
	kernel
	name    string
	key     string
	in      []hm.Type
	out     hm.Type
	shape   tensor.Shape
	results int // elements of the result
}

var (
	_ G.Op   = (*op)(nil)
	_ G.SDOp = (*op)(nil)

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// apply adds the node of a kernel with a float result of the given shape.
func apply(k kernel, shape []int, in ...*G.Node) (*G.Node, error) {
	name := reflect.TypeOf(k).Name()
	o := &op{kernel: k, name: name, shape: append(tensor.Shape(nil), shape...)}
	var key strings.Builder
	fmt.Fprintf(&key, "%s%+v%v", name, k, shape)
	for _, n := range in {
		o.in = append(o.in, n.Type())
		fmt.Fprintf(&key, " %d", n.ID())
	}
	of := tensor.Float32
	for _, n := range in {
		if isFloat(n) {
			of = n.Dtype()
			break
		}
	}
	if _, view := k.(view); view {
		of = in[0].Dtype()
	}
	o.key, o.out, o.results = key.String(), G.TensorType{Dims: len(shape), Of: of}, o.shape.TotalSize()
	n, err := G.ApplyOp(o, in...)
	if err != nil {
		return nil, fmt.Errorf("graph: %s: %w", name, err)
	}
	return n, nil
}

func (o *op) Arity() int { return len(o.in) }

func (o *op) Type() hm.Type {
	return hm.NewFnType(append(append([]hm.Type(nil), o.in...), o.out)...)
}

func (o *op) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }
func (o *op) ReturnsPtr() bool                               { return false }
func (o *op) CallsExtern() bool                              { return false }
func (o *op) OverwritesInput() int                           { return -1 }
func (o *op) WriteHash(h hash.Hash)                          { io.WriteString(h, o.key) }
func (o *op) Hashcode() uint32                               { return crc32.Checksum([]byte(o.key), castagnoli) }
func (o *op) String() string                                 { return o.name }

// DiffWRT says which inputs have a gradient.
func (o *op) DiffWRT(n int) []bool {
	if d, ok := o.kernel.(differentiable); ok {
		return d.wrt()
	}
	return make([]bool, n)
}

// SymDiff gives the gradients as new nodes.
func (o *op) SymDiff(in G.Nodes, out, dy *G.Node) (G.Nodes, error) {
	d, ok := o.kernel.(differentiable)
	if !ok {
		return nil, fmt.Errorf("graph: %s has no gradient", o.name)
	}
	return d.grad(in, out, dy)
}

// Do runs the operation on the reference device, so that Gorgonia's own machines can run the graph.
func (o *op) Do(values ...G.Value) (G.Value, error) {
	dev := reference.New()
	defer dev.Close()
	in := make([]device.Buffer, len(values))
	for i, v := range values {
		data := v.Data()
		t, n := device.Float, v.Shape().TotalSize()
		switch data.(type) {
		case []int32:
			t = device.Int32
		case []int8:
			t = device.Int8
		}
		buf, err := dev.Alloc(t, n)
		if err != nil {
			return nil, fmt.Errorf("graph: %s: input %d: %w", o.name, i, err)
		}
		if err := dev.Upload(buf, data); err != nil {
			return nil, fmt.Errorf("graph: %s: input %d: %w", o.name, i, err)
		}
		in[i] = buf
	}
	dt, err := elementType(o.out)
	if err != nil {
		return nil, err
	}
	result := tensor.New(tensor.Of(dt), tensor.WithShape(o.shape...))
	if a, ok := o.kernel.(aliasing); ok {
		out := in[0].Slice(a.aliasOffset(), a.aliasOffset()+o.results)
		o.launch(dev, []device.Buffer{out}, in)
		return result, dev.Download(result.Data(), out)
	}
	flat, err := dev.Alloc(device.Float, o.results)
	if err != nil {
		return nil, fmt.Errorf("graph: %s: %w", o.name, err)
	}
	o.launch(dev, cut(o.kernel, flat), in)
	return result, dev.Download(result.Data(), flat)
}

// cut gives a kernel's result buffers out of its flat one.
func cut(k kernel, flat device.Buffer) []device.Buffer {
	m, ok := k.(multi)
	if !ok {
		return []device.Buffer{flat}
	}
	sizes := m.parts()
	offsets, _ := partOffsets(sizes)
	out := make([]device.Buffer, len(sizes))
	for i, off := range offsets {
		out[i] = flat.Slice(off, off+sizes[i])
	}
	return out
}

func elementType(t hm.Type) (tensor.Dtype, error) {
	switch t := t.(type) {
	case tensor.Dtype:
		return t, nil
	case G.TensorType:
		return elementType(t.Of)
	}
	return tensor.Dtype{}, fmt.Errorf("graph: type %v has no element type", t)
}
