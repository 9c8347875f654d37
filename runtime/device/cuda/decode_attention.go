package cuda

import (
	"slices"

	"triality/runtime/device"
)

// What a block of decode takes.
const (
	decodeKeys  = 128 // keys of a chunk
	decodeHeads = 4   // query heads
	tensorHeads = 8   // query heads of tensor_decode
	decodeReuse = 8   // queries that would share a tile's keys, past which tiles are better
)

// decodeWidths are the sizes that tensor_decode pads heads to.
var decodeWidths = []int{128, 256}

// decodeKernels gives the names of the kernels and the shared memory that they take at most.
func decodeKernels() map[string]int {
	bytes := map[string]int{}
	for _, t := range []device.DType{device.Float, device.BFloat16, device.Float16} {
		bytes["decode"+suffix(t)], bytes["decode_combine"+suffix(t)] = decodeShared(decodeHeads, 256), 0
		for _, w := range decodeWidths {
			if t != device.Float {
				bytes[attentionKernel("tensor_decode", t, w)] = tensorDecodeShared(w)
			}
		}
	}
	return bytes
}

// tensorDecodeShared is the shared memory of a block of tensor_decode: a sum for each warp and head.
func tensorDecodeShared(width int) int { return 4 * 4 * tensorHeads * width }

// decodeShared is that of decode: a weight for each key and head, and four sums.
func decodeShared(heads, dim int) int {
	width := 8
	for width < dim {
		width *= 2
	}
	return 4 * (decodeKeys*decodeHeads + 4*heads*width)
}

// spans are the lengths of the queries' ranges under the window.
func spans(lo, hi []int32, window int) []int {
	out := make([]int, len(lo))
	for t := range lo {
		out[t] = max(0, int(hi[t]-lo[t]))
		if window > 0 {
			out[t] = min(out[t], window)
		}
	}
	return out
}

// decodes tells whether an operation is like a step of generation: over a cache, and with few queries
// to the keys that a tile of them would read.
func decodes(a attentionOperands) bool {
	if a.s.Queries < 1 || a.s.Queries >= a.s.Keys || a.s.HeadDim > 256 {
		return false
	}
	var read, tiled int
	for _, n := range spans(a.lows, a.highs, a.s.Window) {
		read += n
	}
	for _, r := range reachOf(a.lows, a.highs, a.s.Window) {
		tiled += max(0, int(r.last)-int(r.first))
	}
	return read <= decodeReuse*tiled
}

// decode is Attention with each query's keys shared out over blocks, in any storage type.
func (c *call) decode(dst uint64, a attentionOperands) {
	s := a.s
	lengths := spans(a.lows, a.highs, s.Window)
	offsets, chunks := make([]int32, len(lengths)), 0
	for t, n := range lengths {
		offsets[t] = int32(chunks)
		chunks += (n + decodeKeys - 1) / decodeKeys
	}
	table := c.kept(offsets)
	sums, states := c.temporary(4*chunks*s.Heads*s.HeadDim), c.temporary(8*chunks*s.Heads)
	group := s.Heads / s.KVHeads
	kernel, heads, shared := c.kernel("decode"), decodeHeads, decodeShared(min(group, decodeHeads), s.HeadDim)
	if c.stored != device.Float && s.HeadDim%8 == 0 && (a.q|a.k|a.v)%16 == 0 {
		w := decodeWidths[0]
		if s.HeadDim > w {
			w = decodeWidths[1]
		}
		kernel, heads, shared = attentionKernel("tensor_decode", c.stored, w), tensorHeads, tensorDecodeShared(w)
	}
	parts := (group + heads - 1) / heads
	c.launch(kernel, s.Queries*s.KVHeads*parts, (slices.Max(lengths)+decodeKeys-1)/decodeKeys, 128, shared,
		append([]uint64{sums, states, a.q, a.k, a.v, a.lo, a.hi, table}, a.arguments()...)...)
	c.launch(c.kernel("decode_combine"), s.Queries*s.Heads, 1, 256, 0,
		append([]uint64{dst, sums, states, a.lo, a.hi, table}, a.arguments()...)...)
}
