package graph

import (
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// matMulAdd is S·op(a)·op(b), plus the first input where Sum is set: a product with the scaling and the sum
// that followed it.
type matMulAdd struct {
	matMul
	S   float64
	Sum bool
}

func (k matMulAdd) launch(dev device.Device, out, in []device.Buffer) {
	var c device.Buffer
	if k.Sum {
		c, in = in[0], in[1:]
	}
	dev.(device.ProductSum).MatMulAdd(out[0], c, in[0], in[1], k.M, k.N, k.K, k.TransA, k.TransB, k.S)
}

func (k matMulAdd) signature() string {
	if k.Sum {
		return "mmm>m"
	}
	return "mm>m"
}

func (k matMulAdd) inPlace() []int {
	if k.Sum {
		return []int{0}
	}
	return nil
}

// fusion is a schedule whose products take in the scalings and sums around them. What is joined is decided
// by nodes, of which recomputation makes several items, so that it is the same with and without.
type fusion struct {
	*schedule
	by      [][]int // the items that read an item, once for each reading
	readers map[*G.Node]map[*G.Node]bool
	gone    []bool
}

// fuse takes scalings and sums into the products beside them, for a device that has products with both: an
// adapter then adds to its module's output, and in the gradient to the module's, without a pass of its own.
func (s *schedule) fuse(dev device.Device) {
	f := &fusion{schedule: s, by: make([][]int, len(s.items)), readers: map[*G.Node]map[*G.Node]bool{}, gone: make([]bool, len(s.items))}
	for i, it := range s.items {
		for _, j := range it.in {
			f.by[j] = append(f.by[j], i)
			of := s.items[j].node
			if f.readers[of] == nil {
				f.readers[of] = map[*G.Node]bool{}
			}
			f.readers[of][it.node] = true
		}
	}
	scalings := map[*G.Node]bool{} // those that nothing but products reads
	for i, it := range s.items {
		if _, ok := it.kernel.(scale); ok {
			only, seen := scalings[it.node]
			scalings[it.node] = (only || !seen) && f.onlyProductsRead(i)
		}
	}
	for i, it := range s.items {
		if k, ok := it.kernel.(scale); ok && scalings[it.node] {
			f.intoReaders(i, k.S)
		}
	}
	for i, it := range s.items {
		if k, ok := it.kernel.(scale); ok && !f.gone[i] {
			f.intoProduct(i, k.S)
		}
	}
	if d, ok := dev.(device.AdaptedSwiGLU); ok {
		f.intoSwiGLU(d)
	}
	for i, it := range s.items {
		if _, ok := it.kernel.(sum); ok && !f.gone[i] {
			f.intoSum(i)
		}
	}
	if _, ok := dev.(device.NormGradSum); ok {
		f.intoNormGrad()
	}
	f.compact()
}

// onlyProductsRead tells whether a scaling's result is read by products alone.
func (f *fusion) onlyProductsRead(i int) bool {
	if f.wanted[f.items[i].node] || len(f.by[i]) == 0 {
		return false
	}
	for _, r := range f.by[i] {
		if _, _, ok := f.scaled(r, 1); !ok || slices.Contains(f.items[r].in[:f.sinks(r)], i) {
			return false
		}
	}
	return true
}

// intoReaders drops a scaling that products read: they scale their results.
func (f *fusion) intoReaders(i int, factor float64) {
	from := f.items[i].in[0]
	for _, r := range f.by[i] { // a product that reads it twice is scaled twice
		f.items[r].kernel, _, _ = f.scaled(r, factor)
		f.items[r].in[slices.Index(f.items[r].in, i)] = from
		f.by[from] = append(f.by[from], r)
	}
	f.drop(i)
}

// scaled is a product's kernel with its result times factor, and its scale.
func (f *fusion) scaled(i int, factor float64) (k kernel, all float64, ok bool) {
	switch k := f.items[i].kernel.(type) {
	case matMul:
		return matMulAdd{k, factor, false}, factor, true
	case matMulAdd:
		k.S *= factor
		return k, k.S, !k.Sum
	case matMulInto:
		k.S *= factor
		return k, k.S, true
	}
	return nil, 0, false
}

// sinks is the number of inputs before a product's operands.
func (f *fusion) sinks(i int) int { return len(f.items[i].in) - 2 }

// product tells whether an item is a product that only one other item reads, so that it may become part of
// that item.
func (f *fusion) product(i int) bool {
	switch k := f.items[i].kernel.(type) {
	case matMul:
	case matMulAdd:
		if k.Sum {
			return false
		}
	case fp8LinearGrad:
		if k.Sum {
			return false
		}
	case quantizedLinearGrad:
		if k.Sum {
			return false
		}
	default:
		return false
	}
	return f.onlyReader(i)
}

// intoProduct makes a scaling the product that it scales, where nothing else reads that.
func (f *fusion) intoProduct(i int, factor float64) {
	j := f.items[i].in[0]
	if !f.product(j) {
		return
	}
	if k, _, ok := f.scaled(j, factor); ok {
		f.become(i, j, k, f.items[j].in)
	}
}

// intoSum makes a sum the product that is one of its terms, and adds the other: the later term where both
// are products. An earlier one is computed no later than now only if its operands take no more memory
// than it does, since they live on until then.
func (f *fusion) intoSum(i int) {
	in := f.items[i].in
	for _, k := range []int{1, 0} {
		if in[k] < in[1-k] {
			continue
		}
		if f.addTo(i, in[k], in[1-k]) {
			return
		}
		if small(f.items[in[1-k]].kernel) {
			f.addTo(i, in[1-k], in[k])
		}
		return
	}
}

// addTo makes the sum i the product j plus c.
func (f *fusion) addTo(i, j, c int) bool {
	if j == c || !f.product(j) {
		return false
	}
	k, in := f.plus(j)
	f.become(i, j, k, append([]int{c}, in...))
	return true
}

// small tells whether a product's operands have no more elements than its result.
func small(k kernel) bool {
	var m matMul
	switch k := k.(type) {
	case matMul:
		m = k
	case matMulAdd:
		m = k.matMul
	default:
		return false
	}
	return m.K*(m.M+m.N) <= m.M*m.N
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

// become gives item i another kernel and inputs, which takes the place of item j.
func (f *fusion) become(i, j int, k kernel, in []int) {
	for _, from := range f.items[i].in {
		f.unread(from, i)
	}
	in = slices.Clone(in)
	f.drop(j)
	f.items[i].kernel, f.items[i].in = k, in
	for _, from := range in {
		f.by[from] = append(f.by[from], i)
	}
}

// drop leaves an item out.
func (f *fusion) drop(i int) {
	for _, from := range f.items[i].in {
		f.unread(from, i)
	}
	f.gone[i] = true
}

// unread takes one reading of an item back.
func (f *fusion) unread(i, reader int) {
	if at := slices.Index(f.by[i], reader); at >= 0 {
		f.by[i] = slices.Delete(f.by[i], at, at+1)
	}
}

// compact renumbers the items that stay.
func (f *fusion) compact() {
	at := make([]int, len(f.items))
	var items []item
	for i, it := range f.items {
		if f.gone[i] {
			continue
		}
		it.in = moved(it.in, at)
		at[i] = len(items)
		items = append(items, it)
	}
	for n, i := range f.index {
		if f.gone[i] {
			delete(f.index, n)
		} else {
			f.index[n] = at[i]
		}
	}
	f.items = items
}
