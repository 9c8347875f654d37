package search

import "math/bits"

// rowset is a set of rows, a bit each.
type rowset []uint64

func newRowset(rows int) rowset { return make(rowset, (rows+63)/64) }

func (s rowset) add(r uint32)      { s[r/64] |= 1 << (r % 64) }
func (s rowset) has(r uint32) bool { return s[r/64]&(1<<(r%64)) != 0 }

func (s rowset) and(o rowset) {
	for i := range s {
		s[i] &= o[i]
	}
}

func (s rowset) or(o rowset) {
	for i := range s {
		s[i] |= o[i]
	}
}

// without removes the rows of o.
func (s rowset) without(o rowset) {
	for i := range s {
		s[i] &^= o[i]
	}
}

func (s rowset) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// list is the rows in order.
func (s rowset) list() []uint32 {
	out := make([]uint32, 0, s.count())
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			out = append(out, uint32(i*64+bits.TrailingZeros64(w)))
		}
	}
	return out
}

// any says whether one of the rows is in the set.
func (s rowset) any(rows []uint32) bool {
	for _, r := range rows {
		if s.has(r) {
			return true
		}
	}
	return false
}
