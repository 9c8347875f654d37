package generate

// heap gives ids by falling logit, of equals the lowest id first. A full sort of a vocabulary costs
// more than the few tokens that top-k and top-p keep.
type heap struct {
	ids    []int32
	logits []float32
}

// newHeap is a heap of all ids, in the memory of ids.
func newHeap(ids []int32, logits []float32) heap {
	for i := range logits {
		ids = append(ids, int32(i))
	}
	h := heap{ids, logits}
	for i := len(ids)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
	return h
}

func (h *heap) before(a, b int32) bool {
	x, y := h.logits[a], h.logits[b]
	return x > y || x == y && a < b
}

func (h *heap) sink(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.ids) {
			return
		}
		if c+1 < len(h.ids) && h.before(h.ids[c+1], h.ids[c]) {
			c++
		}
		if !h.before(h.ids[c], h.ids[i]) {
			return
		}
		h.ids[i], h.ids[c] = h.ids[c], h.ids[i]
		i = c
	}
}

func (h *heap) pop() int32 {
	id := h.ids[0]
	last := len(h.ids) - 1
	h.ids[0] = h.ids[last]
	h.ids = h.ids[:last]
	h.sink(0)
	return id
}
