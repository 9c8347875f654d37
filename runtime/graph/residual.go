package graph

import (
	"triality/runtime/device"

	G "gorgonia.org/gorgonia"
)

// eachSum calls join for the sums that are left, with the terms either way round, and carries out what it gives for
// the first that it says yes to, for all items of a node or for none: recomputation makes several, which must have the
// same bytes.
func (f *fusion) eachSum(join func(i, j, c int) (do func(), ok bool)) {
	jobs := map[*G.Node][]func(){}
	apart := map[*G.Node]bool{}
	var nodes G.Nodes
	for i, it := range f.items {
		if _, ok := it.kernel.(sum); !ok || f.gone[i] {
			continue
		}
		do, ok := join(i, it.in[1], it.in[0])
		if !ok {
			do, ok = join(i, it.in[0], it.in[1])
		}
		if !ok {
			apart[it.node] = true
			continue
		}
		if jobs[it.node] == nil {
			nodes = append(nodes, it.node)
		}
		jobs[it.node] = append(jobs[it.node], do)
	}
	for _, n := range nodes {
		if !apart[n] {
			for _, do := range jobs[n] {
				do()
			}
		}
	}
}

// onlyReader tells whether a result is read once, by an item of one node, and not asked for.
func (f *fusion) onlyReader(i int) bool {
	node := f.items[i].node
	return len(f.by[i]) == 1 && len(f.readers[node]) == 1 && !f.wanted[node]
}

// plus is a product's kernel with an addend as its first input, and the inputs that follow.
func (f *fusion) plus(i int) (kernel, []int) {
	switch grad := f.items[i].kernel.(type) {
	case fp8LinearGrad:
		grad.Sum = true
		return grad, f.items[i].in
	case quantizedLinearGrad:
		grad.Sum = true
		return grad, f.items[i].in
	}
	scaled, _, _ := f.scaled(i, 1)
	product := scaled.(matMulAdd)
	product.Sum = true
	return product, f.items[i].in
}

// rmsNormGradXAdd adds its last input.
type rmsNormGradXAdd struct{ rmsNormGradX }

func (k rmsNormGradXAdd) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.NormGradSum).RMSNormGradXAdd(out[0], in[3], in[0], in[1], in[2], k.T, k.D, k.Eps)
}
func (rmsNormGradXAdd) inPlace() []int    { return []int{2, 3} }
func (rmsNormGradXAdd) signature() string { return "mfmm>m" }

// intoNormGrad takes a sum into the gradient of a norm that is one of its terms: the gradient of the residual stream.
func (f *fusion) intoNormGrad() {
	f.eachSum(func(i, j, c int) (func(), bool) {
		k, ok := f.items[j].kernel.(rmsNormGradX)
		if !ok || j == c || !f.onlyReader(j) || f.items[j].dtype != f.items[c].dtype {
			return nil, false
		}
		return func() { f.become(i, j, rmsNormGradXAdd{k}, append(f.items[j].in[:3:3], c)) }, true
	})
}
