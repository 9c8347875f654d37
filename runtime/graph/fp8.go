package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

type fp8Linear struct{ T, N, K int }

// FP8Linear is x·Wᵀ of shape [T,N] with W[N,K] in e4m3 codes and a scale for each row, and x rounded to
// e4m3 by row, as device.MatMulFP8 defines it. The gradient is with respect to x alone: device.MatMulFP8Grad.
func FP8Linear(x, codes, scale *G.Node) (*G.Node, error) {
	t, k, err := matrix("fp8Linear", "x", x)
	if err != nil {
		return nil, err
	}
	n, kw, err := quantized("fp8Linear", codes, scale)
	if err != nil {
		return nil, err
	}
	if k != kw {
		return nil, fmt.Errorf("graph: fp8Linear: rows of x have %d elements and those of %s %d", k, label(codes), kw)
	}
	return apply(fp8Linear{t, n, k}, []int{t, n}, x, codes, scale)
}

func (k fp8Linear) launch(dev device.Device, out, in []device.Buffer) {
	dev.MatMulFP8(out[0], in[0], in[1], in[2], k.T, k.N, k.K)
}
func (fp8Linear) signature() string { return "mqf>m" }
func (fp8Linear) wrt() []bool       { return []bool{true, false, false} }

func (k fp8Linear) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	dx, err := apply(fp8LinearGrad{k.T, k.N, k.K, false}, in[0].Shape(), in[1], in[2], dy)
	return G.Nodes{dx, nil, nil}, err
}

// fp8LinearGrad adds its first input where Sum is set, which fuse alone does.
type fp8LinearGrad struct {
	T, N, K int
	Sum     bool
}

func (k fp8LinearGrad) launch(dev device.Device, out, in []device.Buffer) {
	var c device.Buffer
	if k.Sum {
		c, in = in[0], in[1:]
	}
	dev.MatMulFP8Grad(out[0], c, in[2], in[0], in[1], k.T, k.N, k.K)
}

func (k fp8LinearGrad) signature() string {
	if k.Sum {
		return "mqfm>m"
	}
	return "qfm>m"
}

func (k fp8LinearGrad) inPlace() []int {
	if k.Sum {
		return []int{0}
	}
	return nil
}

type dequantizeFP8 struct{ N, K int }

// DequantizeFP8 is Dequantize for codes in e4m3.
func DequantizeFP8(codes, scale *G.Node) (*G.Node, error) {
	n, k, err := quantized("dequantizeFP8", codes, scale)
	if err != nil {
		return nil, err
	}
	return apply(dequantizeFP8{n, k}, []int{n, k}, codes, scale)
}

func (k dequantizeFP8) launch(dev device.Device, out, in []device.Buffer) {
	dev.DequantizeRowsFP8(out[0], in[0], in[1], k.N, k.K)
}
func (dequantizeFP8) signature() string { return "qf>m" }

// fp8LinearShared is one of several products in a row of the same activations. Again: not the first; Keep: not
// the last.
type fp8LinearShared struct {
	fp8Linear
	Again, Keep bool
}

func (k fp8LinearShared) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.FP8Sharer).MatMulFP8Shared(out[0], in[0], in[1], in[2], k.T, k.N, k.K, k.Again, k.Keep)
}

// shareFP8 tells fp8 products of the one before and the one after where those have the same activations, which
// then lie unchanged in their memory.
func (s *schedule) shareFP8() {
	last := -1
	for i, it := range s.items {
		k, ok := it.kernel.(fp8Linear)
		if !ok {
			continue
		}
		mine := fp8LinearShared{fp8Linear: k}
		if last >= 0 && s.items[last].in[0] == it.in[0] {
			before := s.items[last].kernel.(fp8LinearShared)
			before.Keep, mine.Again = true, true
			s.items[last].kernel = before
		}
		s.items[i].kernel = mine
		last = i
	}
}
