package graph

import (
	"fmt"
	"math"
	"sort"

	G "gorgonia.org/gorgonia"
)

// storage is one span of memory: a leaf's buffer, or a span of the arena shared by a node, the
// views of it and the nodes computed over it in place.
type storage struct {
	leaf     *G.Node // nil in the arena
	n        int     // elements
	off      int     // in the arena
	def, end int     // steps that first write and last read it
}

// value says where a node lies.
type value struct {
	*storage
	off, n int
}

func (v value) whole() bool { return v.off == 0 && v.n == v.storage.n }

// step is one launch.
type step struct {
	node *G.Node
	kernel
	in  []*G.Node
	out value
}

// plan is the schedule of a graph and the place of every value.
type plan struct {
	steps  []step
	values map[*G.Node]value
	stores []*storage // in order of definition
	leaves G.Nodes
	arena  int // elements
}

const forever = math.MaxInt

// newPlan orders what outputs depend on and places it.
//
// The order is that of the nodes' numbers: a node is made after its inputs, so this is a topological
// order, it is the same every time, and it is the order in which the model and then Gorgonia's
// reverse pass were written, which keeps lifetimes short.
func newPlan(outputs G.Nodes) (*plan, error) {
	reach := ancestors(outputs)
	nodes := make(G.Nodes, 0, len(reach))
	for n := range reach {
		nodes = append(nodes, n)
	}
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].ID() < nodes[j].ID() })

	p := &plan{values: make(map[*G.Node]value, len(nodes))}
	ins := make(map[*G.Node]G.Nodes, len(nodes))
	kernels := make(map[*G.Node]kernel, len(nodes))
	last := make(map[*G.Node]int, len(nodes)) // last step that reads a node or an alias of it
	extent := make(map[*G.Node]int)           // of flat nodes: the end of the last part that is read
	for i, n := range nodes {
		if n.Op() == nil {
			continue
		}
		k, err := kernelOf(n)
		if err != nil {
			return nil, err
		}
		ins[n], kernels[n] = inputs(n), k
		last[n] = i
		for _, c := range ins[n] {
			last[c] = i
		}
		if v, ok := k.(view); ok {
			extent[ins[n][0]] = max(extent[ins[n][0]], v.Offset+v.N)
		}
	}
	for _, n := range outputs {
		last[n] = forever
	}
	for i := len(nodes) - 1; i >= 0; i-- { // an alias is made after what it aliases
		if n := nodes[i]; kernels[n] != nil {
			if _, ok := kernels[n].(aliasing); ok {
				base := ins[n][0]
				last[base] = max(last[base], last[n])
			}
		}
	}
	wanted := make(map[*G.Node]bool, len(outputs))
	for _, n := range outputs {
		wanted[n] = true
	}

	for i, n := range nodes {
		if n.Op() == nil {
			p.leaves = append(p.leaves, n)
			p.values[n] = value{&storage{leaf: n, n: size(n)}, 0, size(n)}
			continue
		}
		k, in := kernels[n], ins[n]
		var out value
		if a, ok := k.(aliasing); ok {
			base := p.values[in[0]]
			out = value{base.storage, base.off + a.aliasOffset(), size(n)}
		} else if s := overwritable(p, k, in, size(n), i); s != nil {
			s.end = last[n]
			out = value{s, 0, size(n)}
		} else {
			elems := size(n)
			if _, ok := k.(trimmable); ok && !wanted[n] {
				elems = extent[n]
			}
			s := &storage{n: elems, def: i, end: last[n]}
			p.stores = append(p.stores, s)
			out = value{s, 0, elems}
		}
		p.values[n] = out
		if _, ok := k.(view); !ok {
			p.steps = append(p.steps, step{n, k, in, out})
		}
	}
	p.place()
	return p, nil
}

// overwritable gives the storage of an input that dies at step i and may take the result.
func overwritable(p *plan, k kernel, in G.Nodes, n, i int) *storage {
	ip, ok := k.(inPlacer)
	if !ok {
		return nil
	}
	for _, j := range ip.inPlace() {
		v := p.values[in[j]]
		if v.leaf != nil || v.end != i || !v.whole() || v.n != n {
			continue
		}
		shared := false
		for o, c := range in {
			shared = shared || (o != j && p.values[c].storage == v.storage)
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
	steps := make([]int, 0, len(ends))
	for e := range ends {
		steps = append(steps, e)
	}
	sort.Ints(steps)
	var pk packer
	for _, s := range p.stores {
		for len(steps) > 0 && steps[0] < s.def {
			for _, dead := range ends[steps[0]] {
				pk.release(dead.off, dead.n)
			}
			steps = steps[1:]
		}
		s.off = pk.place(s.n)
	}
	p.arena = pk.end
}

// kernelOf gives what to launch for a node: the kernel of our own operations, or the sum for Gorgonia's +.
func kernelOf(n *G.Node) (kernel, error) {
	o := n.Op()
	if own, ok := o.(*op); ok {
		return own.kernel, nil
	}
	in := inputs(n)
	if b, ok := o.(G.BinaryOp); !ok || b.String() != "+ false" || len(in) != 2 {
		return nil, fmt.Errorf("graph: %s: this operation is not one of the engine's; build it from the constructors of package graph", label(n))
	}
	if !sameShape(in[0].Shape(), in[1].Shape()) || isIndex(n) {
		return nil, fmt.Errorf("graph: %s: a sum of %v and %v; the engine adds floats of equal shape", label(n), in[0].Shape(), in[1].Shape())
	}
	return sum{}, nil
}
