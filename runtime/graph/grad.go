package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// Grad gives the gradients of cost with respect to the leaves wrt, as nodes, in wrt's order. cost is a
// node of one element. Gorgonia derives them (gorgonia.Backpropagate) from each operation's own
// gradient. A graph is differentiated once: Gorgonia keeps the gradient of each node, so a
// second call on the same graph is an error here.
func Grad(cost *G.Node, wrt ...*G.Node) (G.Nodes, error) {
	if cost == nil || len(wrt) == 0 {
		return nil, fmt.Errorf("graph: grad: needs a cost and at least one leaf")
	}
	if size(cost) != 1 {
		return nil, fmt.Errorf("graph: grad: the cost %s has shape %v; it must be one number", label(cost), cost.Shape())
	}
	if cost.Deriv() != nil {
		return nil, fmt.Errorf("graph: grad: the graph of %s was differentiated before; ask for all gradients at once", label(cost))
	}
	reach := ancestors(G.Nodes{cost})
	for _, n := range wrt {
		if n == nil || n.Op() != nil {
			return nil, fmt.Errorf("graph: grad: only leaves have gradients")
		}
		if !isFloat(n) {
			return nil, fmt.Errorf("graph: grad: %s holds %v and has no gradient", label(n), dtypeOf(n))
		}
		if !reach[n] {
			return nil, fmt.Errorf("graph: grad: the cost does not depend on %s", label(n))
		}
	}
	seed, err := ones(cost)
	if err != nil {
		return nil, err
	}
	grads, err := G.Backpropagate(G.Nodes{cost}, G.Nodes{seed}, wrt)
	if err != nil {
		return nil, fmt.Errorf("graph: grad: %w", err)
	}
	if err := checkSums(reach); err != nil {
		return nil, err
	}
	return grads, nil
}

// ancestors is the set of nodes that outputs are computed from, themselves included.
func ancestors(outputs G.Nodes) map[*G.Node]bool {
	seen := make(map[*G.Node]bool)
	stack := append(G.Nodes(nil), outputs...)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !seen[n] {
			seen[n] = true
			stack = append(stack, inputs(n)...)
		}
	}
	return seen
}

// checkSums looks for gradient sums that Gorgonia merged with another sum by a collision of its
// 32-bit hash (see op): it derives each node's terms again (the same nodes, by then existing) and
// compares them with the chain of + that Gorgonia built. Our own operations cannot be merged so.
func checkSums(forward map[*G.Node]bool) error {
	terms := make(map[*G.Node]G.Nodes)
	for n := range forward {
		sd, ok := n.Op().(G.SDOp)
		if !ok || n.Deriv() == nil {
			continue
		}
		in := inputs(n)
		active := false
		for _, c := range in {
			active = active || c.Deriv() != nil
		}
		if !active {
			continue
		}
		parts, err := sd.SymDiff(in, n, n.Deriv())
		if err != nil {
			return fmt.Errorf("graph: grad: %s: %w", label(n), err)
		}
		for i, differs := range sd.DiffWRT(len(in)) {
			if differs && in[i].Deriv() != nil {
				terms[in[i]] = append(terms[in[i]], parts[i])
			}
		}
	}
	for n, want := range terms {
		count := make(map[*G.Node]int, len(want))
		for _, t := range want {
			count[t]++
		}
		rest := n.Deriv()
		for i := len(want) - 1; i >= 0; i-- {
			term := rest
			if i > 0 {
				in := inputs(rest)
				if len(in) != 2 {
					return fmt.Errorf("graph: grad: the gradient of %s is no sum of its %d terms", label(n), len(want))
				}
				rest, term = in[0], in[1]
			}
			if count[term]--; count[term] < 0 {
				return fmt.Errorf("graph: grad: the gradient of %s holds a foreign term %s: a collision of Gorgonia's hashes", label(n), label(term))
			}
		}
	}
	return nil
}
