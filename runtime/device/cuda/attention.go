package cuda

import (
	"fmt"
	"math"

	"triality/runtime/device"
)

// attentionVariant is a set of kernels over float32 storage, for tiles of rows by rows and heads of up to
// width.
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
	if v.backward {
		return 4 * (4*v.rows*(v.width+4) + v.rows*(v.rows+4))
	}
	return 4 * (2*v.rows*(v.width+4) + v.rows*(v.rows+4))
}

// attentionThreads is the size of a block.
const attentionThreads = 256

// fits tells whether a card that gives a block so much shared memory can run it; the ranges of a
// tile's queries and their statistics take a little beside the tiles.
func (v attentionVariant) fits(shared int) bool { return v.sharedBytes()+2048 <= shared }

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

// attentionOperands is what both directions share, checked.
type attentionOperands struct {
	q, k, v, lo, hi uint64
	queries, keys   int // elements of q and of k
	s               device.AttentionShape
	lows, highs     []int32 // the host's lo and hi
}

// arguments are the shape as the kernels take it.
func (o attentionOperands) arguments() []uint64 {
	s := o.s
	return []uint64{i32(s.Queries), i32(s.Keys), i32(s.Heads), i32(s.KVHeads), i32(s.HeadDim),
		i32(min(max(s.Window, 0), math.MaxInt32)), f32(s.Scale)}
}

func (c *call) attention(q, k, v, lo, hi device.Buffer, s device.AttentionShape) (o attentionOperands) {
	if s.Heads < 1 || s.KVHeads < 1 || s.HeadDim < 1 || s.Heads%s.KVHeads != 0 {
		c.fail("%d heads of %d over %d key heads", s.Heads, s.HeadDim, s.KVHeads)
		return o
	}
	o.s, o.queries, o.keys = s, s.Queries*s.Heads*s.HeadDim, s.Keys*s.KVHeads*s.HeadDim
	o.q, o.k, o.v = c.operand("q", q, o.queries), c.operand("k", k, o.keys), c.operand("v", v, o.keys)
	o.lows, o.lo = c.within("lo", lo, s.Queries, 0, s.Keys+1)
	o.highs, o.hi = c.within("hi", hi, s.Queries, 0, s.Keys+1)
	return o
}

// variant chooses the kernels of float32 storage.
func (c *call) variant(dim int, backward bool) attentionVariant {
	v, ok := chooseAttention(dim, backward, c.d.shared)
	if !ok {
		c.fail("heads of %d are more than the 256 that the kernels hold, or than fits in %d bytes of shared memory", dim, c.d.shared)
	}
	return v
}

// tiles is the number of tiles that n rows make.
func (v attentionVariant) tiles(n int) int { return (n + v.rows - 1) / v.rows }

// Attention: softmax(q·kᵀ·Scale)·v over each query's key range.
func (d *Device) Attention(dst, q, k, v, lo, hi device.Buffer, s device.AttentionShape) {
	d.AttentionKeep(dst, nil, q, k, v, lo, hi, s)
}

// keeps tells whether the kernels of a call keep statistics: those over 16-bit storage.
func (c *call) keeps(s device.AttentionShape) bool {
	return c.stored != device.Float && onTensorCores(s)
}

// AttentionKeep keeps the binary logarithm of the sum of exponentials where the kernels read it.
func (d *Device) AttentionKeep(dst, kept, q, k, v, lo, hi device.Buffer, s device.AttentionShape) {
	c := d.begin("attention")
	defer c.end()
	a := c.attention(q, k, v, lo, hi, s)
	o := c.operand("dst", dst, a.queries)
	var sums uint64
	if kept != nil {
		sums = c.floats("kept", kept, s.Queries*s.Heads)
	}
	switch {
	case c.failed:
	case kept == nil && decodes(a):
		c.decode(o, a)
	case c.keeps(s):
		c.tensorAttend(o, sums, a)
	case c.stored == device.Float:
		c.attend(o, a)
	default:
		wide := c.temporary(4 * a.queries)
		c.attend(wide, c.widenOperands(a))
		c.narrowed(o, wide, a.queries, 1)
	}
}

// attend is Attention over float32 storage.
func (c *call) attend(dst uint64, a attentionOperands) {
	v := c.variant(a.s.HeadDim, false)
	if c.failed {
		return
	}
	c.launch(v.name("attention"), v.tiles(a.s.Queries), a.s.Heads, attentionThreads, v.sharedBytes(),
		append([]uint64{dst, a.q, a.k, a.v, a.lo, a.hi}, a.arguments()...)...)
}

// AttentionGrad first gives each query the statistics of its softmax, then goes over queries for dq and
// over keys for dk and dv.
func (d *Device) AttentionGrad(dq, dk, dv, q, k, v, lo, hi, dy device.Buffer, s device.AttentionShape) {
	d.AttentionGradKept(dq, dk, dv, q, k, v, nil, nil, lo, hi, dy, s)
}

// AttentionGradKept has the statistics where AttentionKeep kept them.
func (d *Device) AttentionGradKept(dq, dk, dv, q, k, v, result, kept, lo, hi, dy device.Buffer, s device.AttentionShape) {
	c := d.begin("attention grad")
	defer c.end()
	a := c.attention(q, k, v, lo, hi, s)
	oq, ok, ov, y := c.operand("dq", dq, a.queries), c.operand("dk", dk, a.keys), c.operand("dv", dv, a.keys), c.operand("dy", dy, a.queries)
	var o, sums uint64
	if result != nil {
		o, sums = c.operand("result", result, a.queries), c.floats("kept", kept, s.Queries*s.Heads)
	}
	switch {
	case c.failed:
	case c.keeps(s):
		c.tensorAttendGrad(oq, ok, ov, y, o, sums, a)
	case c.stored == device.Float:
		c.attendGrad(oq, ok, ov, y, a)
	default:
		wq, wk, wv := c.temporary(4*a.queries), c.temporary(4*a.keys), c.temporary(4*a.keys)
		c.attendGrad(wq, wk, wv, c.widened(y, a.queries), c.widenOperands(a))
		c.narrowed(oq, wq, a.queries, 1)
		c.narrowed(ok, wk, a.keys, 1)
		c.narrowed(ov, wv, a.keys, 1)
	}
}

// attendGrad is AttentionGrad over float32 storage, in two passes.
func (c *call) attendGrad(dq, dk, dv, dy uint64, a attentionOperands) {
	v := c.variant(a.s.HeadDim, true)
	if c.failed {
		return
	}
	rows := c.temporary(16 * a.s.Queries * a.s.Heads)
	operands := append([]uint64{rows, a.q, a.k, a.v, a.lo, a.hi, dy}, a.arguments()...)
	bytes := v.sharedBytes()
	c.launch(v.name("query_grad"), v.tiles(a.s.Queries), a.s.Heads, attentionThreads, bytes, append([]uint64{dq}, operands...)...)
	c.launch(v.name("key_grad"), v.tiles(a.s.Keys), a.s.KVHeads, attentionThreads, bytes, append([]uint64{dk, dv}, operands...)...)
}
