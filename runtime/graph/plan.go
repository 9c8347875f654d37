package graph

import (
	"math"
	"slices"
	"sort"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// storage is one span of memory: a leaf's buffer, or a span of the arena shared by a result, the
// views of it and the results computed over it in place.
type storage struct {
	leaf     *G.Node // nil in the arena
	dtype    device.DType
	n        int // elements
	off      int // in the arena
	def, end int // items that first write and last read it
}

// value says where a result lies; without storage it is not computed.
type value struct {
	*storage
	off, n int
}

func (v value) whole() bool { return v.off == 0 && v.n == v.storage.n }

// plan is a schedule and the place of every value.
type plan struct {
	*schedule
	values [][]value  // of the items: one, or one for each of parts
	stores []*storage // of the arena, in order of definition
	leaves G.Nodes
	arena  map[device.DType]int // elements
}

const forever = math.MaxInt

// newPlan places the values of a schedule.
func newPlan(s *schedule) *plan {
	p := &plan{schedule: s, values: make([][]value, len(s.items)), arena: map[device.DType]int{}}
	last := s.lifetimes()
	for i, it := range s.items {
		if it.kernel == nil {
			p.leaves = append(p.leaves, it.node)
			p.values[i] = []value{{&storage{leaf: it.node, dtype: it.dtype, n: it.n}, 0, it.n}}
			continue
		}
		if a, ok := it.kernel.(aliasing); ok {
			part, off := s.part(i)
			base := p.values[it.in[0]][part]
			p.values[i] = []value{{base.storage, base.off + a.aliasOffset() - off, it.n}}
			continue
		}
		sizes := []int{it.n}
		if m, ok := it.kernel.(multi); ok {
			sizes = m.parts()
		}
		_, trims := it.kernel.(trimmable)
		for part, n := range sizes {
			end := last[i][part]
			if trims && slices.Max(last[i][part:]) == i {
				p.values[i] = append(p.values[i], value{})
				continue
			}
			st := p.overwritable(it, n, i)
			if st == nil {
				st = &storage{dtype: it.dtype, n: n, def: i}
				if k, ok := it.kernel.(partTyped); ok {
					st.dtype = k.partType(part, it.dtype)
				}
				p.stores = append(p.stores, st)
			}
			st.end = end
			p.values[i] = append(p.values[i], value{st, 0, n})
		}
	}
	p.place()
	return p
}

// part is which result of its input an aliasing item lies in, and where that begins in the flat node.
func (s *schedule) part(i int) (part, off int) {
	it := s.items[i]
	m, ok := s.items[it.in[0]].kernel.(multi)
	if !ok {
		return 0, 0
	}
	offsets, _ := partOffsets(m.parts())
	at := it.kernel.(aliasing).aliasOffset()
	for part+1 < len(offsets) && offsets[part+1] <= at {
		part++
	}
	return part, offsets[part]
}

// lifetimes gives the last item that reads each result, or an alias of it: of a result that nothing
// reads, the item itself.
func (s *schedule) lifetimes() [][]int {
	last := make([][]int, len(s.items))
	for i, it := range s.items {
		last[i] = []int{i}
		if m, ok := it.kernel.(multi); ok {
			last[i] = slices.Repeat(last[i], len(m.parts()))
		}
		for _, j := range it.in {
			part := 0
			if _, ok := it.kernel.(aliasing); ok && j == it.in[0] {
				part, _ = s.part(i)
			}
			last[j][part] = i
		}
	}
	for n := range s.wanted {
		last[s.index[n]][0] = forever
	}
	for i := len(s.items) - 1; i >= 0; i-- { // an alias comes after what it aliases
		if _, ok := s.items[i].kernel.(aliasing); ok {
			part, _ := s.part(i)
			base := last[s.items[i].in[0]]
			base[part] = max(base[part], last[i][0])
		}
	}
	return last
}

// overwritable gives the storage of an input that dies at item i and may take a result of n elements.
func (p *plan) overwritable(it item, n, i int) *storage {
	ip, ok := it.kernel.(inPlacer)
	if !ok {
		return nil
	}
	taken := func(st *storage) bool {
		return slices.ContainsFunc(p.values[i], func(v value) bool { return v.storage == st })
	}
	for _, k := range ip.inPlace() {
		v := p.values[it.in[k]][0]
		if v.leaf != nil || v.end != i || !v.whole() || v.n != n || v.dtype != it.dtype || taken(v.storage) {
			continue
		}
		shared := false
		for o, j := range it.in {
			shared = shared || (o != k && p.values[j][0].storage == v.storage)
		}
		if !shared {
			return v.storage
		}
	}
	return nil
}

// place gives every storage of the arena its offset among those of its type.
func (p *plan) place() {
	ends := make(map[int][]*storage)
	for _, s := range p.stores {
		ends[s.end] = append(ends[s.end], s)
	}
	times := make([]int, 0, len(ends))
	for e := range ends {
		times = append(times, e)
	}
	sort.Ints(times)
	packers := map[device.DType]*packer{}
	for _, s := range p.stores {
		for len(times) > 0 && times[0] < s.def {
			for _, dead := range ends[times[0]] {
				packers[dead.dtype].release(dead.off, dead.n)
			}
			times = times[1:]
		}
		pk := packers[s.dtype]
		if pk == nil {
			pk = &packer{}
			packers[s.dtype] = pk
		}
		s.off = pk.place(s.n)
	}
	for t, pk := range packers {
		p.arena[t] = pk.end
	}
}
