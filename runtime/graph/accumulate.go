package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

type accumulate struct{ N int }

// Accumulate adds g to the memory of sink, a Float leaf of its shape that nothing else reads, and gives
// sink. It is computed as soon as g is, so that g's memory is free at once; where g is a matrix product
// that nothing else reads, the product is added straight to sink. It has no gradient.
func Accumulate(sink, g *G.Node) (*G.Node, error) {
	if err := equalShapes("accumulate", sink, g); err != nil {
		return nil, err
	}
	if sink.Op() != nil {
		return nil, fmt.Errorf("graph: accumulate: %s is no leaf", label(sink))
	}
	return apply(accumulate{size(g)}, sink.Shape(), sink, g)
}

// chunk is the number of elements of a narrow gradient that are widened at a time.
const chunk = 1 << 20

func (accumulate) launch(dev device.Device, out, in []device.Buffer) {
	if len(in) == 2 {
		dev.Add(out[0], out[0], in[1])
		return
	}
	wide := in[2]
	for from := 0; from < out[0].Len(); from += wide.Len() {
		to := min(from+wide.Len(), out[0].Len())
		w, sink := wide.Slice(0, to-from), out[0].Slice(from, to)
		dev.Copy(w, in[1].Slice(from, to))
		dev.Add(sink, sink, w)
	}
}
func (accumulate) signature() string { return "fm>f" }
func (accumulate) aliasOffset() int  { return 0 }

// scratch is memory for the launch that reads it.
type scratch struct{}

func (scratch) launch(device.Device, []device.Buffer, []device.Buffer) {}
func (scratch) signature() string                                      { return ">f" }

// matMulInto adds a product, times S, to a sink.
type matMulInto struct {
	matMul
	S float64
}

func (k matMulInto) launch(dev device.Device, out, in []device.Buffer) {
	if k.S != 1 { // by fuse alone
		dev.(device.ProductSum).MatMulAdd(out[0], out[0], in[1], in[2], k.M, k.N, k.K, k.TransA, k.TransB, k.S)
		return
	}
	dev.MatMul(out[0], in[1], in[2], k.M, k.N, k.K, k.TransA, k.TransB, true)
}
func (matMulInto) signature() string { return "fmm>f" }
func (matMulInto) aliasOffset() int  { return 0 }

// gather lets products that only an Accumulate reads be added straight to its sink, and gives the other
// Accumulates of narrow gradients memory to widen them in. It refuses a sink that something else reads.
func (s *schedule) gather() error {
	readers := make([]int, len(s.items))
	for _, it := range s.items {
		for _, j := range it.in {
			readers[j]++
		}
	}
	fused := make([]bool, len(s.items))
	for _, it := range s.items {
		if _, ok := it.kernel.(accumulate); !ok {
			continue
		}
		sink, g := it.in[0], it.in[1]
		if readers[sink] != 1 || s.items[sink].kernel != nil {
			return fmt.Errorf("graph: compile: %s adds to %s, which %d others read", label(it.node), label(s.items[sink].node), readers[sink]-1)
		}
		_, product := s.items[g].kernel.(matMul)
		fused[g] = product && readers[g] == 1 && !s.wanted[s.items[g].node]
	}
	var items []item
	at := make([]int, len(s.items))
	for i, it := range s.items {
		if fused[i] {
			delete(s.index, it.node)
			continue
		}
		in := moved(it.in, at)
		if _, ok := it.kernel.(accumulate); ok {
			g := s.items[it.in[1]]
			switch {
			case fused[it.in[1]]:
				it.kernel = matMulInto{g.kernel.(matMul), 1}
				in = append([]int{in[0]}, moved(g.in, at)...)
			case g.dtype != device.Float:
				items = append(items, item{node: it.node, kernel: scratch{}, n: min(it.n, chunk), dtype: device.Float})
				in = append(in, len(items)-1)
			}
		}
		it.in = in
		items = append(items, it)
		at[i] = len(items) - 1
		s.index[it.node] = at[i]
	}
	s.items = items
	return nil
}
