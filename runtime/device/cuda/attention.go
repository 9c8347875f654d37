package cuda

import (
	"fmt"
	"math"

	"triality/runtime/device"
)

// attentionVariant is a set of kernels for tiles of rows by rows and heads of up to width; on tensor
// cores those of bfloat16.
type attentionVariant struct {
	rows, width      int
	backward, narrow bool
}

// attentionVariants are those that were compiled, the fastest of each width first.
var attentionVariants = []attentionVariant{
	{64, 64, false, true}, {64, 128, false, true}, {64, 64, true, true}, {64, 128, true, true},
	{64, 64, false, false}, {64, 128, false, false}, {32, 256, false, false},
	{64, 64, true, false}, {64, 128, true, false}, {32, 128, true, false}, {32, 256, true, false}, {16, 256, true, false},
}

// sharedBytes is the shared memory of a block: tiles of padded rows and, in float32, one of weights.
func (v attentionVariant) sharedBytes() int {
	switch {
	case v.narrow && v.backward:
		return 2 * 4 * v.rows * (v.width + 8)
	case v.narrow:
		return 2 * 3 * v.rows * (v.width + 8)
	case v.backward:
		return 4 * (4*v.rows*(v.width+4) + v.rows*(v.rows+4))
	}
	return 4 * (2*v.rows*(v.width+4) + v.rows*(v.rows+4))
}

// threads is the size of a block.
func (v attentionVariant) threads() int {
	if v.narrow {
		return 128
	}
	return 256
}

// fits tells whether a card that gives a block so much shared memory can run it; the ranges of a
// tile's queries and their statistics take a little beside the tiles.
func (v attentionVariant) fits(shared int) bool { return v.sharedBytes()+2048 <= shared }

func (v attentionVariant) name(kernel string) string {
	if v.narrow {
		return fmt.Sprintf("%s_bf16_%d", kernel, v.width)
	}
	return fmt.Sprintf("%s_%d_%d", kernel, v.rows, v.width)
}

// kernels gives the names and shared memory of the variant's kernels.
func (v attentionVariant) kernels() map[string]int {
	if v.backward {
		return map[string]int{v.name("query_grad"): v.sharedBytes(), v.name("key_grad"): v.sharedBytes()}
	}
	return map[string]int{v.name("attention"): v.sharedBytes()}
}

// chooseAttention gives the first variant that holds the head and fits in the shared memory; one of
// bfloat16 only where that is allowed. Heads past 128 have none and stay in float32.
func chooseAttention(dim int, backward, narrow bool, shared int) (attentionVariant, bool) {
	for _, v := range attentionVariants {
		if v.backward == backward && (narrow || !v.narrow) && dim <= v.width && v.fits(shared) {
			return v, true
		}
	}
	return attentionVariant{}, false
}

// attention checks what both directions share and gives their operands.
func (c *call) attention(q, k, v, lo, hi device.Buffer, s device.AttentionShape, backward bool) (o attentionOperands) {
	if s.Heads < 1 || s.KVHeads < 1 || s.HeadDim < 1 || s.Heads%s.KVHeads != 0 {
		c.fail("%d heads of %d over %d key heads", s.Heads, s.HeadDim, s.KVHeads)
		return o
	}
	o.queries, o.keys = s.Queries*s.Heads*s.HeadDim, s.Keys*s.KVHeads*s.HeadDim
	o.q, o.k, o.v = c.floats("q", q, o.queries), c.floats("k", k, o.keys), c.floats("v", v, o.keys)
	_, o.lo = c.within("lo", lo, s.Queries, 0, s.Keys+1)
	_, o.hi = c.within("hi", hi, s.Queries, 0, s.Keys+1)
	variant, ok := chooseAttention(s.HeadDim, backward, c.d.narrow, c.d.shared)
	if !ok {
		c.fail("heads of %d are more than the 256 that the kernels hold, or than fits in %d bytes of shared memory", s.HeadDim, c.d.shared)
	}
	o.variant = variant
	o.shape = []uint64{i32(s.Queries), i32(s.Keys), i32(s.Heads), i32(s.KVHeads), i32(s.HeadDim),
		i32(min(max(s.Window, 0), math.MaxInt32)), f32(s.Scale)}
	return o
}

type attentionOperands struct {
	q, k, v, lo, hi uint64
	queries, keys   int // elements of q and of k
	variant         attentionVariant
	shape           []uint64 // as the kernels take it
}

// tiles is the number of tiles that n rows make.
func (v attentionVariant) tiles(n int) int { return (n + v.rows - 1) / v.rows }

// Attention: softmax(q·kᵀ·Scale)·v over each query's key range.
func (d *Device) Attention(dst, q, k, v, lo, hi device.Buffer, s device.AttentionShape) {
	c := d.begin("attention")
	defer c.end()
	a := c.attention(q, k, v, lo, hi, s, false)
	o := c.floats("dst", dst, a.queries)
	if c.failed {
		return
	}
	c.launch(a.variant.name("attention"), a.variant.tiles(s.Queries), s.Heads, a.variant.threads(), a.variant.sharedBytes(),
		append([]uint64{o, a.q, a.k, a.v, a.lo, a.hi}, a.shape...)...)
}

// AttentionGrad works in two passes: over queries for dq and the softmax's statistics, then over keys
// for dk and dv.
func (d *Device) AttentionGrad(dq, dk, dv, q, k, v, lo, hi, dy device.Buffer, s device.AttentionShape) {
	c := d.begin("attention grad")
	defer c.end()
	a := c.attention(q, k, v, lo, hi, s, true)
	oq, ok, ov, y := c.floats("dq", dq, a.queries), c.floats("dk", dk, a.keys), c.floats("dv", dv, a.keys), c.floats("dy", dy, a.queries)
	if c.failed {
		return
	}
	rows := c.temporary(16 * s.Queries * s.Heads)
	operands := append([]uint64{rows, a.q, a.k, a.v, a.lo, a.hi, y}, a.shape...)
	bytes := a.variant.sharedBytes()
	c.launch(a.variant.name("query_grad"), a.variant.tiles(s.Queries), s.Heads, a.variant.threads(), bytes, append([]uint64{oq}, operands...)...)
	c.launch(a.variant.name("key_grad"), a.variant.tiles(s.Keys), s.KVHeads, a.variant.threads(), bytes, append([]uint64{ok, ov}, operands...)...)
}
