package graph

import (
	"math"
	"sort"

	G "gorgonia.org/gorgonia"
)

// storage is one span of memory: a leaf's buffer, or a span of the arena shared by a result, the
// views of it and the results computed over it in place.
type storage struct {
	leaf     *G.Node // nil in the arena
	n        int     // elements
	off      int     // in the arena
	def, end int     // items that first write and last read it
}

// value says where an item lies.
type value struct {
	*storage
	off, n int
}

func (v value) whole() bool { return v.off == 0 && v.n == v.storage.n }

// plan is a schedule and the place of every value.
type plan struct {
	*schedule
	values []value    // of the items
	stores []*storage // of the arena, in order of definition
	leaves G.Nodes
	arena  int // elements
}

const forever = math.MaxInt

// newPlan places the values of a schedule.
func newPlan(s *schedule) *plan {
	p := &plan{schedule: s, values: make([]value, len(s.items))}
	last, extent := s.lifetimes()
	for i, it := range s.items {
		n := size(it.node)
		if it.kernel == nil {
			p.leaves = append(p.leaves, it.node)
			p.values[i] = value{&storage{leaf: it.node, n: n}, 0, n}
			continue
		}
		if a, ok := it.kernel.(aliasing); ok {
			base := p.values[it.in[0]]
			p.values[i] = value{base.storage, base.off + a.aliasOffset(), n}
			continue
		}
		if st := p.overwritable(it, n, i); st != nil {
			st.end = last[i]
			p.values[i] = value{st, 0, n}
			continue
		}
		if _, ok := it.kernel.(trimmable); ok && !s.wanted[it.node] {
			n = extent[i]
		}
		st := &storage{n: n, def: i, end: last[i]}
		p.stores = append(p.stores, st)
		p.values[i] = value{st, 0, n}
	}
	p.place()
	return p
}

// lifetimes gives the last item that reads each item or an alias of it, and for flat results the end
// of the last part that a view reads.
func (s *schedule) lifetimes() (last, extent []int) {
	last, extent = make([]int, len(s.items)), make([]int, len(s.items))
	for i, it := range s.items {
		last[i] = i
		for _, j := range it.in {
			last[j] = i
		}
		if v, ok := it.kernel.(view); ok {
			extent[it.in[0]] = max(extent[it.in[0]], v.Offset+v.N)
		}
	}
	for n := range s.wanted {
		last[s.index[n]] = forever
	}
	for i := len(s.items) - 1; i >= 0; i-- { // an alias comes after what it aliases
		if _, ok := s.items[i].kernel.(aliasing); ok {
			base := s.items[i].in[0]
			last[base] = max(last[base], last[i])
		}
	}
	return last, extent
}

// overwritable gives the storage of an input that dies at item i and may take the result.
func (p *plan) overwritable(it item, n, i int) *storage {
	ip, ok := it.kernel.(inPlacer)
	if !ok {
		return nil
	}
	for _, k := range ip.inPlace() {
		v := p.values[it.in[k]]
		if v.leaf != nil || v.end != i || !v.whole() || v.n != n {
			continue
		}
		shared := false
		for o, j := range it.in {
			shared = shared || (o != k && p.values[j].storage == v.storage)
		}
		if !shared {
			return v.storage
		}
	}
	return nil
}

// place gives every storage of the arena its offset.
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
	var pk packer
	for _, s := range p.stores {
		for len(times) > 0 && times[0] < s.def {
			for _, dead := range ends[times[0]] {
				pk.release(dead.off, dead.n)
			}
			times = times[1:]
		}
		s.off = pk.place(s.n)
	}
	p.arena = pk.end
}
