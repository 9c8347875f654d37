package graph

import (
	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// rmsNormGradXAdd adds its last input.
type rmsNormGradXAdd struct{ rmsNormGradX }

func (k rmsNormGradXAdd) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.NormGradSum).RMSNormGradXAdd(out[0], in[3], in[0], in[1], in[2], k.T, k.D, k.Eps)
}
func (rmsNormGradXAdd) inPlace() []int    { return []int{2, 3} }
func (rmsNormGradXAdd) signature() string { return "mfmm>m" }

// intoNormGrad takes a sum into the gradient of a norm that is one of its terms: the gradient of the residual stream. It
// does so for all items of a node or for none: recomputation makes several, which must have the same bytes.
func (f *fusion) intoNormGrad() {
	apart := map[*G.Node]bool{}
	grads := map[int]int{} // by sum
	for i, it := range f.items {
		if _, ok := it.kernel.(sum); !ok || f.gone[i] {
			continue
		}
		if j, ok := f.normGrad(it.in); ok {
			grads[i] = j
		} else {
			apart[it.node] = true
		}
	}
	for i, it := range f.items {
		if j, ok := grads[i]; ok && !apart[it.node] {
			c := it.in[0] + it.in[1] - j
			grad := f.items[j]
			f.become(i, j, rmsNormGradXAdd{grad.kernel.(rmsNormGradX)}, append(grad.in[:3:3], c))
		}
	}
}

// normGrad is the gradient of a norm among two terms that nothing but their sum reads.
func (f *fusion) normGrad(terms []int) (grad int, ok bool) {
	for _, j := range []int{terms[1], terms[0]} {
		_, isGrad := f.items[j].kernel.(rmsNormGradX)
		if isGrad && terms[0] != terms[1] && f.onlyReader(j) && f.items[terms[0]].dtype == f.items[terms[1]].dtype {
			return j, true
		}
	}
	return 0, false
}
