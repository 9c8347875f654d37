package cuda

import (
	"fmt"
	"math"

	"triality/runtime/device"
)

// attentionVariant is a set of kernels for tiles of rows by rows and heads of up to width.
type attentionVariant struct {
	rows, width int
	backward    bool
}

// attentionVariants are those that were compiled, the fastest of each width first.
var attentionVariants = []attentionVariant{
	{64, 64, false}, {64, 128, false}, {32, 256, false},
	{64, 64, true}, {64, 128, true}, {32, 128, true}, {32, 256, true}, {16, 256, true},
}

// sharedBytes is the shared memory of a block: tiles of padded rows and one of weights.
func (v attentionVariant) sharedBytes() int {
	tiles := 2
	if v.backward {
		tiles = 4
	}
	return 4 * (tiles*v.rows*(v.width+4) + v.rows*(v.rows+4))
}

// fits tells whether a card that gives a block so much shared memory can run it; the ranges of a
// tile's queries take a little beside the tiles.
func (v attentionVariant) fits(shared int) bool { return v.sharedBytes()+1024 <= shared }

func (v attentionVariant) name(kernel string) string {
	return fmt.Sprintf("%s_%d_%d", kernel, v.rows, v.width)
}

// kernels gives the names and shared memory of the variant's kernels.
func (v attentionVariant) kernels() map[string]int {
	if v.backward {
		return map[string]int{v.name("query_grad"): v.sharedBytes(), v.name("key_grad"): v.sharedBytes()}
	}
	return map[string]int{v.name("attention"): v.sharedBytes()}
}

// chooseAttention gives the first variant that holds the head and fits in the shared memory.
func chooseAttention(dim int, backward bool, shared int) (attentionVariant, bool) {
	for _, v := range attentionVariants {
		if v.backward == backward && dim <= v.width && v.fits(shared) {
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
	variant, ok := chooseAttention(s.HeadDim, backward, c.d.shared)
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
	c.launch(a.variant.name("attention"), a.variant.tiles(s.Queries), s.Heads, 256, a.variant.sharedBytes(),
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
	c.launch(a.variant.name("query_grad"), a.variant.tiles(s.Queries), s.Heads, 256, bytes, append([]uint64{oq}, operands...)...)
	c.launch(a.variant.name("key_grad"), a.variant.tiles(s.Keys), s.KVHeads, 256, bytes, append([]uint64{ok, ov}, operands...)...)
}
