package graph

import (
	"slices"

	"triality/runtime/device"
)

// attentionKept is attention with what its gradient needs: the result, and a Float for each query and head.
type attentionKept struct{ device.AttentionShape }

func (k attentionKept) parts() []int {
	return []int{k.Queries * k.Heads * k.HeadDim, k.Queries * k.Heads}
}

func (attentionKept) partType(part int, stored device.DType) device.DType {
	if part == 1 {
		return device.Float
	}
	return stored
}

func (k attentionKept) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.AttentionKeeper).AttentionKeep(out[0], out[1], in[0], in[1], in[2], in[3], in[4], k.AttentionShape)
}
func (attentionKept) signature() string { return "mmmii>m" }

// attentionGradKept is attentionGrad with the result and what was kept as its last inputs.
type attentionGradKept struct{ attentionGrad }

func (k attentionGradKept) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.AttentionKeeper).AttentionGradKept(out[0], out[1], out[2], in[0], in[1], in[2], in[6], in[7], in[3], in[4], in[5], k.AttentionShape)
}
func (attentionGradKept) signature() string { return "mmmiimmf>m" }

// keepStatistics lets attention keep what its gradient needs, for a device that can, where something else in
// the gradient reads the result too, so that nothing large lives longer for it.
func (s *schedule) keepStatistics() {
	pairs := s.attentions()
	if len(pairs) == 0 {
		return
	}
	var items []item
	at := make([]int, len(s.items))
	kept := make(map[int]int) // by the item of an attention, old number: what it keeps
	for i, it := range s.items {
		in := moved(it.in, at)
		from, graded := pairs[i]
		if graded {
			in = append(in, at[from], kept[from])
			it.kernel = attentionGradKept{it.kernel.(attentionGrad)}
		}
		it.in = in
		at[i] = len(items)
		k, ok := it.kernel.(attention)
		if !ok || !reads(pairs, i) {
			items = append(items, it)
			continue
		}
		it.kernel = attentionKept(k)
		items = append(items, it)
		parts := attentionKept(k).parts()
		offsets, all := partOffsets(parts)
		items = append(items, item{node: it.node, kernel: view{offsets[1], parts[1], all}, in: []int{at[i]}, n: parts[1], dtype: device.Float})
		kept[i] = len(items) - 1
	}
	for n, i := range s.index {
		s.index[n] = at[i]
	}
	s.items = items
}

func reads(pairs map[int]int, attention int) bool {
	for _, j := range pairs {
		if j == attention {
			return true
		}
	}
	return false
}

// attentions gives for each gradient of attention the last attention before it over the same operands whose
// result the gradient reads otherwise. Items of one node hold the same bytes.
func (s *schedule) attentions() map[int]int {
	backward := s.backward()
	read := make([]bool, len(s.items)) // by the gradient
	for i, it := range s.items {
		for _, j := range it.in {
			read[j] = read[j] || backward[i]
		}
	}
	pairs := map[int]int{}
	for i, it := range s.items {
		g, ok := it.kernel.(attentionGrad)
		if !ok {
			continue
		}
		for j := i - 1; j >= 0; j-- {
			a, ok := s.items[j].kernel.(attention)
			if ok && a.AttentionShape == g.AttentionShape && read[j] && s.sameNodes(s.items[j].in, it.in[:5]) {
				pairs[i] = j
				break
			}
		}
	}
	return pairs
}

func (s *schedule) sameNodes(a, b []int) bool {
	return slices.EqualFunc(a, b, func(i, j int) bool { return s.items[i].node == s.items[j].node })
}

// backward tells which items depend on the seed that Grad made.
func (s *schedule) backward() []bool {
	out := make([]bool, len(s.items))
	for i, it := range s.items {
		_, out[i] = it.kernel.(fill)
		for _, j := range it.in {
			out[i] = out[i] || out[j]
		}
	}
	return out
}
