package cpu

import (
	"math"

	"triality/runtime/device"
)

// Embedding: dst[t,:] = table[ids[t],:].
func (d *Device) Embedding(dst, table, ids device.Buffer, T, D int) {
	c := d.begin("embedding")
	defer c.end()
	o := c.floats("dst", dst, T*D)
	w := c.all("table", table)
	id := c.within("ids", ids, T, 0, len(w)/max(1, D))
	if c.failed || D == 0 {
		return
	}
	d.splitRows(T, D, func(from, to int) {
		for t := from; t < to; t++ {
			copy(o[t*D:(t+1)*D], w[int(id[t])*D:])
		}
	})
}

// EmbeddingGrad: dst[V,D] = 0, then dst[ids[t],:] += dy[t,:] in order of t.
func (d *Device) EmbeddingGrad(dst, ids, dy device.Buffer, T, V, D int) {
	c := d.begin("embedding grad")
	defer c.end()
	o := c.floats("dst", dst, V*D)
	y := c.floats("dy", dy, T*D)
	id := c.within("ids", ids, T, 0, V)
	if c.failed || D == 0 {
		return
	}
	d.split(len(o), grain, func(from, to int) { clear(o[from:to]) })
	columns := 64
	if T*D <= grain {
		columns = D
	}
	d.split(D, columns, func(from, to int) {
		for t := range T {
			row := o[int(id[t])*D+from : int(id[t])*D+to]
			d.k.add(row, row, y[t*D+from:t*D+to])
		}
	})
}

// CacheWrite: cache[slots[t],:] = x[t,:] in order of t.
func (d *Device) CacheWrite(cache, x, slots device.Buffer, T, D int) {
	c := d.begin("cache write")
	defer c.end()
	o := c.all("cache", cache)
	v := c.floats("x", x, T*D)
	s := c.within("slots", slots, T, 0, len(o)/max(1, D))
	if c.failed {
		return
	}
	for t := range T {
		copy(o[int(s[t])*D:(int(s[t])+1)*D], v[t*D:])
	}
}

// RMSNorm: dst[t,d] = w[d] · x[t,d] / sqrt(mean_d(x²) + eps).
func (d *Device) RMSNorm(dst, x, w device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm")
	defer c.end()
	o := c.floats("dst", dst, T*D)
	v := c.floats("x", x, T*D)
	g := c.floats("w", w, D)
	if c.failed || D == 0 {
		return
	}
	d.splitRows(T, D, func(from, to int) {
		for t := from; t < to; t++ {
			row, out := v[t*D:(t+1)*D], o[t*D:(t+1)*D]
			d.k.scale(out, row, float32(d.inverseRMS(row, eps)))
			d.k.mul(out, out, g)
		}
	})
}

func (d *Device) inverseRMS(x []float32, eps float64) float64 {
	return 1 / math.Sqrt(d.k.dot64(x, x)/float64(len(x))+eps)
}

// RMSNormGradX: with r the inverse root mean square, dx = r·w·dy − x·r³/D·Σ_d(w·dy·x).
func (d *Device) RMSNormGradX(dst, x, w, dy device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm grad x")
	defer c.end()
	o := c.floats("dst", dst, T*D)
	v := c.floats("x", x, T*D)
	g := c.floats("w", w, D)
	y := c.floats("dy", dy, T*D)
	if c.failed || D == 0 {
		return
	}
	d.splitRows(T, D, func(from, to int) {
		for t := from; t < to; t++ {
			row, out := v[t*D:(t+1)*D], o[t*D:(t+1)*D]
			r := d.inverseRMS(row, eps)
			d.k.mul(out, y[t*D:(t+1)*D], g)
			s := d.k.dot64(out, row)
			d.k.axpby(out, out, row, float32(r), float32(-r*r*r/float64(D)*s))
		}
	})
}

// RMSNormGradW: dw[d] = Σ_t dy[t,d]·x[t,d]·r[t].
func (d *Device) RMSNormGradW(dst, x, dy device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm grad w")
	defer c.end()
	o := c.floats("dst", dst, D)
	v := c.floats("x", x, T*D)
	y := c.floats("dy", dy, T*D)
	if c.failed || D == 0 {
		return
	}
	r := d.own().floats(statistics, T)
	d.splitRows(T, D, func(from, to int) {
		for t := from; t < to; t++ {
			r[t] = float32(d.inverseRMS(v[t*D:(t+1)*D], eps))
		}
	})
	d.sumColumns(o, T, D, func(sum []float32, t, from int) {
		at, to := t*D+from, t*D+from+len(sum)
		d.k.axxpy(sum, v[at:to], y[at:to], r[t])
	})
}
