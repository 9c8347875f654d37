package cpu

import (
	"math"

	"triality/runtime/device"
)

// Attention works on tiles of at most tileRows queries by tileKeys keys, with the softmax kept up to
// date as key tiles go by (Dao et al., FlashAttention, 2022). A multiple of both kernels' row counts
// wastes nothing.
const (
	tileRows = 84
	tileKeys = 128
)

// attention is one call: the operands, and the queries cut into runs.
type attention struct {
	device.AttentionShape
	q, k, v       []float32
	lo, hi        []int32
	qs, ks, group int // row strides; query heads to a key head
	runs          []run
}

// run is the queries [from, to), whose key ranges overlap and lie in [first, last).
type run struct{ from, to, first, last int }

func (c *call) attention(q, k, v, lo, hi device.Buffer, s device.AttentionShape) (a attention) {
	if s.Heads < 1 || s.KVHeads < 1 || s.HeadDim < 1 || s.Heads%s.KVHeads != 0 {
		c.fail("%d heads of %d over %d key heads", s.Heads, s.HeadDim, s.KVHeads)
		return a
	}
	a = attention{AttentionShape: s, qs: s.Heads * s.HeadDim, ks: s.KVHeads * s.HeadDim, group: s.Heads / s.KVHeads}
	a.q = c.floats("q", q, s.Queries*a.qs)
	a.k = c.floats("k", k, s.Keys*a.ks)
	a.v = c.floats("v", v, s.Keys*a.ks)
	a.lo = c.within("lo", lo, s.Queries, 0, s.Keys+1)
	a.hi = c.within("hi", hi, s.Queries, 0, s.Keys+1)
	if c.failed {
		return a
	}
	if s.Window > 0 {
		a.lo = windowed(a.lo, a.hi, s.Window)
	}
	a.runs = cut(a.lo, a.hi)
	return a
}

// windowed gives the starts of the key ranges of which the last window keys are seen.
func windowed(lo, hi []int32, window int) []int32 {
	out := make([]int32, len(lo))
	for t := range out {
		out[t] = int32(max(int(lo[t]), int(hi[t])-window))
	}
	return out
}

// cut groups consecutive queries whose ranges start within one tile of the first and overlap what
// came before, so that packed sequences do not pay for each other's keys.
func cut(lo, hi []int32) (runs []run) {
	var r run
	for t := range lo {
		l, h := int(lo[t]), int(hi[t])
		empty := l >= h
		open := t > 0 && t-r.from < tileRows
		switch {
		case open && empty:
		case open && r.first == r.last: // only empty ranges so far
			r.first, r.last = l, h
		case open && l >= r.first && l < r.first+tileKeys && l < r.last:
			r.last = max(r.last, h)
		default:
			if t > 0 {
				runs = append(runs, r)
			}
			r = run{from: t, first: l, last: max(l, h)}
		}
		r.to = t + 1
	}
	if len(lo) > 0 {
		runs = append(runs, r)
	}
	return runs
}

// work estimates the multiplications of all runs, to decide whether to wake the workers.
func (a *attention) work() (n int) {
	for _, r := range a.runs {
		n += (r.to - r.from) * (r.last - r.first)
	}
	return n * a.qs
}

// queries and keys are the operands of a product: the rows from t on of one head, seen [row][dim],
// or [dim][row] with trans.
func (a *attention) queries(x []float32, t, head int, trans bool) matrix {
	return matrix{x[t*a.qs+head*a.HeadDim:], a.qs, trans}
}

func (a *attention) keys(x []float32, j, kv int, trans bool) matrix {
	return matrix{x[j*a.ks+kv*a.HeadDim:], a.ks, trans}
}

// span is the part of query t's key range inside [from, to), relative to from.
func (a *attention) span(t, from, to int) (l, h int) {
	l, h = max(int(a.lo[t]), from)-from, min(int(a.hi[t]), to)-from
	return l, max(l, h)
}

// Attention: softmax(q·kᵀ·Scale)·v over each query's key range.
func (d *Device) Attention(dst, q, k, v, lo, hi device.Buffer, s device.AttentionShape) {
	c := d.begin("attention")
	defer c.end()
	a := c.attention(q, k, v, lo, hi, s)
	o := c.floats("dst", dst, s.Queries*a.qs)
	if c.failed {
		return
	}
	d.each(len(a.runs)*s.KVHeads, a.work(), func(w, t int) {
		r, kv := a.runs[t/s.KVHeads], t%s.KVHeads
		if (r.to-r.from)*a.group < 4 {
			d.attendRows(&a, o, r, kv, &d.ws[w])
		} else {
			d.attendTiles(&a, o, r, kv, &d.ws[w])
		}
	})
}

// attendRows is for few queries: one row of scores at a time, without packing.
func (d *Device) attendRows(a *attention, o []float32, r run, kv int, ws *workspace) {
	dim := a.HeadDim
	for t := r.from; t < r.to; t++ {
		first, last := int(a.lo[t]), int(a.hi[t])
		for head := kv * a.group; head < (kv+1)*a.group; head++ {
			out := o[t*a.qs+head*dim:][:dim]
			clear(out)
			if first >= last {
				continue
			}
			s := ws.floats(scores, last-first)
			d.dots(s, a.q[t*a.qs+head*dim:][:dim], a.k[first*a.ks+kv*dim:], a.ks)
			d.k.scale(s, s, float32(a.Scale))
			sum := d.k.expSum(s, s, d.k.largest(s))
			for j, p := range s {
				d.k.axpy(out, a.v[(first+j)*a.ks+kv*dim:][:dim], p)
			}
			d.k.scale(out, out, 1/sum)
		}
	}
}

// dots: s[j] = x · w[j·ld : j·ld+len(x)].
func (d *Device) dots(s, x, w []float32, ld int) {
	var four [4]float32
	j := 0
	for ; j+4 <= len(s); j += 4 {
		d.k.dot4(&four, x, &w[j*ld], ld)
		copy(s[j:], four[:])
	}
	for ; j < len(s); j++ {
		s[j] = d.k.dot(x, w[j*ld:j*ld+len(x)])
	}
}

func (d *Device) attendTiles(a *attention, o []float32, r run, kv int, ws *workspace) {
	kn, dim, n := d.k, a.HeadDim, r.to-r.from
	state := ws.floats(statistics, 2*a.group*n)
	most, sum := state[:a.group*n], state[a.group*n:]
	for i := range most {
		most[i], sum[i] = float32(math.Inf(-1)), 0
	}
	for head := kv * a.group; head < (kv+1)*a.group; head++ {
		for t := r.from; t < r.to; t++ {
			clear(o[t*a.qs+head*dim:][:dim])
		}
	}
	s := ws.floats(scores, n*tileKeys)
	for first := r.first; first < r.last; first += tileKeys {
		last := min(first+tileKeys, r.last)
		width := last - first
		pk := ws.floats(packB, panels(width, kn.nr)*dim)
		kn.pack(pk, a.keys(a.k, first, kv, false), width, dim, kn.nr)
		pv := ws.floats(packC, panels(dim, kn.nr)*width)
		kn.pack(pv, a.keys(a.v, first, kv, true), dim, width, kn.nr)
		for g := range a.group {
			head := kv*a.group + g
			kn.product(ws, s, width, n, width, dim, a.queries(a.q, r.from, head, false), pk, false)
			kn.scale(s[:n*width], s[:n*width], float32(a.Scale))
			for i := range n {
				row := s[i*width : (i+1)*width]
				l, h := a.span(r.from+i, first, last)
				clear(row[:min(l, width)])
				clear(row[min(h, width):])
				if l >= h {
					continue
				}
				at := g*n + i
				top := kn.largest(row[l:h])
				if top > most[at] {
					if sum[at] != 0 {
						f := exp(most[at] - top)
						sum[at] *= f
						out := o[(r.from+i)*a.qs+head*dim:][:dim]
						kn.scale(out, out, f)
					}
					most[at] = top
				}
				sum[at] += kn.expSum(row[l:h], row[l:h], most[at])
			}
			kn.product(ws, o[r.from*a.qs+head*dim:], a.qs, n, dim, width, matrix{s, width, false}, pv, true)
		}
	}
	for g := range a.group {
		for i := range n {
			if f := sum[g*n+i]; f != 0 {
				out := o[(r.from+i)*a.qs+(kv*a.group+g)*dim:][:dim]
				kn.scale(out, out, 1/f)
			}
		}
	}
}
