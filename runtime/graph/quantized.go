package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// maxInt8K is the longest row of MatMulInt8.
const maxInt8K = 130_000

type quantizedLinear struct {
	T, N, K   int
	Threshold float64
}

// QuantizedLinear is x·Wᵀ of shape [T,N] with W[N,K] in int8 codes and a scale for each row, as
// device.MatMulInt8 defines it: columns of x with an element of at least threshold are outliers, none
// where threshold is 0. The gradient is that of the dequantized weights with respect to x alone.
func QuantizedLinear(x, codes, scale *G.Node, threshold float64) (*G.Node, error) {
	t, k, err := matrix("quantizedLinear", "x", x)
	if err != nil {
		return nil, err
	}
	n, kw, err := quantized("quantizedLinear", codes, scale)
	if err != nil {
		return nil, err
	}
	if k != kw || k > maxInt8K {
		return nil, fmt.Errorf("graph: quantizedLinear: rows of x have %d elements and those of %s %d; they must be equal and at most %d", k, label(codes), kw, maxInt8K)
	}
	if !(threshold >= 0) {
		return nil, fmt.Errorf("graph: quantizedLinear: threshold %g must not be negative", threshold)
	}
	return apply(quantizedLinear{t, n, k, threshold}, []int{t, n}, x, codes, scale)
}

// quantized gives the shape of a weight in codes of eight bits.
func quantized(op string, codes, scale *G.Node) (n, k int, err error) {
	if codes == nil {
		return 0, 0, fmt.Errorf("graph: %s: codes are missing", op)
	}
	s := codes.Shape()
	if len(s) != 2 || dtypeOf(codes) != device.Int8 {
		return 0, 0, fmt.Errorf("graph: %s: codes (%s) must be a matrix of codes of eight bits, are %v of %v", op, label(codes), s, codes.Dtype())
	}
	if _, err := floats(op, "scale", scale, s[0]); err != nil {
		return 0, 0, err
	}
	return s[0], s[1], nil
}

func (k quantizedLinear) launch(dev device.Device, out, in []device.Buffer) {
	dev.MatMulInt8(out[0], in[0], in[1], in[2], k.T, k.N, k.K, k.Threshold)
}
func (quantizedLinear) signature() string { return "mqf>m" }
func (quantizedLinear) wrt() []bool       { return []bool{true, false, false} }

func (k quantizedLinear) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	dx, err := apply(quantizedLinearGrad{k.T, k.N, k.K, false}, in[0].Shape(), in[1], in[2], dy)
	return G.Nodes{dx, nil, nil}, err
}

// quantizedLinearGrad adds its first input where Sum is set, which fuse alone does.
type quantizedLinearGrad struct {
	T, N, K int
	Sum     bool
}

func (k quantizedLinearGrad) launch(dev device.Device, out, in []device.Buffer) {
	var c device.Buffer
	if k.Sum {
		c, in = in[0], in[1:]
	}
	dev.MatMulInt8Grad(out[0], c, in[2], in[0], in[1], k.T, k.N, k.K)
}

func (k quantizedLinearGrad) signature() string {
	if k.Sum {
		return "mqfm>m"
	}
	return "qfm>m"
}

func (k quantizedLinearGrad) inPlace() []int {
	if k.Sum {
		return []int{0}
	}
	return nil
}

type dequantize struct{ N, K int }

// Dequantize is the weight [N,K] that codes and scale stand for. Its storage type is what WithStorage
// says of this node. It has no gradient.
func Dequantize(codes, scale *G.Node) (*G.Node, error) {
	n, k, err := quantized("dequantize", codes, scale)
	if err != nil {
		return nil, err
	}
	return apply(dequantize{n, k}, []int{n, k}, codes, scale)
}

func (k dequantize) launch(dev device.Device, out, in []device.Buffer) {
	dev.DequantizeRows(out[0], in[0], in[1], k.N, k.K)
}
func (dequantize) signature() string { return "qf>m" }

// quantizedLinearShared is one of several products in a row of the same activations. Again: not the first;
// Keep: not the last.
type quantizedLinearShared struct {
	quantizedLinear
	Again, Keep bool
}

func (k quantizedLinearShared) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.Int8Sharer).MatMulInt8Shared(out[0], in[0], in[1], in[2], k.T, k.N, k.K, k.Threshold, k.Again, k.Keep)
}

// shareActivations tells int8 products of the one before and the one after where those have the same
// activations, which then lie unchanged in their memory.
func (s *schedule) shareActivations() {
	last := -1
	for i, it := range s.items {
		k, ok := it.kernel.(quantizedLinear)
		if !ok {
			continue
		}
		mine := quantizedLinearShared{quantizedLinear: k}
		if last >= 0 && s.items[last].in[0] == it.in[0] {
			before := s.items[last].kernel.(quantizedLinearShared)
			if before.T == k.T && before.K == k.K && before.Threshold == k.Threshold {
				before.Keep, mine.Again = true, true
				s.items[last].kernel = before
			}
		}
		s.items[i].kernel = mine
		last = i
	}
}
