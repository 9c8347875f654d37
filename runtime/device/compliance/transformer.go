package compliance

import (
	"fmt"

	"triality/runtime/device"
)

// ranges gives the key ranges of packed causal sequences of these lengths; −n stands for n queries
// with an empty range.
func ranges(lengths ...int) (lo, hi []int32) {
	for _, n := range lengths {
		start := int32(len(lo))
		for range max(n, -n) {
			lo = append(lo, start)
			hi = append(hi, int32(len(hi))+1)
			if n < 0 {
				hi[len(hi)-1] = start
			}
		}
	}
	return lo, hi
}

// looseGrad is for gradients that take a mean from attention's result, itself rounded: where few keys share
// the weight, what it is subtracted from is not much larger.
const looseGrad = 2

func keepsAttention(d device.Device) bool { _, ok := d.(device.AttentionKeeper); return ok }

func attention() []operation {
	var ops []operation
	window := 0
	add := func(name string, lo, hi []int32, keys, heads, kvHeads, dim int) {
		s := device.AttentionShape{Queries: len(lo), Keys: keys, Heads: heads, KVHeads: kvHeads, HeadDim: dim, Scale: 0.4, Window: window}
		nq, nk := len(lo)*heads*dim, keys*kvHeads*dim
		label := fmt.Sprintf("%s, %d queries, %d keys, %d/%d heads of %d", name, len(lo), keys, heads, kvHeads, dim)
		ops = append(ops,
			operation{name: "attention: " + label, floats: []int{nq, nk, nk}, ints: [][]int32{lo, hi}, outs: []int{nq},
				launch: func(d device.Device, o, x, i bufs) { d.Attention(o[0], x[0], x[1], x[2], i[0], i[1], s) }},
			operation{name: "attention grad: " + label, floats: []int{nq, nk, nk, nq}, ints: [][]int32{lo, hi}, outs: []int{nq, nk, nk}, loose: looseGrad,
				launch: func(d device.Device, o, x, i bufs) {
					d.AttentionGrad(o[0], o[1], o[2], x[0], x[1], x[2], i[0], i[1], x[3], s)
				}},
			operation{name: "kept attention and its grad: " + label, floats: []int{nq, nk, nk, nq, len(lo) * heads}, vectors: []int{4},
				ints: [][]int32{lo, hi}, outs: []int{nq, nq, nk, nk}, loose: looseGrad, needs: keepsAttention,
				launch: func(d device.Device, o, x, i bufs) {
					keeper := d.(device.AttentionKeeper)
					keeper.AttentionKeep(o[0], x[4], x[0], x[1], x[2], i[0], i[1], s)
					keeper.AttentionGradKept(o[1], o[2], o[3], x[0], x[1], x[2], o[0], x[4], i[0], i[1], x[3], s)
				}})
	}
	causal := func(name string, heads, kvHeads, dim int, lengths ...int) {
		lo, hi := ranges(lengths...)
		add(name, lo, hi, len(lo), heads, kvHeads, dim)
	}
	causal("one token", 1, 1, 1, 1)
	causal("one sequence", 2, 2, 8, 13)
	causal("one sequence over several blocks", 2, 1, 16, 300)
	causal("several sequences", 4, 2, 5, 3, 1, 40, 9)
	causal("several sequences and pads", 6, 2, 32, 70, 58, 1, 1, 1, 1)
	causal("empty ranges in between", 3, 1, 7, 5, -3, 6, -1)
	causal("nothing but empty ranges", 2, 2, 4, -5)
	add("a cache with one query", []int32{3}, []int32{140}, 150, 4, 1, 24)
	add("a cache with several queries", []int32{0, 0, 20, 20, 20}, []int32{17, 18, 30, 31, 32}, 40, 4, 2, 16)
	add("a bidirectional window that moves both ways", []int32{2, 0, 7, 1, 30}, []int32{9, 33, 8, 20, 33}, 33, 2, 1, 12)
	add("keys nobody reads", []int32{4, 4}, []int32{6, 7}, 200, 2, 2, 9)
	add("ranges of many tiles", []int32{0, 0, 3, 3, 9}, []int32{1290, 1200, 1300, 1201, 1296}, 1300, 2, 1, 8)
	lo, hi := make([]int32, 130), make([]int32, 130)
	for i := range lo { // a sliding window of 50 over a long sequence
		lo[i], hi[i] = int32(max(0, i-49)), int32(i+1)
	}
	add("a sliding window", lo, hi, 130, 2, 1, 16)
	window = 50
	causal("a window over sequences longer and shorter", 2, 1, 16, 130, 7, 51)
	add("a window over a cache", []int32{3, 120, 60}, []int32{140, 141, 60}, 150, 4, 1, 24)
	window = 1
	causal("a window of one key", 4, 2, 8, 9, 1, -2)
	return ops
}

func hasLossAndGrad(d device.Device) bool { _, ok := d.(device.LossAndGrad); return ok }

func crossEntropy() []operation {
	var ops []operation
	for _, s := range [][3]int{{1, 1, 1}, {5, 3, 7}, {33, 16, 130}, {70, 24, 1031}, {3, 20, 4500}, {150, 8, 64}} {
		T, D, V := s[0], s[1], s[2]
		all, some, none := make([]int32, T), make([]int32, T), make([]int32, T)
		for i := range all {
			all[i] = int32((i*37 + 5) % V)
			some[i] = -100
			if i%3 == 0 {
				some[i] = all[i]
			}
			none[i] = -1
		}
		for name, labels := range map[string][]int32{"all rows": all, "some rows": some, "no rows": none} {
			label := fmt.Sprintf(" of %s of %d, width %d, vocabulary %d", name, T, D, V)
			ops = append(ops,
				operation{name: "cross-entropy" + label, floats: []int{T * D, V * D}, ints: [][]int32{labels}, outs: []int{T}, sums: []int{0},
					launch: func(d device.Device, o, x, i bufs) { d.CrossEntropy(o[0], x[0], x[1], i[0], T, D, V) }},
				operation{name: "cross-entropy grad" + label, floats: []int{T * D, V * D, T}, vectors: []int{2}, ints: [][]int32{labels}, outs: []int{T * D, V * D},
					launch: func(d device.Device, o, x, i bufs) {
						d.CrossEntropyGrad(o[0], o[1], x[0], x[1], i[0], x[2], T, D, V)
					}},
				operation{name: "cross-entropy and its grad" + label, floats: []int{T * D, V * D, T}, vectors: []int{2}, ints: [][]int32{labels},
					outs: []int{T, T * D, V * D}, sums: []int{0}, needs: hasLossAndGrad,
					launch: func(d device.Device, o, x, i bufs) {
						d.(device.LossAndGrad).CrossEntropyBoth(o[0], o[1], o[2], x[0], x[1], i[0], x[2], T, D, V)
					}},
				operation{name: "cross-entropy and its grad without dw" + label, floats: []int{T * D, V * D, T}, vectors: []int{2}, ints: [][]int32{labels},
					outs: []int{T, T * D}, sums: []int{0}, needs: hasLossAndGrad,
					launch: func(d device.Device, o, x, i bufs) {
						d.(device.LossAndGrad).CrossEntropyBoth(o[0], o[1], nil, x[0], x[1], i[0], x[2], T, D, V)
					}},
				operation{name: "cross-entropy grad without dw" + label, floats: []int{T * D, V * D, T}, vectors: []int{2}, ints: [][]int32{labels}, outs: []int{T * D},
					launch: func(d device.Device, o, x, i bufs) {
						d.CrossEntropyGrad(o[0], nil, x[0], x[1], i[0], x[2], T, D, V)
					}})
		}
	}
	return ops
}

func so8() []operation {
	ops := []operation{
		{name: "skew exp", floats: []int{28}, outs: []int{64}, vectors: []int{0}, sums: []int{0},
			launch: func(d device.Device, o, x, i bufs) { d.SkewExp(o[0], x[0]) }},
		{name: "skew exp of zero", floats: []int{28}, outs: []int{64}, vectors: []int{0}, sums: []int{0},
			launch: func(d device.Device, o, x, i bufs) {
				d.Fill(x[0], 0)
				d.SkewExp(o[0], x[0])
			}},
		{name: "skew exp grad", floats: []int{28, 64}, outs: []int{28}, vectors: []int{0, 1}, sums: []int{0},
			launch: func(d device.Device, o, x, i bufs) { d.SkewExpGrad(o[0], x[0], x[1]) }},
		{name: "skew exp grad at zero", floats: []int{28, 64}, outs: []int{28}, vectors: []int{0, 1}, sums: []int{0},
			launch: func(d device.Device, o, x, i bufs) {
				d.Fill(x[0], 0)
				d.SkewExpGrad(o[0], x[0], x[1])
			}},
	}
	for _, s := range [][2]int{{1, 8}, {3, 24}, {150, 64}, {1100, 16}} {
		T, D := s[0], s[1]
		name := fmt.Sprintf(" of %d rows of %d", T, D)
		for _, trans := range []bool{false, true} {
			ops = append(ops,
				operation{name: fmt.Sprintf("block mul trans=%v%s", trans, name), floats: []int{T * D, 64}, outs: []int{T * D}, vectors: []int{1},
					launch: func(d device.Device, o, x, i bufs) { d.BlockMul(o[0], x[0], x[1], T, D, trans) }},
				operation{name: fmt.Sprintf("block mul in place trans=%v%s", trans, name), floats: []int{64}, outs: []int{T * D}, vectors: []int{0},
					launch: func(d device.Device, o, x, i bufs) { d.BlockMul(o[0], o[0], x[0], T, D, trans) }})
		}
		lo := make([]int32, T)
		for i := range lo {
			lo[i] = int32(i / 5 * 5) // sequences of five
		}
		ops = append(ops,
			operation{name: "block mul grad m" + name, floats: []int{T * D, T * D}, outs: []int{64}, sums: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.BlockMulGradM(o[0], x[0], x[1], T, D) }},
			operation{name: "pet" + name, floats: []int{T * D}, ints: [][]int32{lo}, outs: []int{1}, sums: []int{0},
				launch: func(d device.Device, o, x, i bufs) { d.PET(o[0], x[0], i[0], T, D) }},
			operation{name: "pet grad" + name, floats: []int{T * D, 1}, vectors: []int{1}, ints: [][]int32{lo}, outs: []int{T * D},
				launch: func(d device.Device, o, x, i bufs) { d.PETGrad(o[0], x[0], i[0], x[1], T, D) }})
	}
	return ops
}
