package cuda

import (
	"math"

	"triality/runtime/device"
)

// Logits held at once: 128 MiB of them in float32; 224 MiB with their gradients where those are narrow,
// 256 whole rows of a vocabulary of 152,064.
const (
	logitElements       = 32 << 20
	narrowLogitElements = 224 << 20 / 6
	cachedLogits        = 16 << 20
)

// logitShare is how much of the memory limit the logits may take.
const logitShare = 16

// crossEntropy is one call over the rows that have a label: logits are held for a block of rows by a
// block of the vocabulary at a time, in float32 whatever is stored.
type crossEntropy struct {
	call            *call
	h, w, labels    uint64
	d, v            int
	rows            []int32 // those with a label
	table           uint64  // rows on the card
	blockT, blockV  int     // rows and vocabulary in a block
	top, sum, label uint64  // state of a block's rows
	x, logits       uint64
	// The gradients of the logits, in the logits' own memory, where that is Float; otherwise 1024 times the
	// residuals softmax − onehot, in the storage type.
	gradients uint64
}

func (c *call) crossEntropy(h, w, labels device.Buffer, T, D, V int) (e crossEntropy) {
	e = crossEntropy{call: c, d: D, v: V, h: c.operand("h", h, T*D), w: c.operand("w", w, V*D)}
	l, at := c.within("labels", labels, T, math.MinInt32, V)
	e.labels = at
	for t, label := range l {
		if label >= 0 {
			e.rows = append(e.rows, int32(t))
		}
	}
	return e
}

// prepare takes the memory for blocks of rows by words of the vocabulary.
func (e *crossEntropy) prepare(blockT, blockV int, gradients bool) {
	e.blockT, e.blockV = blockT, blockV
	if len(e.rows) == 0 {
		return
	}
	c := e.call
	e.table = c.table(e.rows)
	e.top, e.sum, e.label = c.temporary(4*blockT), c.temporary(8*blockT), c.temporary(4*blockT)
	e.x, e.logits = c.temporary(c.width()*blockT*e.d), c.temporary(4*blockT*blockV)
	e.gradients = e.logits
	if gradients && c.stored != device.Float {
		e.gradients = c.temporary(c.width() * blockT * blockV)
	}
}

// block cuts the rows and the vocabulary by what the device allows. A narrow loss alone is computed in
// blocks that a cache may hold, over many rows.
func (e *crossEntropy) block(gradients bool) (blockT, blockV int) {
	d, rows := e.call.d, len(e.rows)
	switch {
	case e.call.stored == device.Float:
		return logitBlock(rows, e.v, d.logits)
	case gradients:
		if blockT, blockV = logitBlock(rows, e.v, d.narrowLogits); blockV == e.v {
			return even(rows, blockT), blockV
		}
		return tile(e.v, max(1, min(rows, 2048)), d.narrowLogits)
	}
	return tile(e.v, max(1, min(rows, 2048)), min(cachedLogits, d.narrowLogits))
}

// tile gives rows and the widest part of the vocabulary, a multiple of 64 where it is not all, of at most
// limit logits.
func tile(vocabulary, rows, limit int) (blockT, blockV int) {
	return rows, min(vocabulary, max(64, limit/rows/64*64))
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

// words is the address of the output vectors from one word of the vocabulary on.
func (e *crossEntropy) words(base uint64, from int) uint64 {
	return base + uint64(e.call.width()*from*e.d)
}

// project computes the logits of the gathered rows for the vocabulary [from, from+width).
func (e *crossEntropy) project(n, from, width int) {
	e.call.product(e.logits, e.x, e.words(e.w, from), gemm{m: n, n: width, k: e.d, transB: true, operands: e.call.stored, result: device.Float})
}

// statistics gives each row's largest logit, the sum of exponentials and its label's logit. The
// logits of the last vocabulary block stay.
func (e *crossEntropy) statistics(first, n int) {
	c := e.call
	update := "ce_update"
	if c.stored != device.Float {
		update = "ce_update_narrow"
	}
	c.perWideRow("gather", n, e.d, e.x, e.h, e.rowTable(first), i32(e.d))
	c.launch("ce_begin", (n+127)/128, 1, 128, 0, e.top, e.sum, e.label, i32(n))
	for from := 0; from < e.v; from += e.blockV {
		width := min(e.blockV, e.v-from)
		e.project(n, from, width)
		c.launch(update, n, 1, 256, 0, e.top, e.sum, e.label, e.logits, e.labels, e.rowTable(first), i32(from), i32(width))
	}
}

// loss writes the negative log-likelihoods of a block's rows.
func (e *crossEntropy) loss(nll uint64, first, n int) {
	e.call.launch("ce_end", (n+127)/128, 1, 128, 0, nll, e.top, e.sum, e.label, e.rowTable(first), i32(n))
}

// differentiate turns logits into their gradients, or residuals.
func (e *crossEntropy) differentiate(dnll uint64, first, n, from, width int) {
	c, parts := e.call, max(1, min(8, width/1024))
	if c.stored == device.Float {
		c.launch("ce_grad", n, parts, 256, 0, e.logits, e.top, e.sum, e.labels, e.rowTable(first), dnll, i32(from), i32(width))
		return
	}
	c.launch(c.kernel("ce_residual"), n, parts, 256, 0, e.gradients, e.logits, e.top, e.sum, e.labels, e.rowTable(first), i32(from), i32(width))
}

// CrossEntropy: nll[t] = logsumexp_v(h[t]·w[v]) − h[t]·w[labels[t]].
func (d *Device) CrossEntropy(nll, h, w, labels device.Buffer, T, D, V int) {
	c := d.begin("cross entropy")
	defer c.end()
	e := c.crossEntropy(h, w, labels, T, D, V)
	o := c.floats("nll", nll, T)
	blockT, blockV := e.block(false)
	e.prepare(blockT, blockV, false)
	c.zero(o, 4*T)
	e.each(func(first, n int) {
		e.statistics(first, n)
		e.loss(o, first, n)
	})
}

// CrossEntropyGrad: dlogits = dnll·(softmax − onehot); dh = dlogits·w, dw = dlogitsᵀ·h. In a narrow type
// the products take residuals·1024 and are multiplied by dnll/1024 afterwards, or h by dnll before, so
// that neither small probabilities nor a small dnll are lost to the type.
func (d *Device) CrossEntropyGrad(dh, dw, h, w, labels, dnll device.Buffer, T, D, V int) {
	d.CrossEntropyBoth(nil, dh, dw, h, w, labels, dnll, T, D, V)
}

// CrossEntropyBoth is CrossEntropyGrad, which finds the loss on its way; nll may be nil.
func (d *Device) CrossEntropyBoth(nll, dh, dw, h, w, labels, dnll device.Buffer, T, D, V int) {
	c := d.begin("cross entropy grad")
	defer c.end()
	e := c.crossEntropy(h, w, labels, T, D, V)
	o, y := c.operand("dh", dh, T*D), c.floats("dnll", dnll, T)
	var ow, loss uint64
	if nll != nil {
		loss = c.floats("nll", nll, T)
		c.zero(loss, 4*T)
	}
	if dw != nil {
		ow = c.operand("dw", dw, V*D)
	}
	wide := c.stored == device.Float
	blockT, blockV := e.block(true)
	if dw != nil && !wide { // dw is to be rounded once, so all rows are in one block
		blockT, blockV = tile(V, max(1, len(e.rows)), d.narrowLogits/4*3)
	}
	e.prepare(blockT, blockV, true)
	var out, ordinals, weighed uint64
	if len(e.rows) > 0 {
		out = c.temporary(4 * e.blockT * D)
	}
	if wide {
		ordinals, weighed = c.table(count(min(len(e.rows), e.blockT))), e.x
	} else if dw != nil {
		weighed = c.temporary(c.width() * e.blockT * D)
	}
	c.zero(o, c.width()*T*D)
	if dw != nil && len(e.rows) == 0 {
		c.zero(ow, c.width()*V*D)
	}
	forX := gemm{n: D, operands: c.stored, result: device.Float}
	forW := gemm{n: D, transA: true, operands: c.stored, result: c.stored}
	if !wide {
		forW.factor = 1.0 / 1024
	}
	e.each(func(first, n int) {
		e.statistics(first, n)
		if nll != nil {
			e.loss(loss, first, n)
		}
		if dw != nil && !wide {
			c.perRow(c.kernel("ce_weigh"), n, D, weighed, e.h, y, e.rowTable(first), i32(D))
		}
		for from := 0; from < V; from += e.blockV {
			width := min(e.blockV, V-from)
			if e.blockV < V {
				e.project(n, from, width)
			}
			e.differentiate(y, first, n, from, width)
			forX.m, forX.k, forX.accumulate = n, width, from > 0
			c.product(out, e.gradients, e.words(e.w, from), forX)
			if dw != nil {
				forW.m, forW.k, forW.accumulate = width, n, first > 0
				c.product(e.words(ow, from), e.gradients, weighed, forW)
			}
		}
		if wide {
			c.launch("scatter_f32", n, 1, rowThreads(D), 0, o, out, ordinals, e.rowTable(first), i32(D))
		} else {
			c.perRow(c.kernel("ce_scatter"), n, D, o, out, y, e.rowTable(first), i32(D))
		}
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
