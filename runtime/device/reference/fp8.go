package reference

import (
	"math"

	"triality/runtime/device"
)

// QuantizeRowsFP8 gives e4m3 codes and a scale for each row.
func (d *Device) QuantizeRowsFP8(codes, scale, w device.Buffer, N, K int) {
	c := d.begin("quantize rows to fp8")
	defer c.end()
	q, s, x := c.codes("codes", codes, N*K), c.floats("scale", scale, N), c.floats("w", w, N*K)
	if c.failed {
		return
	}
	for n := range N {
		row, most := e4m3Row(x[n*K:(n+1)*K], nil)
		s[n] = most
		for k, code := range row {
			q[n*K+k] = int8(code)
		}
	}
}

// e4m3Row gives the codes and the scale of a row, times factors where those are not nil, by the float32
// arithmetic that every device shares.
func e4m3Row(x, factors []float64) (codes []uint8, scale float64) {
	row, most := make([]float32, len(x)), float32(0)
	for i, v := range x {
		if row[i] = float32(v); factors != nil {
			row[i] *= float32(factors[i])
		}
		if a := float32(math.Abs(float64(row[i]))); a > most {
			most = a
		}
	}
	s, f := device.E4M3Scale(most)
	codes = make([]uint8, len(x))
	for i, v := range row {
		codes[i] = device.ToE4M3(v * f)
	}
	return codes, float64(s)
}

// DequantizeRowsFP8 gives the values that codes stand for.
func (d *Device) DequantizeRowsFP8(dst, codes, scale device.Buffer, N, K int) {
	c := d.begin("dequantize rows of fp8")
	defer c.end()
	o, q, s := c.floats("dst", dst, N*K), c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	for i := range o {
		o[i] = s[i/K] * float64(device.E4M3[uint8(q[i])])
	}
}

// MatMulFP8 is a product of codes.
func (d *Device) MatMulFP8(dst, x, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul fp8")
	defer c.end()
	o, v := c.floats("dst", dst, T*N), c.floats("x", x, T*K)
	q, s := c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	for t := range T {
		row, factor := e4m3Row(v[t*K:(t+1)*K], nil)
		for n := range N {
			sum := 0.0
			for k, code := range row {
				sum += float64(device.E4M3[code]) * float64(device.E4M3[uint8(q[n*K+k])])
			}
			o[t*N+n] = factor * s[n] * sum
		}
	}
}

// MatMulFP8Shared shares nothing, and complains where there would be nothing to share.
func (d *Device) MatMulFP8Shared(dst, x, codes, scale device.Buffer, T, N, K int, again, keep bool) {
	if d.share("matmul fp8", x, T*K, again, keep) {
		d.MatMulFP8(dst, x, codes, scale, T, N, K)
	}
}

// MatMulFP8Grad: dx = dy·W (+ c).
func (d *Device) MatMulFP8Grad(dx, plus, dy, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul fp8 grad")
	defer c.end()
	o, y := c.floats("dx", dx, T*K), c.floats("dy", dy, T*N)
	q, s := c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	var more []float64
	if plus != nil {
		more = c.floats("c", plus, T*K)
	}
	if c.failed {
		return
	}
	for t := range T {
		row, factor := e4m3Row(y[t*N:(t+1)*N], s)
		for k := range K {
			sum := 0.0
			for n, code := range row {
				sum += float64(device.E4M3[code]) * float64(device.E4M3[uint8(q[n*K+k])])
			}
			sum *= factor
			if more != nil {
				sum += more[t*K+k]
			}
			o[t*K+k] = sum
		}
	}
}
