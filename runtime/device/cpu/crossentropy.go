package cpu

import (
	"math"

	"triality/runtime/device"
)

// crossEntropy is one call over the rows that have a label: logits are held for a block of rows by
// a block of the vocabulary at a time.
type crossEntropy struct {
	h, w      []float32
	labels    []int32
	d, v      int
	rows      []int // those with a label
	blockT    int   // rows in a block
	blockV    int   // vocabulary in a block
	most, sum []float64
	label     []float32 // logit of the label
	x, logits []float32
}

// logitElements bounds the logits held at once, which Device.logits keeps.
const logitElements = 4 << 20

func (c *call) crossEntropy(h, w, labels device.Buffer, T, D, V int) (e crossEntropy) {
	e = crossEntropy{d: D, v: V}
	e.h = c.floats("h", h, T*D)
	e.w = c.floats("w", w, V*D)
	e.labels = c.within("labels", labels, T, math.MinInt32, V)
	if c.failed {
		return e
	}
	for t, l := range e.labels {
		if l >= 0 {
			e.rows = append(e.rows, t)
		}
	}
	e.blockT = max(1, min(len(e.rows), max(256, min(1024, c.d.logits/max(1, V)))))
	e.blockV = min(V, max(1, c.d.logits/e.blockT))
	e.most, e.sum = make([]float64, e.blockT), make([]float64, e.blockT)
	e.label = make([]float32, e.blockT)
	own := c.d.own()
	e.x = own.floats(gathered, e.blockT*D)
	e.logits = own.floats(scores, e.blockT*e.blockV)
	return e
}

// gather copies the hidden states of some rows side by side.
func (e *crossEntropy) gather(rows []int) {
	for i, t := range rows {
		copy(e.x[i*e.d:(i+1)*e.d], e.h[t*e.d:(t+1)*e.d])
	}
}

// project computes the logits of the gathered rows for the vocabulary [from, to).
func (e *crossEntropy) project(d *Device, n, from, to int) {
	d.matmul(e.logits, plain(e.x, e.w[from*e.d:to*e.d], n, to-from, e.d, false, true, false))
}

// statistics gives each row's log-sum-exp, in place of most, and its label's logit. The logits of
// the last vocabulary block stay.
func (e *crossEntropy) statistics(d *Device, rows []int) {
	n := len(rows)
	for i := range n {
		e.most[i], e.sum[i] = math.Inf(-1), 0
	}
	for from := 0; from < e.v; from += e.blockV {
		to := min(e.v, from+e.blockV)
		width := to - from
		e.project(d, n, from, to)
		d.splitRows(n, width, func(first, last int) {
			var scratch [1024]float32
			for i := first; i < last; i++ {
				row := e.logits[i*width : (i+1)*width]
				if l := int(e.labels[rows[i]]); l >= from && l < to {
					e.label[i] = row[l-from]
				}
				if top := float64(d.k.largest(row)); top > e.most[i] {
					e.sum[i] *= math.Exp(e.most[i] - top)
					e.most[i] = top
				}
				for len(row) > 0 { // sums of short spans, added in float64
					span := min(len(row), len(scratch))
					e.sum[i] += float64(d.k.expSum(scratch[:span], row[:span], float32(e.most[i])))
					row = row[span:]
				}
			}
		})
	}
	for i := range n {
		e.most[i] += math.Log(e.sum[i])
	}
}

// CrossEntropy: nll[t] = logsumexp_v(h[t]·w[v]) − h[t]·w[labels[t]].
func (d *Device) CrossEntropy(nll, h, w, labels device.Buffer, T, D, V int) {
	c := d.begin("cross entropy")
	defer c.end()
	e := c.crossEntropy(h, w, labels, T, D, V)
	o := c.floats("nll", nll, T)
	if c.failed {
		return
	}
	clear(o)
	for from := 0; from < len(e.rows); from += e.blockT {
		rows := e.rows[from:min(len(e.rows), from+e.blockT)]
		e.gather(rows)
		e.statistics(d, rows)
		for i, t := range rows {
			o[t] = float32(e.most[i] - float64(e.label[i]))
		}
	}
}

// CrossEntropyGrad: dlogits = dnll·(softmax − onehot); dh = dlogits·w, dw = dlogitsᵀ·h.
func (d *Device) CrossEntropyGrad(dh, dw, h, w, labels, dnll device.Buffer, T, D, V int) {
	c := d.begin("cross entropy grad")
	defer c.end()
	e := c.crossEntropy(h, w, labels, T, D, V)
	o := c.floats("dh", dh, T*D)
	var ow []float32
	if dw != nil {
		ow = c.floats("dw", dw, V*D)
	}
	y := c.floats("dnll", dnll, T)
	if c.failed {
		return
	}
	d.split(len(o), grain, func(from, to int) { clear(o[from:to]) })
	if len(e.rows) == 0 {
		d.split(len(ow), grain, func(from, to int) { clear(ow[from:to]) })
	}
	out := d.own().floats(gradients, e.blockT*D)
	for first := 0; first < len(e.rows); first += e.blockT {
		rows := e.rows[first:min(len(e.rows), first+e.blockT)]
		n := len(rows)
		e.gather(rows)
		e.statistics(d, rows)
		for from := 0; from < V; from += e.blockV {
			to := min(V, from+e.blockV)
			width := to - from
			if e.blockV < V {
				e.project(d, n, from, to)
			}
			d.splitRows(n, width, func(a, b int) {
				for i := a; i < b; i++ {
					row, f := e.logits[i*width:(i+1)*width], y[rows[i]]
					d.k.expSum(row, row, float32(e.most[i]))
					if l := int(e.labels[rows[i]]); l >= from && l < to {
						row[l-from]--
					}
					d.k.scale(row, row, f)
				}
			})
			d.matmul(out, plain(e.logits, e.w[from*D:to*D], n, D, width, false, false, from > 0))
			if ow != nil {
				d.matmul(ow[from*D:to*D], plain(e.logits, e.x, width, D, n, true, false, first > 0))
			}
		}
		for i, t := range rows {
			copy(o[t*D:(t+1)*D], out[i*D:(i+1)*D])
		}
	}
}
