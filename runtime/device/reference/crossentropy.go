package reference

import (
	"math"

	"triality/runtime/device"
)

// softmaxRow gives the logits of one row as probabilities, and their log-sum-exp.
func softmaxRow(h, w []float64, D, V int) (p []float64, lse float64) {
	p = make([]float64, V)
	most := math.Inf(-1)
	for v := range p {
		p[v] = dot(h, w[v*D:(v+1)*D])
		most = max(most, p[v])
	}
	var sum float64
	for v := range p {
		sum += math.Exp(p[v] - most)
	}
	lse = most + math.Log(sum)
	for v := range p {
		p[v] = math.Exp(p[v] - lse)
	}
	return p, lse
}

// CrossEntropy: nll[t] = logsumexp_v(h[t]·w[v]) − h[t]·w[labels[t]].
func (d *Device) CrossEntropy(nll, h, w, labels device.Buffer, T, D, V int) {
	c := d.begin("cross entropy")
	defer c.end()
	o := c.floats("nll", nll, T)
	x := c.floats("h", h, T*D)
	m := c.floats("w", w, V*D)
	l := c.ints("labels", labels, T, math.MinInt32, V)
	if c.failed {
		return
	}
	for t := range T {
		o[t] = 0
		if l[t] < 0 {
			continue
		}
		row := x[t*D : (t+1)*D]
		_, lse := softmaxRow(row, m, D, V)
		o[t] = lse - dot(row, m[int(l[t])*D:(int(l[t])+1)*D])
	}
}

// CrossEntropyGrad: dlogits = dnll·(softmax − onehot); dh = dlogits·w, dw = dlogitsᵀ·h.
func (d *Device) CrossEntropyGrad(dh, dw, h, w, labels, dnll device.Buffer, T, D, V int) {
	c := d.begin("cross entropy grad")
	defer c.end()
	o := c.floats("dh", dh, T*D)
	var ow []float64
	if dw != nil {
		ow = c.floats("dw", dw, V*D)
	}
	x := c.floats("h", h, T*D)
	m := c.floats("w", w, V*D)
	l := c.ints("labels", labels, T, math.MinInt32, V)
	y := c.floats("dnll", dnll, T)
	if c.failed {
		return
	}
	clear(o)
	clear(ow)
	for t := range T {
		if l[t] < 0 {
			continue
		}
		p, _ := softmaxRow(x[t*D:(t+1)*D], m, D, V)
		p[l[t]]--
		for v := range p {
			g := y[t] * p[v]
			for i := range D {
				o[t*D+i] += g * m[v*D+i]
				if ow != nil {
					ow[v*D+i] += g * x[t*D+i]
				}
			}
		}
	}
}

// CrossEntropyBoth is the two one after the other.
func (d *Device) CrossEntropyBoth(nll, dh, dw, h, w, labels, dnll device.Buffer, T, D, V int) {
	d.CrossEntropyGrad(dh, dw, h, w, labels, dnll, T, D, V)
	d.CrossEntropy(nll, h, w, labels, T, D, V)
}
