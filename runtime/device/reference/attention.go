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

// scores is q·kᵀ·Scale over the keys lo ≤ j < hi of one query head, and the logarithm of the sum of its
// exponentials, infinite for no keys.
func (h heads) scores(q, k []float64, t, head int, lo, hi int32) (s []float64, logSum float64) {
	s = make([]float64, max(0, int(hi-lo)))
	most := math.Inf(-1)
	for i := range s {
		s[i] = dot(h.query(q, t, head), h.key(k, int(lo)+i, head)) * h.Scale
		most = max(most, s[i])
	}
	var sum float64
	for _, v := range s {
		sum += math.Exp(v - most)
	}
	if len(s) == 0 {
		return s, math.Inf(1)
	}
	return s, most + math.Log(sum)
}

// softmax makes scores weights.
func softmax(s []float64, logSum float64) []float64 {
	for i := range s {
		s[i] = math.Exp(s[i] - logSum)
	}
	return s
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
	d.AttentionKeep(dst, nil, q, k, v, lo, hi, s)
}

// AttentionKeep keeps the logarithm of each query's and head's sum of exponentials.
func (d *Device) AttentionKeep(dst, kept, q, k, v, lo, hi device.Buffer, s device.AttentionShape) {
	c := d.begin("attention")
	defer c.end()
	h := c.heads(s)
	o := c.floats("dst", dst, s.Queries*h.qs)
	qx := c.floats("q", q, s.Queries*h.qs)
	kx := c.floats("k", k, s.Keys*h.ks)
	vx := c.floats("v", v, s.Keys*h.ks)
	sums := make([]float64, s.Queries*s.Heads)
	if kept != nil {
		sums = c.floats("kept", kept, s.Queries*s.Heads)
	}
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
			scores, sum := h.scores(qx, kx, t, head, from[t], to[t])
			sums[t*s.Heads+head] = sum
			for i, p := range softmax(scores, sum) {
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
	d.AttentionGradKept(dq, dk, dv, q, k, v, nil, nil, lo, hi, dy, s)
}

// AttentionGradKept takes rowsum(P∘dP) from the result, whose product with dY it is.
func (d *Device) AttentionGradKept(dq, dk, dv, q, k, v, result, kept, lo, hi, dy device.Buffer, s device.AttentionShape) {
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
	var ox, sums []float64
	if result != nil {
		ox, sums = c.floats("result", result, s.Queries*h.qs), c.floats("kept", kept, s.Queries*s.Heads)
	}
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
			p, logSum := h.scores(qx, kx, t, head, from[t], to[t])
			if result != nil {
				logSum = sums[t*s.Heads+head]
			}
			p = softmax(p, logSum)
			dp := make([]float64, len(p))
			var sum float64
			for i := range p {
				dp[i] = dot(h.query(yx, t, head), h.key(vx, int(from[t])+i, head))
				sum += p[i] * dp[i]
			}
			if result != nil {
				sum = dot(h.query(yx, t, head), h.query(ox, t, head))
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
