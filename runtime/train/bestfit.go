package train

import (
	"cmp"
	"math/bits"
	"slices"
)

// sequences puts the examples of set together into sequences of at most length tokens, as indices of
// set: best-fit decreasing (Johnson 1974), the longest example first, each into the fullest sequence
// that it still fits. An example longer than that is alone; with length 0 each one is.
func sequences(set []Example, length int) [][]int {
	order := indices(len(set))
	total := 0
	for _, e := range set {
		total += len(e.IDs)
	}
	length = min(length, total) // the rooms below are as many
	if length > 0 {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(set[b].IDs), len(set[a].IDs)) })
	}
	var out [][]int
	open := make([][]int, length+1)     // sequences by the tokens that they have left
	some := make([]uint64, length/64+1) // which of open is not empty
	for _, i := range order {
		n := len(set[i].IDs)
		left := fullest(some, n)
		at := len(out)
		if left == -1 {
			left = length
			out = append(out, nil)
		} else {
			last := len(open[left]) - 1
			at = open[left][last]
			if open[left] = open[left][:last]; last == 0 {
				some[left/64] &^= 1 << (left % 64)
			}
		}
		out[at] = append(out[at], i)
		if left -= n; left > 0 {
			open[left] = append(open[left], at)
			some[left/64] |= 1 << (left % 64)
		}
	}
	return out
}

// fullest is the lowest set bit from n on, -1 where there is none.
func fullest(set []uint64, n int) int {
	for word := n / 64; word < len(set); word++ {
		w := set[word]
		if word == n/64 {
			w &= ^uint64(0) << (n % 64)
		}
		if w != 0 {
			return 64*word + bits.TrailingZeros64(w)
		}
	}
	return -1
}
