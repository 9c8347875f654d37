package cpu

import "triality/runtime/device"

// QuantizeRowsFP8 gives e4m3 codes and a scale for each row.
func (d *Device) QuantizeRowsFP8(codes, scale, w device.Buffer, N, K int) {
	c := d.begin("quantize rows to fp8")
	defer c.end()
	q, s, x := c.codes("codes", codes, N*K), c.floats("scale", scale, N), c.floats("w", w, N*K)
	if c.failed {
		return
	}
	d.splitRows(N, K, func(from, to int) {
		for n := from; n < to; n++ {
			row := x[n*K : (n+1)*K]
			var f float32
			s[n], f = device.E4M3Scale(numberMagnitude(row))
			for k, v := range row {
				q[n*K+k] = int8(device.ToE4M3(v * f))
			}
		}
	})
}

// numberMagnitude is magnitude with NaN passed over.
func numberMagnitude(x []float32) float32 {
	m := float32(0)
	for _, v := range x {
		if v > m {
			m = v
		} else if -v > m {
			m = -v
		}
	}
	return m
}

// dequantizeFP8 writes rows of codes times their scales.
func dequantizeFP8(dst []float32, codes []int8, scale []float32, K int) {
	for n, s := range scale {
		row := dst[n*K : (n+1)*K]
		for k, v := range codes[n*K : (n+1)*K] {
			row[k] = s * device.E4M3[uint8(v)]
		}
	}
}

// DequantizeRowsFP8 gives the values that codes stand for.
func (d *Device) DequantizeRowsFP8(dst, codes, scale device.Buffer, N, K int) {
	c := d.begin("dequantize rows of fp8")
	defer c.end()
	o, q, s := c.floats("dst", dst, N*K), c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	d.splitRows(N, K, func(from, to int) { dequantizeFP8(o[from*K:to*K], q[from*K:to*K], s[from:to], K) })
}

// MatMulFP8 multiplies floats: the activations, put back from their codes, by the weights that theirs stand
// for, some rows at a time. Products of the two are those of the codes but for the rounding of the sums.
func (d *Device) MatMulFP8(dst, x, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul fp8")
	defer c.end()
	o, v := c.floats("dst", dst, T*N), c.floats("x", x, T*K)
	q, s := c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	rounded := d.own().floats(requantized, T*K)
	d.splitRows(T, K, func(from, to int) {
		for t := from; t < to; t++ {
			roundToFP8(rounded[t*K:(t+1)*K], v[t*K:(t+1)*K])
		}
	})
	d.eachWeightBlock(dequantizeFP8, q, s, N, K, func(w []float32, from, rows int) {
		shape := plain(rounded, w, T, rows, K, false, true, false)
		shape.ldc = N
		d.matmul(o[from:], shape)
	})
}

// roundToFP8 is what the codes of a row stand for.
func roundToFP8(dst, x []float32) {
	s, f := device.E4M3Scale(numberMagnitude(x))
	for i, v := range x {
		dst[i] = s * device.E4M3[device.ToE4M3(v*f)]
	}
}

// MatMulFP8Grad: dx = dy·W (+ c). The scales of W's rows are dy's, as its codes are of their products.
func (d *Device) MatMulFP8Grad(dx, plus, dy, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul fp8 grad")
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
	rounded := d.own().floats(requantized, T*N)
	d.splitRows(T, N, func(from, to int) {
		for t := from; t < to; t++ {
			row := rounded[t*N : (t+1)*N]
			for n, v := range y[t*N : (t+1)*N] {
				row[n] = v * s[n]
			}
			roundToFP8(row, row)
		}
	})
	values := func(dst []float32, codes []int8, _ []float32, _ int) {
		for i, v := range codes {
			dst[i] = device.E4M3[uint8(v)]
		}
	}
	d.eachWeightBlock(values, q, s, N, K, func(w []float32, from, rows int) {
		d.matmul(o, matmulShape{m: T, n: K, k: rows, a: matrix{rounded[from:], N, false}, b: matrix{w, K, true}, ldc: K, add: from > 0 || plus != nil})
	})
}
