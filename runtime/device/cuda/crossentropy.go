package cuda

import (
	"math"

	"triality/runtime/device"
)

// logitElements bounds the logits held at once, 128 MiB of them.
const logitElements = 32 << 20

// crossEntropy is one call over the rows that have a label: logits are held for a block of rows by a
// block of the vocabulary at a time.
type crossEntropy struct {
	call            *call
	h, w, labels    uint64
	d, v            int
	rows            []int32 // those with a label
	table           uint64  // rows on the card
	blockT, blockV  int     // rows and vocabulary in a block
	top, sum, label uint64  // state of a block's rows
	x, logits       uint64
}

func (c *call) crossEntropy(h, w, labels device.Buffer, T, D, V int) (e crossEntropy) {
	e = crossEntropy{call: c, d: D, v: V, h: c.floats("h", h, T*D), w: c.floats("w", w, V*D)}
	l, at := c.within("labels", labels, T, math.MinInt32, V)
	e.labels = at
	for t, label := range l {
		if label >= 0 {
			e.rows = append(e.rows, int32(t))
		}
	}
	return e
}

// prepare takes the memory for one block.
func (e *crossEntropy) prepare() {
	e.blockT, e.blockV = logitBlock(len(e.rows), e.v, e.call.d.logits)
	if len(e.rows) == 0 {
		return
	}
	c := e.call
	e.table = c.table(e.rows)
	e.top, e.sum, e.label = c.temporary(4*e.blockT), c.temporary(8*e.blockT), c.temporary(4*e.blockT)
	e.x, e.logits = c.temporary(4*e.blockT*e.d), c.temporary(4*e.blockT*e.blockV)
}

// logitBlock cuts rows × vocabulary into blocks of at most limit logits: whole rows of the vocabulary
// where at least 256 rows of it fit.
func logitBlock(rows, vocabulary, limit int) (blockT, blockV int) {
	blockT = max(1, min(rows, max(256, min(2048, limit/max(1, vocabulary)))))
	return blockT, min(vocabulary, max(1, limit/blockT))
}

// each calls f for blocks of rows [first, first+n).
func (e *crossEntropy) each(f func(first, n int)) {
	for first := 0; first < len(e.rows); first += e.blockT {
		f(first, min(e.blockT, len(e.rows)-first))
	}
}

func (e *crossEntropy) rowTable(first int) uint64 { return e.table + 4*uint64(first) }

// project computes the logits of the gathered rows for the vocabulary [from, from+width).
func (e *crossEntropy) project(n, from, width int) {
	e.call.product(e.logits, e.x, e.w+4*uint64(from*e.d), n, width, e.d, false, true, false)
}

// statistics gives each row's largest logit, the sum of exponentials and its label's logit. The
// logits of the last vocabulary block stay.
func (e *crossEntropy) statistics(first, n int) {
	c := e.call
	c.perRow("gather", n, e.d, e.x, e.h, e.rowTable(first), i32(e.d))
	c.launch("ce_begin", (n+127)/128, 1, 128, 0, e.top, e.sum, e.label, i32(n))
	for from := 0; from < e.v; from += e.blockV {
		width := min(e.blockV, e.v-from)
		e.project(n, from, width)
		c.launch("ce_update", n, 1, 256, 0, e.top, e.sum, e.label, e.logits, e.labels, e.rowTable(first), i32(from), i32(width))
	}
}

// CrossEntropy: nll[t] = logsumexp_v(h[t]·w[v]) − h[t]·w[labels[t]].
func (d *Device) CrossEntropy(nll, h, w, labels device.Buffer, T, D, V int) {
	c := d.begin("cross entropy")
	defer c.end()
	e := c.crossEntropy(h, w, labels, T, D, V)
	o := c.floats("nll", nll, T)
	e.prepare()
	c.zero(o, 4*T)
	e.each(func(first, n int) {
		e.statistics(first, n)
		c.launch("ce_end", (n+127)/128, 1, 128, 0, o, e.top, e.sum, e.label, e.rowTable(first), i32(n))
	})
}

// CrossEntropyGrad: dlogits = dnll·(softmax − onehot); dh = dlogits·w, dw = dlogitsᵀ·h.
func (d *Device) CrossEntropyGrad(dh, dw, h, w, labels, dnll device.Buffer, T, D, V int) {
	c := d.begin("cross entropy grad")
	defer c.end()
	e := c.crossEntropy(h, w, labels, T, D, V)
	o, y := c.floats("dh", dh, T*D), c.floats("dnll", dnll, T)
	var ow uint64
	if dw != nil {
		ow = c.floats("dw", dw, V*D)
	}
	e.prepare()
	var out, ordinals uint64
	if len(e.rows) > 0 {
		out = c.temporary(4 * e.blockT * D)
		ordinals = c.table(count(e.blockT))
	}
	c.zero(o, 4*T*D)
	if dw != nil && len(e.rows) == 0 {
		c.zero(ow, 4*V*D)
	}
	e.each(func(first, n int) {
		e.statistics(first, n)
		for from := 0; from < V; from += e.blockV {
			width := min(e.blockV, V-from)
			if e.blockV < V {
				e.project(n, from, width)
			}
			c.launch("ce_grad", n, max(1, min(8, width/1024)), 256, 0, e.logits, e.top, e.sum, e.labels, e.rowTable(first), y, i32(from), i32(width))
			c.product(out, e.logits, e.w+4*uint64(from*D), n, D, width, false, false, from > 0)
			if dw != nil {
				c.product(ow+4*uint64(from*D), e.logits, e.x, width, D, n, true, false, first > 0)
			}
		}
		c.launch("scatter", n, 1, rowThreads(D), 0, o, out, ordinals, e.rowTable(first), i32(D))
	})
}

// count is 0, 1, … n−1.
func count(n int) []int32 {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32(i)
	}
	return v
}
