package tokenizer

// heap is a binary heap of values that say which of two comes first. It exists
// because container/heap boxes every value, which dominates short merges.
type heap[T interface{ before(T) bool }] []T

func (h *heap[T]) push(v T) {
	*h = append(*h, v)
	s, i := *h, len(*h)-1
	for i > 0 {
		parent := (i - 1) / 2
		if !s[i].before(s[parent]) {
			break
		}
		s[i], s[parent] = s[parent], s[i]
		i = parent
	}
}

// pop removes and returns the first value; the heap must not be empty.
func (h *heap[T]) pop() T {
	s := *h
	top, last := s[0], len(s)-1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && s[child+1].before(s[child]) {
			child++
		}
		if !s[child].before(s[i]) {
			return top
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
}
