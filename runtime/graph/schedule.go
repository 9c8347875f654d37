package graph

import (
	"fmt"
	"sort"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// item is one value of a schedule: a leaf, or a result and the launch that makes it. Recomputation
// gives one node several items.
type item struct {
	node *G.Node
	kernel
	in    []int // items, all earlier
	n     int   // elements
	dtype device.DType
}

// schedule is the order in which a graph is computed.
type schedule struct {
	items  []item
	index  map[*G.Node]int // a node's first item
	wanted map[*G.Node]bool
}

// moved gives items their new numbers, which at has by the old ones.
func moved(items, at []int) []int {
	out := make([]int, len(items))
	for k, j := range items {
		out[k] = at[j]
	}
	return out
}

// newSchedule orders what outputs depend on.
//
// Leaves come first. The order of the results is that of the nodes' numbers: a node is made after its
// inputs, so this is a topological order, it is the same every time, and it is the order in which the
// model and then Gorgonia's reverse pass were written, which keeps lifetimes short. But gradients are
// added up as soon as their terms exist, where Gorgonia writes the sum after the last of them.
func newSchedule(outputs G.Nodes) (*schedule, error) {
	reach := ancestors(outputs)
	nodes := make(G.Nodes, 0, len(reach))
	for n := range reach {
		nodes = append(nodes, n)
	}
	sort.Slice(nodes, func(i, j int) bool {
		if leaf := nodes[i].Op() == nil; leaf != (nodes[j].Op() == nil) {
			return leaf
		}
		return nodes[i].ID() < nodes[j].ID()
	})
	s := &schedule{index: make(map[*G.Node]int, len(nodes)), wanted: make(map[*G.Node]bool, len(outputs))}
	for _, n := range outputs {
		s.wanted[n] = true
	}
	all := make([]item, len(nodes))
	from := make(map[*G.Node]G.Nodes) // inputs
	eager := make(map[*G.Node]G.Nodes)
	for i, n := range nodes {
		all[i] = item{node: n, n: size(n)}
		if n.Op() == nil {
			continue
		}
		in := inputs(n)
		k, err := kernelOf(n, in)
		if err != nil {
			return nil, err
		}
		all[i].kernel, from[n] = k, in
		switch k.(type) {
		case sum, accumulate:
			for _, c := range in {
				eager[c] = append(eager[c], n)
			}
		}
	}
	place := make(map[*G.Node]int, len(nodes))
	for i, n := range nodes {
		place[n] = i
	}
	var emit func(n *G.Node)
	emit = func(n *G.Node) {
		if _, done := s.index[n]; done {
			return
		}
		it := all[place[n]]
		for _, c := range from[n] {
			j, done := s.index[c]
			if !done {
				return // an eager node whose other input is still to come
			}
			it.in = append(it.in, j)
		}
		s.index[n] = len(s.items)
		s.items = append(s.items, it)
		for _, e := range eager[n] {
			emit(e)
		}
	}
	for _, n := range nodes {
		emit(n)
	}
	for _, it := range s.items {
		for _, j := range it.in {
			_, isView := it.kernel.(view)
			if _, flat := s.items[j].kernel.(multi); flat && !isView {
				return nil, fmt.Errorf("graph: compile: %s reads all results of %s at once", label(it.node), label(s.items[j].node))
			}
		}
	}
	return s, nil
}

// kernelOf gives what to launch for a node: the kernel of our own operations, or the sum for
// Gorgonia's +.
func kernelOf(n *G.Node, in G.Nodes) (kernel, error) {
	if own, ok := n.Op().(*op); ok {
		return own.kernel, nil
	}
	if b, ok := n.Op().(G.BinaryOp); !ok || b.String() != "+ false" || len(in) != 2 {
		return nil, fmt.Errorf("graph: %s: this operation is not one of the engine's; build it from the constructors of package graph", label(n))
	}
	if !sameShape(in[0].Shape(), in[1].Shape()) || !isFloat(n) {
		return nil, fmt.Errorf("graph: %s: a sum of %v and %v; the engine adds floats of equal shape", label(n), in[0].Shape(), in[1].Shape())
	}
	return sum{}, nil
}

// recompute lets forward results before the last of keep be computed a second time when the
// gradient needs them, instead of living from one to the other; keep themselves and leaves
// live (Chen et al. 2016). Launches are pure functions of their inputs, dropout included, so the
// gradients have the same bytes. With costly, the results of costly kernels live too. Dequantized
// weights never live: every reader in the gradient has its own.
func (s *schedule) recompute(keep G.Nodes, costly bool) {
	kept := make(map[*G.Node]bool, len(keep))
	last := int64(-1)
	for _, n := range keep {
		kept[n] = true
		last = max(last, n.ID())
	}
	backward := s.backward()
	droppable := func(i int) bool {
		it := s.items[i]
		if it.kernel == nil || backward[i] || s.wanted[it.node] {
			return false
		}
		switch it.kernel.(type) {
		case dequantize:
			return true
		case cacheWrite:
			return false
		}
		return it.node.ID() < last && !kept[it.node] && !(costly && isCostly(it.kernel))
	}
	var items []item
	first := make([]int, len(s.items)) // where an item went
	second := make(map[int]int)        // where its recomputation is
	var again func(i int) int
	again = func(i int) int {
		if !droppable(i) {
			return first[i]
		}
		if at, ok := second[i]; ok {
			return at
		}
		it := s.items[i]
		it.in = make([]int, len(it.in))
		for k, j := range s.items[i].in {
			it.in[k] = again(j)
		}
		items = append(items, it)
		if _, ok := it.kernel.(dequantize); !ok {
			second[i] = len(items) - 1
		}
		return len(items) - 1
	}
	for i, it := range s.items {
		in := make([]int, len(it.in))
		for k, j := range it.in {
			if backward[i] {
				in[k] = again(j)
			} else {
				in[k] = first[j]
			}
		}
		it.in = in
		items = append(items, it)
		first[i] = len(items) - 1
		s.index[it.node] = first[i]
	}
	s.items = items
}

// isCostly tells whether a result takes much more time to compute than to read. A product of low rank
// does not.
func isCostly(k kernel) bool {
	switch k := k.(type) {
	case matMul:
		return 8*k.K >= k.N
	case quantizedLinear, fp8Linear, attention:
		return true
	}
	return false
}
