package reference

import (
	"math"

	"triality/runtime/device"
)

// Embedding: dst[t,:] = table[ids[t],:].
func (d *Device) Embedding(dst, table, ids device.Buffer, T, D int) {
	c := d.begin("embedding")
	defer c.end()
	o := c.floats("dst", dst, T*D)
	w := c.floats("table", table, -1)
	id := c.ints("ids", ids, T, 0, rows(w, D))
	if c.failed {
		return
	}
	for t := range T {
		copy(o[t*D:(t+1)*D], w[int(id[t])*D:])
	}
}

func rows(x []float64, D int) int {
	if D < 1 {
		return 0
	}
	return len(x) / D
}

// EmbeddingGrad: dst[V,D] = 0, then dst[ids[t],:] += dy[t,:].
func (d *Device) EmbeddingGrad(dst, ids, dy device.Buffer, T, V, D int) {
	c := d.begin("embedding grad")
	defer c.end()
	o := c.floats("dst", dst, V*D)
	y := c.floats("dy", dy, T*D)
	id := c.ints("ids", ids, T, 0, V)
	if c.failed {
		return
	}
	clear(o)
	for t := range T {
		for i := range D {
			o[int(id[t])*D+i] += y[t*D+i]
		}
	}
}

// CacheWrite: cache[slots[t],:] = x[t,:].
func (d *Device) CacheWrite(cache, x, slots device.Buffer, T, D int) {
	c := d.begin("cache write")
	defer c.end()
	o := c.floats("cache", cache, -1)
	v := c.floats("x", x, T*D)
	s := c.ints("slots", slots, T, 0, rows(o, D))
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
	if c.failed {
		return
	}
	for t := range T {
		r := inverseRMS(v[t*D:(t+1)*D], eps)
		for i := range D {
			o[t*D+i] = g[i] * v[t*D+i] * r
		}
	}
}

func inverseRMS(x []float64, eps float64) float64 {
	return 1 / math.Sqrt(dot(x, x)/float64(len(x))+eps)
}

// RMSNormGradX: with r the inverse root mean square, dx = r·w·dy − x·r³/D·Σ_d(w·dy·x).
func (d *Device) RMSNormGradX(dst, x, w, dy device.Buffer, T, D int, eps float64) {
	d.RMSNormGradXAdd(dst, nil, x, w, dy, T, D, eps)
}

// RMSNormGradXAdd adds c where it is not nil.
func (d *Device) RMSNormGradXAdd(dst, plus, x, w, dy device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm grad x")
	defer c.end()
	o := c.floats("dst", dst, T*D)
	v := c.floats("x", x, T*D)
	g := c.floats("w", w, D)
	y := c.floats("dy", dy, T*D)
	var more []float64
	if plus != nil {
		more = c.floats("c", plus, T*D)
	}
	if c.failed {
		return
	}
	for t := range T {
		r := inverseRMS(v[t*D:(t+1)*D], eps)
		var s float64
		for i := range D {
			s += g[i] * y[t*D+i] * v[t*D+i]
		}
		for i := range D {
			dx := r*g[i]*y[t*D+i] - v[t*D+i]*r*r*r/float64(D)*s
			if plus != nil {
				dx += more[t*D+i]
			}
			o[t*D+i] = dx
		}
	}
}

// RMSNormGradW: dw[d] = Σ_t dy[t,d]·x[t,d]·r[t].
func (d *Device) RMSNormGradW(dst, x, dy device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm grad w")
	defer c.end()
	o := c.floats("dst", dst, D)
	v := c.floats("x", x, T*D)
	y := c.floats("dy", dy, T*D)
	if c.failed {
		return
	}
	clear(o)
	for t := range T {
		r := inverseRMS(v[t*D:(t+1)*D], eps)
		for i := range D {
			o[i] += y[t*D+i] * v[t*D+i] * r
		}
	}
}

// Rotary turns each head by pos[t]·freq (Su et al., RoFormer, 2021; half-split pairs).
func (d *Device) Rotary(dst, x, pos, freq device.Buffer, T, heads, headDim, pairs int, scale float64, inverse bool) {
	c := d.begin("rotary")
	defer c.end()
	width := heads * headDim
	o := c.floats("dst", dst, T*width)
	v := c.floats("x", x, T*width)
	p := c.ints("pos", pos, T, math.MinInt32, math.MaxInt32+1)
	f := c.floats("freq", freq, pairs)
	if headDim%2 != 0 || 2*pairs > headDim {
		c.fail("head size %d is odd or less than %d pairs", headDim, pairs)
	}
	if c.failed {
		return
	}
	for t := range T {
		for h := range heads {
			copy(o[t*width+h*headDim+2*pairs:t*width+(h+1)*headDim], v[t*width+h*headDim+2*pairs:])
			for i := range pairs {
				sin, cos := math.Sincos(float64(p[t]) * f[i])
				if inverse {
					sin = -sin
				}
				at := t*width + h*headDim + i
				x1, x2 := v[at], v[at+pairs]
				o[at] = (x1*cos - x2*sin) * scale
				o[at+pairs] = (x2*cos + x1*sin) * scale
			}
		}
	}
}
