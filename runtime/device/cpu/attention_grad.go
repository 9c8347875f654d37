package cpu

import (
	"math"

	"triality/runtime/device"
)

// keptKeys is the widest key range whose scores are kept between the two sweeps over a run of
// queries; wider ones are computed twice.
const keptKeys = 1024

// AttentionGrad works in two passes, each parallel over what it writes: over runs of queries for dq
// and the softmax's statistics, then over blocks of keys for dk and dv.
func (d *Device) AttentionGrad(dq, dk, dv, q, k, v, lo, hi, dy device.Buffer, s device.AttentionShape) {
	c := d.begin("attention grad")
	defer c.end()
	a := c.attention(q, k, v, lo, hi, s)
	g := attentionGrad{attention: &a}
	g.dq = c.floats("dq", dq, s.Queries*a.qs)
	g.dk = c.floats("dk", dk, s.Keys*a.ks)
	g.dv = c.floats("dv", dv, s.Keys*a.ks)
	g.dy = c.floats("dy", dy, s.Queries*a.qs)
	if c.failed {
		return
	}
	g.lse = d.own().floats(statistics, s.Queries*s.Heads)
	g.mean = d.own().floats(gradients, s.Queries*s.Heads)
	work := a.work()
	d.each(len(a.runs)*s.KVHeads, work, func(w, t int) {
		d.queryGrad(&g, a.runs[t/s.KVHeads], t%s.KVHeads, &d.ws[w])
	})
	blocks := (s.Keys + tileKeys - 1) / tileKeys
	d.each(blocks*s.KVHeads, work, func(w, t int) {
		d.keyGrad(&g, t/s.KVHeads*tileKeys, t%s.KVHeads, &d.ws[w])
	})
}

// attentionGrad adds the gradients and, for each query and head, log Σ exp of its scores and the
// mean of dP under P (Dao et al. 2022, algorithm 4, where it is called D).
type attentionGrad struct {
	*attention
	dq, dk, dv, dy []float32
	lse, mean      []float32
}

// pair computes the scores q·kᵀ·Scale and dP = dy·vᵀ of one tile from packed keys and values.
func (d *Device) pair(g *attentionGrad, ws *workspace, s, dp []float32, t, head, n, width int, pk, pv []float32) {
	d.k.product(ws, s, width, n, width, g.HeadDim, g.queries(g.q, t, head, false), pk, false)
	d.k.scale(s[:n*width], s[:n*width], float32(g.Scale))
	d.k.product(ws, dp, width, n, width, g.HeadDim, g.queries(g.dy, t, head, false), pv, false)
}

func (d *Device) queryGrad(g *attentionGrad, r run, kv int, ws *workspace) {
	kn, dim, n := d.k, g.HeadDim, r.to-r.from
	pk := ws.floats(packB, panels(tileKeys, kn.nr)*dim*2+panels(dim, kn.nr)*tileKeys)
	pv := pk[panels(tileKeys, kn.nr)*dim:]
	pkt := pv[panels(tileKeys, kn.nr)*dim:]
	kept := r.last-r.first <= keptKeys
	tiles := 1
	if kept {
		tiles = (r.last - r.first + tileKeys - 1) / tileKeys
	}
	s := ws.floats(scores, max(1, tiles)*n*tileKeys)
	dp := ws.floats(gradients, max(1, tiles)*n*tileKeys)
	p := ws.floats(packC, tileKeys)
	state := ws.floats(statistics, 3*n)
	most, sum, mean := state[:n], state[n:2*n], state[2*n:]
	packKV := func(first, width int) {
		kn.pack(pk, g.keys(g.k, first, kv, false), width, dim, kn.nr)
		kn.pack(pv, g.keys(g.v, first, kv, false), width, dim, kn.nr)
	}
	for head := kv * g.group; head < (kv+1)*g.group; head++ {
		for i := range n {
			most[i], sum[i], mean[i] = float32(math.Inf(-1)), 0, 0
			clear(g.dq[(r.from+i)*g.qs+head*dim:][:dim])
		}
		tile := func(first int) int { // where a tile's scores are kept
			if kept {
				return (first - r.first) * n
			}
			return 0
		}
		for first := r.first; first < r.last; first += tileKeys {
			last := min(first+tileKeys, r.last)
			width := last - first
			packKV(first, width)
			st, dpt := s[tile(first):], dp[tile(first):]
			d.pair(g, ws, st, dpt, r.from, head, n, width, pk, pv)
			for i := range n {
				l, h := g.span(r.from+i, first, last)
				if l >= h {
					continue
				}
				row := st[i*width+l : i*width+h]
				if top := kn.largest(row); top > most[i] {
					f := exp(most[i] - top)
					sum[i], mean[i], most[i] = sum[i]*f, mean[i]*f, top
				}
				e := p[:h-l]
				sum[i] += kn.expSum(e, row, most[i])
				mean[i] += kn.dot(e, dpt[i*width+l:i*width+h])
			}
		}
		for i := range n {
			at := (r.from+i)*g.Heads + head
			g.lse[at], g.mean[at] = 0, 0
			if sum[i] != 0 {
				g.lse[at] = most[i] + float32(math.Log(float64(sum[i])))
				g.mean[at] = mean[i] / sum[i]
			}
		}
		for first := r.first; first < r.last; first += tileKeys {
			last := min(first+tileKeys, r.last)
			width := last - first
			st, dpt := s[tile(first):], dp[tile(first):]
			if !kept {
				packKV(first, width)
				d.pair(g, ws, st, dpt, r.from, head, n, width, pk, pv)
			}
			d.weights(g, st, dpt, r.from, r.to, head, first, last)
			kn.pack(pkt, g.keys(g.k, first, kv, true), dim, width, kn.nr)
			kn.product(ws, g.dq[r.from*g.qs+head*dim:], g.qs, n, dim, width, matrix{dpt, width, false}, pkt, true)
		}
	}
}

// weights turns a tile's scores into P and its dP into dS·Scale, zero outside each query's range.
func (d *Device) weights(g *attentionGrad, s, dp []float32, from, to, head, first, last int) {
	width := last - first
	for t := from; t < to; t++ {
		i := (t - from) * width
		p, ds := s[i:i+width], dp[i:i+width]
		l, h := g.span(t, first, last)
		clear(p[:min(l, width)])
		clear(p[min(h, width):])
		clear(ds[:min(l, width)])
		clear(ds[min(h, width):])
		if l < h {
			at := t*g.Heads + head
			d.k.expSum(p[l:h], p[l:h], g.lse[at])
			d.k.softmaxGrad(ds[l:h], p[l:h], ds[l:h], g.mean[at], float32(g.Scale))
		}
	}
}

// keyGrad computes dk and dv of the keys from first on, over the runs of queries that read them, in
// order.
func (d *Device) keyGrad(g *attentionGrad, start, kv int, ws *workspace) {
	kn, dim := d.k, g.HeadDim
	end := min(start+tileKeys, g.Keys)
	for j := start; j < end; j++ {
		clear(g.dk[j*g.ks+kv*dim:][:dim])
		clear(g.dv[j*g.ks+kv*dim:][:dim])
	}
	pk := ws.floats(packB, 2*panels(tileKeys, kn.nr)*dim)
	pv := pk[panels(tileKeys, kn.nr)*dim:]
	right := ws.floats(packC, panels(dim, kn.nr)*tileRows)
	s, dp := ws.floats(scores, tileRows*tileKeys), ws.floats(gradients, tileRows*tileKeys)
	for _, r := range g.runs {
		first, last := max(start, r.first), min(end, r.last)
		if first >= last {
			continue
		}
		n, width := r.to-r.from, last-first
		kn.pack(pk, g.keys(g.k, first, kv, false), width, dim, kn.nr)
		kn.pack(pv, g.keys(g.v, first, kv, false), width, dim, kn.nr)
		for head := kv * g.group; head < (kv+1)*g.group; head++ {
			d.pair(g, ws, s, dp, r.from, head, n, width, pk, pv)
			d.weights(g, s, dp, r.from, r.to, head, first, last)
			kn.pack(right, g.queries(g.dy, r.from, head, true), dim, n, kn.nr)
			kn.product(ws, g.dv[first*g.ks+kv*dim:], g.ks, width, dim, n, matrix{s, width, true}, right, true)
			kn.pack(right, g.queries(g.q, r.from, head, true), dim, n, kn.nr)
			kn.product(ws, g.dk[first*g.ks+kv*dim:], g.ks, width, dim, n, matrix{dp, width, true}, right, true)
		}
	}
}
