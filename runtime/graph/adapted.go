package graph

import (
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// term is a low-rank term of an input. There is none where R is 0.
type term struct {
	R      int
	S      float64
	Turned bool
}

// adaptedInputs are inputs of [T,N] and, after them, a and b of the term of each that has one.
type adaptedInputs struct {
	T, N  int
	Terms []term
}

// rank is that of the terms, which all have the same.
func (k adaptedInputs) rank() int {
	for _, t := range k.Terms {
		if t.R > 0 {
			return t.R
		}
	}
	return 0
}

// lowRanks are the terms with their buffers.
func (k adaptedInputs) lowRanks(in []device.Buffer) []device.LowRank {
	out := make([]device.LowRank, len(k.Terms))
	rest := in[len(k.Terms):]
	for i, t := range k.Terms {
		if t.R > 0 {
			out[i] = device.LowRank{A: rest[0], B: rest[1], S: t.S, Turned: t.Turned}
			rest = rest[2:]
		}
	}
	return out
}

// swiGLUAdapted is swiGLU with terms, and swiGLUGradAdapted swiGLUGrad.
type (
	swiGLUAdapted     struct{ adaptedInputs }
	swiGLUGradAdapted struct {
		swiGLUGrad
		adaptedInputs
	}
)

func (k swiGLUAdapted) launch(dev device.Device, out, in []device.Buffer) {
	l := k.lowRanks(in)
	dev.(device.AdaptedSwiGLU).SwiGLUAdapted(out[0], in[0], in[1], l[0], l[1], k.T, k.adaptedInputs.N, k.rank())
}
func (k swiGLUAdapted) signature() string { return swiGLU{}.signature() }
func (k swiGLUAdapted) inPlace() []int    { return swiGLU{}.inPlace() }

func (k swiGLUGradAdapted) launch(dev device.Device, out, in []device.Buffer) {
	l := k.lowRanks(in)
	dev.(device.AdaptedSwiGLU).SwiGLUGradAdapted(out[0], out[1], in[0], in[1], in[2], l[0], l[1], l[2], k.T, k.adaptedInputs.N, k.rank())
}

// intoSwiGLU lets SwiGLU and its gradient add what adapters add to their inputs, for a device that can: the sums of
// the widest activations are then no passes of their own. A sum goes where nothing but these read it.
func (f *fusion) intoSwiGLU(dev device.AdaptedSwiGLU) {
	kernels := map[*G.Node]kernel{}
	for _, it := range f.items {
		kernels[it.node] = it.kernel
	}
	onlyThese := func(n *G.Node) bool {
		for reader := range f.readers[n] {
			switch kernels[reader].(type) {
			case swiGLU, swiGLUGrad:
			default:
				return false
			}
		}
		return !f.wanted[n]
	}
	for i, it := range f.items {
		switch it.kernel.(type) {
		case swiGLU, swiGLUGrad:
		default:
			continue
		}
		all := adaptedInputs{Terms: make([]term, len(it.in))}
		in, factors := slices.Clone(it.in), []int(nil)
		for k, j := range it.in {
			base, product, m, ok := f.lowRankSum(j, dev)
			if !ok || !onlyThese(f.items[j].node) || all.rank() > 0 && (all.rank() != m.K || all.T != m.M || all.N != m.N) {
				continue
			}
			_, s, _ := f.scaled(product, 1)
			all.T, all.N, all.Terms[k] = m.M, m.N, term{m.K, s, !m.TransB}
			in[k] = base
			factors = append(factors, f.items[product].in...)
		}
		if len(factors) == 0 {
			continue
		}
		f.readInstead(i, append(in, factors...))
		switch k := it.kernel.(type) {
		case swiGLU:
			f.items[i].kernel = swiGLUAdapted{all}
		case swiGLUGrad:
			f.items[i].kernel = swiGLUGradAdapted{k, all}
		}
	}
}

// lowRankSum tells whether an item is the sum of another, base, and a product of low rank that is read by it alone
// and that the device takes as a term: of two such that of the lower rank.
func (f *fusion) lowRankSum(i int, dev device.AdaptedSwiGLU) (base, product int, m matMul, ok bool) {
	it := f.items[i]
	if _, isSum := it.kernel.(sum); !isSum || it.in[0] == it.in[1] {
		return 0, 0, m, false
	}
	for k, j := range it.in {
		var p matMul
		switch k := f.items[j].kernel.(type) {
		case matMul:
			p = k
		case matMulAdd:
			p = k.matMul
		default:
			continue
		}
		if f.product(j) && !p.TransA && p.K > 0 && dev.TakesLowRank(p.N, p.K, it.dtype) && (!ok || p.K < m.K) {
			base, product, m, ok = it.in[1-k], j, p, true
		}
	}
	return base, product, m, ok
}

// readInstead gives an item other inputs, and drops what nothing reads after it.
func (f *fusion) readInstead(i int, in []int) {
	old := f.items[i].in
	f.items[i].in = in
	for _, j := range in {
		f.by[j] = append(f.by[j], i)
		of := f.items[j].node
		if f.readers[of] == nil {
			f.readers[of] = map[*G.Node]bool{}
		}
		f.readers[of][f.items[i].node] = true
	}
	for _, j := range old {
		f.unread(j, i)
		f.dropUnread(j)
	}
}

// dropUnread leaves out sums and products of sums that nothing reads any more.
func (f *fusion) dropUnread(i int) {
	if len(f.by[i]) > 0 || f.gone[i] || f.items[i].kernel == nil || f.wanted[f.items[i].node] {
		return
	}
	in := f.items[i].in
	f.drop(i)
	for _, j := range in {
		f.dropUnread(j)
	}
}
