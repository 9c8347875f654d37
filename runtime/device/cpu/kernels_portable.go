package cpu

import (
	"math"
	"unsafe"
)

// portable is the kernel set in plain Go: the fallback, and the twin the others are tested against.
var portable = kernels{
	name: "none", level: Portable, mr: 4, nr: 4,
	tile: tileGo, transpose: transposeGo, copyRows: copyRowsGo,
	dot: dotGo, dot64: dot64Go, dot4: dot4Go,
	add: addGo, mul: mulGo, scale: scaleGo, axpy: axpyGo, axpby: axpbyGo, axxpy: axxpyGo,
	largest: largestGo, expSum: expSumGo, softmaxGrad: softmaxGradGo,
	swiglu: swigluGo, swigluGrad: swigluGradGo,
	blockMul: blockMulGo, outer8: outer8Go, adamw: adamwGo, dropout: dropoutGo,
}

func tileGo(k int, ap, bp, cp *float32, ldc int, add bool) {
	a, b := unsafe.Slice(ap, 4*k), unsafe.Slice(bp, 4*k)
	c := unsafe.Slice(cp, 3*ldc+4)
	for half := 0; half < 4; half += 2 { // two rows at a time fit the scalar registers
		var s00, s01, s02, s03, s10, s11, s12, s13 float32
		for i := 0; i+4 <= len(b); i += 4 {
			y, x := b[i:i+4:i+4], a[i+half:i+half+2:i+half+2]
			x0, x1 := x[0], x[1]
			s00 += x0 * y[0]
			s01 += x0 * y[1]
			s02 += x0 * y[2]
			s03 += x0 * y[3]
			s10 += x1 * y[0]
			s11 += x1 * y[1]
			s12 += x1 * y[2]
			s13 += x1 * y[3]
		}
		r0, r1 := c[half*ldc:half*ldc+4], c[(half+1)*ldc:(half+1)*ldc+4]
		if add {
			s00, s01, s02, s03 = s00+r0[0], s01+r0[1], s02+r0[2], s03+r0[3]
			s10, s11, s12, s13 = s10+r1[0], s11+r1[1], s12+r1[2], s13+r1[3]
		}
		r0[0], r0[1], r0[2], r0[3] = s00, s01, s02, s03
		r1[0], r1[1], r1[2], r1[3] = s10, s11, s12, s13
	}
}

func transposeGo(dst *float32, step int, src *float32, ld, lanes, rows, cols int) {
	if cols == 0 {
		return
	}
	d, s := unsafe.Slice(dst, (cols-1)*step+lanes), unsafe.Slice(src, (rows-1)*ld+cols)
	for i := range lanes {
		row := s[min(i, rows-1)*ld:][:cols]
		for k, v := range row {
			d[k*step+i] = v
		}
	}
}

func copyRowsGo(dst *float32, step int, src *float32, ld, lanes, k int) {
	d, s := unsafe.Slice(dst, k*step), unsafe.Slice(src, (k-1)*ld+lanes)
	for j := range k {
		row := d[j*step : (j+1)*step]
		copy(row, s[j*ld:j*ld+lanes])
		clear(row[lanes:])
	}
}

func dotGo(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func dot64Go(x, y []float32) float64 {
	var s0, s1 float64
	y = y[:len(x)]
	i := 0
	for ; i+2 <= len(x); i += 2 {
		s0 += float64(x[i]) * float64(y[i])
		s1 += float64(x[i+1]) * float64(y[i+1])
	}
	if i < len(x) {
		s0 += float64(x[i]) * float64(y[i])
	}
	return s0 + s1
}

func dot4Go(out *[4]float32, x []float32, w *float32, ld int) {
	r := unsafe.Slice(w, 3*ld+len(x))
	for i := range out {
		out[i] = dotGo(x, r[i*ld:])
	}
}

func addGo(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + y[i]
	}
}

func mulGo(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

func scaleGo(dst, x []float32, a float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = a * x[i]
	}
}

func axpyGo(y, x []float32, a float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += a * x[i]
	}
}

func axpbyGo(dst, x, y []float32, a, b float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = a*x[i] + b*y[i]
	}
}

func axxpyGo(z, x, y []float32, a float32) {
	x, y = x[:len(z)], y[:len(z)]
	for i := range z {
		z[i] += a * x[i] * y[i]
	}
}

func largestGo(x []float32) float32 {
	m := x[0]
	for _, v := range x[1:] {
		m = max(m, v)
	}
	return m
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func expSumGo(dst, x []float32, shift float32) float32 {
	x = x[:len(dst)]
	var s float64
	for i := range dst {
		e := exp(x[i] - shift)
		if x[i]-shift < -69 {
			e = 0
		}
		dst[i] = e
		s += float64(e)
	}
	return float32(s)
}

func softmaxGradGo(ds, p, dp []float32, mean, scale float32) {
	p, dp = p[:len(ds)], dp[:len(ds)]
	for i := range ds {
		ds[i] = p[i] * (dp[i] - mean) * scale
	}
}

func swigluGo(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i, g := range gate {
		dst[i] = g / (1 + exp(-g)) * up[i]
	}
}

func swigluGradGo(dgate, dup, gate, up, dy []float32) {
	for i := range dgate {
		g, u, y := gate[i], up[i], dy[i]
		s := 1 / (1 + exp(-g))
		dgate[i] = y * u * s * (1 + g*(1-s))
		dup[i] = y * g * s
	}
}

func blockMulGo(dst, x []float32, m *[64]float32) {
	for at := 0; at+8 <= len(dst); at += 8 {
		var y [8]float32
		for j, v := range x[at : at+8] {
			for i := range 8 {
				y[i] += m[8*j+i] * v
			}
		}
		copy(dst[at:], y[:])
	}
}

func outer8Go(m *[64]float32, x, y []float32) {
	for at := 0; at+8 <= len(x); at += 8 {
		v := x[at : at+8]
		for i, u := range y[at : at+8] {
			for j := range 8 {
				m[8*i+j] += u * v[j]
			}
		}
	}
}

func adamwGo(p, g, m, v []float32, c *adamConstants) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		mi := c.beta1*m[i] + c.oneBeta1*g[i]
		vi := c.beta2*v[i] + c.oneBeta2*g[i]*g[i]
		m[i], v[i] = mi, vi
		root := float32(math.Sqrt(float64(vi)))*c.rootScale + c.eps
		p[i] = p[i]*c.decay - c.step*mi/root
	}
}
