package cpu

import (
	"math"

	"triality/runtime/device"
)

// QuantizeRows gives int8 codes and a scale for each row.
func (d *Device) QuantizeRows(codes, scale, w device.Buffer, N, K int) {
	c := d.begin("quantize rows")
	defer c.end()
	q, s, x := c.codes("codes", codes, N*K), c.floats("scale", scale, N), c.floats("w", w, N*K)
	if c.failed {
		return
	}
	d.splitRows(N, K, func(from, to int) {
		for n := from; n < to; n++ {
			row := x[n*K : (n+1)*K]
			s[n] = magnitude(row)
			f := codeFactor(s[n])
			for k, v := range row {
				q[n*K+k] = int8(math.RoundToEven(float64(v * f)))
			}
		}
	})
}

func magnitude(x []float32) float32 {
	m := float32(0)
	for _, v := range x {
		m = max(m, v, -v)
	}
	return m
}

// codeFactor brings a row whose largest magnitude is s to codes.
func codeFactor(s float32) float32 {
	if s == 0 {
		return 0
	}
	return 127 / s
}

// dequantize writes rows of codes times their scales.
func dequantize(dst []float32, codes []int8, scale []float32, K int) {
	for n, s := range scale {
		f := s / 127
		row := dst[n*K : (n+1)*K]
		for k, v := range codes[n*K : (n+1)*K] {
			row[k] = f * float32(v)
		}
	}
}

// DequantizeRows gives the values that codes stand for.
func (d *Device) DequantizeRows(dst, codes, scale device.Buffer, N, K int) {
	c := d.begin("dequantize rows")
	defer c.end()
	o, q, s := c.floats("dst", dst, N*K), c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	d.splitRows(N, K, func(from, to int) { dequantize(o[from*K:to*K], q[from*K:to*K], s[from:to], K) })
}

// weightBlock is how many rows of a quantized matrix are held as floats at once: 16 MiB of them.
func weightBlock(K int) int { return max(16, (4<<20)/max(1, K)) }

// MatMulInt8 is LLM.int8() in float32: the activations are put back to floats after their
// quantization, outliers as they were, and so are the weights, some rows at a time. Products of the
// two are the same as of the codes but for the rounding of the sums.
func (d *Device) MatMulInt8(dst, x, codes, scale device.Buffer, T, N, K int, threshold float64) {
	c := d.begin("matmul int8")
	defer c.end()
	o, v := c.floats("dst", dst, T*N), c.floats("x", x, T*K)
	q, s := c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	rounded := d.own().floats(requantized, T*K)
	d.requantize(rounded, v, T, K, float32(threshold))
	d.eachWeightBlock(dequantize, q, s, N, K, func(w []float32, from, rows int) {
		shape := plain(rounded, w, T, rows, K, false, true, false)
		shape.ldc = N
		d.matmul(o[from:], shape)
	})
}

// requantize rounds each row of x to its codes, but for the columns with an outlier.
func (d *Device) requantize(dst, x []float32, T, K int, threshold float32) {
	outlier := make([]bool, K)
	if threshold > 0 {
		d.split(K, 256, func(from, to int) {
			for t := range T {
				for k, v := range x[t*K+from : t*K+to] {
					if v >= threshold || -v >= threshold {
						outlier[from+k] = true
					}
				}
			}
		})
	}
	d.splitRows(T, K, func(from, to int) {
		for t := from; t < to; t++ {
			row, out, most := x[t*K:(t+1)*K], dst[t*K:(t+1)*K], float32(0)
			for k, v := range row {
				if !outlier[k] {
					most = max(most, v, -v)
				}
			}
			f, back := codeFactor(most), most/127
			for k, v := range row {
				if outlier[k] {
					out[k] = v
				} else {
					out[k] = back * float32(math.RoundToEven(float64(v*f)))
				}
			}
		}
	})
}

// eachWeightBlock calls f with rows [from, from+rows) of the matrix that put makes of the codes.
func (d *Device) eachWeightBlock(put func(dst []float32, codes []int8, scale []float32, K int), codes []int8, scale []float32, N, K int, f func(w []float32, from, rows int)) {
	size := weightBlock(K)
	for from := 0; from < N; from += size {
		rows := min(size, N-from)
		w := d.own().floats(dequantized, rows*K)
		d.splitRows(rows, K, func(a, b int) {
			put(w[a*K:b*K], codes[(from+a)*K:(from+b)*K], scale[from+a:from+b], K)
		})
		f(w, from, rows)
	}
}

// MatMulInt8Grad: dx = dy·W (+ c).
func (d *Device) MatMulInt8Grad(dx, plus, dy, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul int8 grad")
	defer c.end()
	o, y := c.floats("dx", dx, T*K), c.floats("dy", dy, T*N)
	q, s := c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if plus != nil {
		more := c.floats("c", plus, T*K)
		if !c.failed && plus != dx {
			copy(o, more)
		}
	}
	if c.failed {
		return
	}
	if N == 0 && plus == nil {
		clear(o)
	}
	d.eachWeightBlock(dequantize, q, s, N, K, func(w []float32, from, rows int) {
		d.matmul(o, matmulShape{m: T, n: K, k: rows, a: matrix{y[from:], N, false}, b: matrix{w, K, true}, ldc: K, add: from > 0 || plus != nil})
	})
}

// AdamW8Step is AdamWStep with states that are codes.
func (d *Device) AdamW8Step(p, g, m, v, mMax, vMax device.Buffer, k device.AdamW) {
	c := d.begin("adamw 8-bit")
	defer c.end()
	px := c.all("p", p)
	n := len(px)
	blocks := (n + device.StateBlock - 1) / device.StateBlock
	gx, mx, vx := c.floats("g", g, n), c.codes("m", m, n), c.codes("v", v, n)
	ms, vs := c.floats("mMax", mMax, blocks), c.floats("vMax", vMax, blocks)
	if k.Step < 1 {
		c.fail("step %d; steps count from 1", k.Step)
	}
	if c.failed {
		return
	}
	signed, unsigned := device.DynamicMap(true), device.DynamicMap(false)
	factors := newAdamConstants(k)
	d.splitRows(blocks, device.StateBlock, func(first, last int) {
		var newM, newV [device.StateBlock]float32
		for b := first; b < last; b++ {
			from, to := b*device.StateBlock, min(n, (b+1)*device.StateBlock)
			nm, nv := newM[:to-from], newV[:to-from]
			for i := range nm {
				nm[i], nv[i] = signed[uint8(mx[from+i])]*ms[b], unsigned[uint8(vx[from+i])]*vs[b]
			}
			d.k.adamw(px[from:to], gx[from:to], nm, nv, &factors)
			ms[b], vs[b] = magnitude(nm), magnitude(nv)
			for i := range nm {
				mx[from+i] = int8(device.MomentCode(&signed, nm[i], ms[b]))
				vx[from+i] = int8(device.MomentCode(&unsigned, nv[i], vs[b]))
			}
		}
	})
}
