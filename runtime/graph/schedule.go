package graph

import (
	"fmt"
	"sort"

	G "gorgonia.org/gorgonia"
)

// item is one value of a schedule: a leaf, or a result and the launch that makes it. Recomputation
// gives one node several items.
type item struct {
	node *G.Node
	kernel
	in []int // items, all earlier
}

// schedule is the order in which a graph is computed.
type schedule struct {
	items  []item
	index  map[*G.Node]int // a node's first item
	wanted map[*G.Node]bool
}

// newSchedule orders what outputs depend on.
//
// The order is that of the nodes' numbers: a node is made after its inputs, so this is a topological
// order, it is the same every time, and it is the order in which the model and then Gorgonia's
// reverse pass were written, which keeps lifetimes short.
func newSchedule(outputs G.Nodes) (*schedule, error) {
	reach := ancestors(outputs)
	nodes := make(G.Nodes, 0, len(reach))
	for n := range reach {
		nodes = append(nodes, n)
	}
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].ID() < nodes[j].ID() })
	s := &schedule{
		items: make([]item, len(nodes)), index: make(map[*G.Node]int, len(nodes)),
		wanted: make(map[*G.Node]bool, len(outputs)),
	}
	for _, n := range outputs {
		s.wanted[n] = true
	}
	for i, n := range nodes {
		s.index[n] = i
		s.items[i].node = n
		if n.Op() == nil {
			continue
		}
		in := inputs(n)
		k, err := kernelOf(n, in)
		if err != nil {
			return nil, err
		}
		s.items[i].kernel = k
		for _, c := range in {
			s.items[i].in = append(s.items[i].in, s.index[c])
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
	if !sameShape(in[0].Shape(), in[1].Shape()) || isIndex(n) {
		return nil, fmt.Errorf("graph: %s: a sum of %v and %v; the engine adds floats of equal shape", label(n), in[0].Shape(), in[1].Shape())
	}
	return sum{}, nil
}

// recompute lets forward results before the last of keep be computed a second time when the
// gradient needs them, instead of living from one to the other; keep themselves and leaves
// live (Chen et al. 2016). Launches are pure functions of their inputs, dropout included, so the
// gradients have the same bytes.
func (s *schedule) recompute(keep G.Nodes) {
	kept := make(map[*G.Node]bool, len(keep))
	last := int64(-1)
	for _, n := range keep {
		kept[n] = true
		last = max(last, n.ID())
	}
	backward := make([]bool, len(s.items)) // depends on the seed that Grad made
	for i, it := range s.items {
		_, seed := it.kernel.(fill)
		backward[i] = seed
		for _, j := range it.in {
			backward[i] = backward[i] || backward[j]
		}
	}
	droppable := func(i int) bool {
		it := s.items[i]
		_, mutates := it.kernel.(cacheWrite)
		return it.kernel != nil && !backward[i] && !mutates && !kept[it.node] && !s.wanted[it.node] && it.node.ID() < last
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
		in := make([]int, len(s.items[i].in))
		for k, j := range s.items[i].in {
			in[k] = again(j)
		}
		items = append(items, item{s.items[i].node, s.items[i].kernel, in})
		second[i] = len(items) - 1
		return second[i]
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
		items = append(items, item{it.node, it.kernel, in})
		first[i] = len(items) - 1
		s.index[it.node] = first[i]
	}
	s.items = items
}
