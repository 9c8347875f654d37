package reference

import (
	"math"

	"triality/runtime/device"
)

// heads is an attention call's layout: row strides and the key head of each query head.
type heads struct {
	device.AttentionShape
	qs, ks, group int
}

func (c *call) heads(s device.AttentionShape) heads {
	if s.Heads < 1 || s.KVHeads < 1 || s.HeadDim < 1 || s.Heads%s.KVHeads != 0 {
		c.fail("%d heads of %d over %d key heads", s.Heads, s.HeadDim, s.KVHeads)
		return heads{}
	}
	return heads{s, s.Heads * s.HeadDim, s.KVHeads * s.HeadDim, s.Heads / s.KVHeads}
}

// query is the span of query head h in row t; key is the span of its key head in row j.
func (h heads) query(x []float64, t, head int) []float64 {
	at := t*h.qs + head*h.HeadDim
	return x[at : at+h.HeadDim]
}

func (h heads) key(x []float64, j, head int) []float64 {
	at := j*h.ks + head/h.group*h.HeadDim
	return x[at : at+h.HeadDim]
}

// weights is softmax(q·kᵀ·Scale) over the keys lo ≤ j < hi of one query head.
func (h heads) weights(q, k []float64, t, head int, lo, hi int32) []float64 {
	p := make([]float64, max(0, int(hi-lo)))
	most := math.Inf(-1)
	for i := range p {
		p[i] = dot(h.query(q, t, head), h.key(k, int(lo)+i, head)) * h.Scale
		most = max(most, p[i])
	}
	var sum float64
	for i := range p {
		p[i] = math.Exp(p[i] - most)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// windowed gives the starts of the key ranges under the window.
func (h heads) windowed(lo, hi []int32) []int32 {
	if h.Window <= 0 {
		return lo
	}
	out := make([]int32, len(lo))
	for t := range out {
		out[t] = int32(max(int(lo[t]), int(hi[t])-h.Window))
	}
	return out
}

// Attention: softmax(q·kᵀ·Scale)·v over each query's key range.
func (d *Device) Attention(dst, q, k, v, lo, hi device.Buffer, s device.AttentionShape) {
	c := d.begin("attention")
	defer c.end()
	h := c.heads(s)
	o := c.floats("dst", dst, s.Queries*h.qs)
	qx := c.floats("q", q, s.Queries*h.qs)
	kx := c.floats("k", k, s.Keys*h.ks)
	vx := c.floats("v", v, s.Keys*h.ks)
	from := c.ints("lo", lo, s.Queries, 0, s.Keys+1)
	to := c.ints("hi", hi, s.Queries, 0, s.Keys+1)
	if c.failed {
		return
	}
	from = h.windowed(from, to)
	for t := range s.Queries {
		for head := range s.Heads {
			y := h.query(o, t, head)
			clear(y)
			for i, p := range h.weights(qx, kx, t, head, from[t], to[t]) {
				for n, x := range h.key(vx, int(from[t])+i, head) {
					y[n] += p * x
				}
			}
		}
	}
}

// AttentionGrad: with P the weights, dV = Pᵀ·dY, dP = dY·Vᵀ, dS = P∘(dP − rowsum(P∘dP)),
// dQ = Scale·dS·K and dK = Scale·dSᵀ·Q.
func (d *Device) AttentionGrad(dq, dk, dv, q, k, v, lo, hi, dy device.Buffer, s device.AttentionShape) {
	c := d.begin("attention grad")
	defer c.end()
	h := c.heads(s)
	dqx := c.floats("dq", dq, s.Queries*h.qs)
	dkx := c.floats("dk", dk, s.Keys*h.ks)
	dvx := c.floats("dv", dv, s.Keys*h.ks)
	qx := c.floats("q", q, s.Queries*h.qs)
	kx := c.floats("k", k, s.Keys*h.ks)
	vx := c.floats("v", v, s.Keys*h.ks)
	yx := c.floats("dy", dy, s.Queries*h.qs)
	from := c.ints("lo", lo, s.Queries, 0, s.Keys+1)
	to := c.ints("hi", hi, s.Queries, 0, s.Keys+1)
	if c.failed {
		return
	}
	clear(dqx)
	clear(dkx)
	clear(dvx)
	from = h.windowed(from, to)
	for t := range s.Queries {
		for head := range s.Heads {
			p := h.weights(qx, kx, t, head, from[t], to[t])
			dp := make([]float64, len(p))
			var sum float64
			for i := range p {
				dp[i] = dot(h.query(yx, t, head), h.key(vx, int(from[t])+i, head))
				sum += p[i] * dp[i]
			}
			for i := range p {
				j := int(from[t]) + i
				ds := p[i] * (dp[i] - sum) * s.Scale
				for n := range s.HeadDim {
					h.query(dqx, t, head)[n] += ds * h.key(kx, j, head)[n]
					h.key(dkx, j, head)[n] += ds * h.query(qx, t, head)[n]
					h.key(dvx, j, head)[n] += p[i] * h.query(yx, t, head)[n]
				}
			}
		}
	}
}
