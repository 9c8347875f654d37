package cuda

import (
	"fmt"
	"maps"
	"slices"

	"triality/runtime/device"
)

// Tiles of the kernels over 16-bit storage.
const (
	queryTile = 128 // queries of a block of tensor_attention and tensor_query_grad
	reachTile = 64  // queries that tensor_key_grad takes at once
	keyTile   = 128 // keys of a block of tensor_key_grad
	stepTile  = 64  // keys that the others take at once
)

// tensorWidths are the sizes that heads are padded to.
var tensorWidths = []int{64, 128}

// onTensorCores tells whether there are kernels over 16-bit storage; they look for the largest score
// before it is scaled. Other shapes go through copies in float32.
func onTensorCores(s device.AttentionShape) bool {
	return s.HeadDim <= tensorWidths[len(tensorWidths)-1] && s.Scale > 0
}

// tensorWidth is the padded size of a head.
func tensorWidth(dim int) int {
	for _, w := range tensorWidths {
		if dim <= w {
			return w
		}
	}
	return 0
}

// Shared memory of a block: tiles of 16-bit elements and, of tensor_key_grad, two floats for a query.
func forwardShared(width, stages int) int { return 2 * width * (queryTile + stages*2*stepTile) }
func queryGradShared(width int) int       { return 2 * width * 4 * stepTile }
func keyGradShared(width, stages int) int {
	return 2*width*2*keyTile + stages*(2*width*2*reachTile+8*reachTile)
}

// keyGradStages is 2 where the next tiles may be copied while the present ones are computed, else 1.
func keyGradStages(width, shared int) int {
	if keyGradShared(width, 2) <= shared {
		return 2
	}
	return 1
}

// forwardStages is 2 where two blocks with two tiles of keys and values each fit a multiprocessor, else 1.
func forwardStages(width, shared int) int {
	if 2*forwardShared(width, 2) <= shared {
		return 2
	}
	return 1
}

// attentionKernels gives the names of the kernels that a card with so much shared memory to a block runs,
// and the bytes of it that they take.
func attentionKernels(shared int) map[string]int {
	bytes := map[string]int{}
	for _, v := range attentionVariants {
		if v.fits(shared) {
			for name, n := range v.kernels() {
				bytes[name] = n
			}
		}
	}
	for _, t := range []device.DType{device.BFloat16, device.Float16} {
		bytes["gather_parts"+suffix(t)], bytes["attention_means"+suffix(t)] = 0, 0
		for _, w := range tensorWidths {
			bytes[attentionKernel("tensor_attention", t, w)] = forwardShared(w, forwardStages(w, shared))
			bytes[attentionKernel("tensor_query_grad", t, w)] = queryGradShared(w)
			bytes[attentionKernel("tensor_key_grad", t, w)] = keyGradShared(w, keyGradStages(w, shared))
		}
	}
	maps.Copy(bytes, decodeKernels())
	return bytes
}

// tensorAttend is AttentionKeep over 16-bit storage; kept may be 0.
func (c *call) tensorAttend(dst, kept uint64, a attentionOperands) {
	p := planAttention(a, false)
	c.tensorForward(dst, kept, p, c.kept(p.queries), a)
}

func (c *call) tensorForward(dst, kept uint64, p attentionPlan, table uint64, a attentionOperands) {
	w := tensorWidth(a.s.HeadDim)
	if c.byWarpgroups(a, 0) {
		c.launch(attentionKernel("warpgroup_attention", c.stored, w), a.s.Heads, p.queryTiles(), warpgroupThreads, warpgroupForwardShared(w),
			append([]uint64{dst, kept, a.q, a.k, a.v, a.lo, a.hi, table}, a.arguments()...)...)
		return
	}
	stages := forwardStages(w, c.d.shared)
	c.launch(attentionKernel("tensor_attention", c.stored, w), a.s.Heads, p.queryTiles(), 128, forwardShared(w, stages),
		append([]uint64{dst, kept, a.q, a.k, a.v, a.lo, a.hi, table, i32(stages)}, a.arguments()...)...)
}

// tensorAttendGrad is AttentionGradKept over 16-bit storage; where result is 0 it is computed again.
func (c *call) tensorAttendGrad(dq, dk, dv, dy, result, kept uint64, a attentionOperands) {
	p, w, s := planAttention(a, true), tensorWidth(a.s.HeadDim), a.s
	queries := c.kept(slices.Concat(p.queries, p.reach, p.keys))
	reach := queries + 4*uint64(len(p.queries))
	keys := reach + 4*uint64(len(p.reach))
	if result == 0 {
		result, kept = c.temporary(c.width()*a.queries), c.temporary(4*s.Queries*s.Heads)
		c.tensorForward(result, kept, p, queries, a)
	}
	padded := p.queryTiles() * queryTile
	stats := c.temporary(8 * s.Heads * padded) // two floats for a query and head
	c.launch(c.kernel("attention_means"), (s.Heads*padded+7)/8, 1, 256, 0,
		append([]uint64{stats, kept, result, dy, i32(padded)}, a.arguments()...)...)
	splits := keySplits(s, p.keyTiles(), c.d.procs)
	ok, ov := dk, dv
	if splits > 1 {
		ok, ov = c.temporary(4*splits*a.keys), c.temporary(4*splits*a.keys)
	}
	forQueries := append([]uint64{dq, stats, a.q, a.k, a.v, a.lo, a.hi, dy, queries}, a.arguments()...)
	forKeys := []uint64{ok, ov, stats, a.q, a.k, a.v, a.lo, a.hi, dy, keys, reach, i32(padded), i32(splits)}
	if c.byWarpgroups(a, dy) {
		c.launch(attentionKernel("warpgroup_query_grad", c.stored, w), s.Heads, p.queryTiles(), warpgroupThreads, warpgroupQueryGradShared(w), forQueries...)
		c.launch(attentionKernel("warpgroup_key_grad", c.stored, w), s.KVHeads*splits, p.keyTiles(), warpgroupThreads, warpgroupKeyGradShared(w),
			append(forKeys, a.arguments()...)...)
	} else {
		stages := keyGradStages(w, c.d.shared)
		c.launch(attentionKernel("tensor_query_grad", c.stored, w), s.Heads, p.queryTiles(), 256, queryGradShared(w), forQueries...)
		c.launch(attentionKernel("tensor_key_grad", c.stored, w), s.KVHeads*splits, p.keyTiles(), 256, keyGradShared(w, stages),
			append(append(forKeys, i32(stages)), a.arguments()...)...)
	}
	if splits > 1 {
		c.narrowed(dk, ok, a.keys, splits)
		c.narrowed(dv, ov, a.keys, splits)
	}
}

// keySplits is the number of blocks that share out the query heads of a key head, so that there are
// enough for the multiprocessors.
func keySplits(s device.AttentionShape, tiles, procs int) int {
	blocks := max(1, s.KVHeads*tiles)
	return min(s.Heads/s.KVHeads, (3*procs/2+blocks-1)/blocks)
}

func attentionKernel(name string, t device.DType, width int) string {
	return fmt.Sprintf("%s%s_%d", name, suffix(t), width)
}

// narrowed sums parts of n floats each, in order, into the call's storage type.
func (c *call) narrowed(dst, parts uint64, n, count int) {
	c.each(c.kernel("gather_parts"), (n+1)/2, dst, parts, i64(n), i32(count))
}

// widened is a copy in float32 of n elements of the call's storage type.
func (c *call) widened(at uint64, n int) uint64 {
	wide := c.temporary(4 * n)
	c.each("copy"+suffix(c.stored)+suffix(device.Float), n, wide, at, i64(n))
	return wide
}

func (c *call) widenOperands(a attentionOperands) attentionOperands {
	a.q, a.k, a.v = c.widened(a.q, a.queries), c.widened(a.k, a.keys), c.widened(a.v, a.keys)
	return a
}
