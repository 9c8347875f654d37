package reference

import (
	"math"
	"slices"

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
	for n := range N {
		row := x[n*K : (n+1)*K]
		s[n] = largest(row)
		for k, v := range row {
			q[n*K+k] = code(v, s[n])
		}
	}
}

func largest(x []float64) float64 {
	m := 0.0
	for _, v := range x {
		m = max(m, math.Abs(v))
	}
	return m
}

// code is v in steps of s/127, by the float32 arithmetic that every device shares.
func code(v, s float64) int8 {
	if s == 0 {
		return 0
	}
	f := 127 / float32(s)
	return int8(math.RoundToEven(float64(float32(v) * f)))
}

// DequantizeRows gives the values that codes stand for.
func (d *Device) DequantizeRows(dst, codes, scale device.Buffer, N, K int) {
	c := d.begin("dequantize rows")
	defer c.end()
	o, q, s := c.floats("dst", dst, N*K), c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	for i := range o {
		o[i] = float64(q[i]) * s[i/K] / 127
	}
}

// MatMulInt8 is LLM.int8().
func (d *Device) MatMulInt8(dst, x, codes, scale device.Buffer, T, N, K int, threshold float64) {
	c := d.begin("matmul int8")
	defer c.end()
	o, v := c.floats("dst", dst, T*N), c.floats("x", x, T*K)
	q, s := c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed {
		return
	}
	outlier := make([]bool, K)
	for i, e := range v {
		outlier[i%max(1, K)] = outlier[i%max(1, K)] || threshold > 0 && math.Abs(e) >= threshold
	}
	for t := range T {
		row, most := v[t*K:(t+1)*K], 0.0
		for k, e := range row {
			if !outlier[k] {
				most = max(most, math.Abs(e))
			}
		}
		for n := range N {
			sum, rest := 0, 0.0
			for k, e := range row {
				if w := q[n*K+k]; outlier[k] {
					rest += e * float64(w)
				} else {
					sum += int(code(e, most)) * int(w)
				}
			}
			o[t*N+n] = s[n] / 127 * (most/127*float64(sum) + rest)
		}
	}
}

// MatMulInt8Shared shares nothing, and complains where there would be nothing to share.
func (d *Device) MatMulInt8Shared(dst, x, codes, scale device.Buffer, T, N, K int, threshold float64, again, keep bool) {
	if d.share("matmul int8", x, T*K, again, keep) {
		d.MatMulInt8(dst, x, codes, scale, T, N, K, threshold)
	}
}

// share tells whether a product may go on: it may not where its n activations should be those of the product
// before, and are not.
func (d *Device) share(op string, x device.Buffer, n int, again, keep bool) bool {
	c := d.begin(op)
	defer c.end()
	v := c.floats("x", x, n)
	if again && !slices.Equal(v, d.shared) {
		c.fail("the activations are not those of the product before")
	}
	if d.shared = nil; keep {
		d.shared = slices.Clone(v)
	}
	return !c.failed
}

// MatMulInt8Grad: dx = dy·W (+ c).
func (d *Device) MatMulInt8Grad(dx, plus, dy, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul int8 grad")
	defer c.end()
	o, y := c.floats("dx", dx, T*K), c.floats("dy", dy, T*N)
	q, s := c.codes("codes", codes, N*K), c.floats("scale", scale, N)
	more := make([]float64, T*K)
	if plus != nil {
		more = c.floats("c", plus, T*K)
	}
	if c.failed {
		return
	}
	copy(o, more)
	for t := range T {
		row := o[t*K : (t+1)*K]
		for n := range N {
			f := y[t*N+n] * s[n] / 127
			for k := range row {
				row[k] += f * float64(q[n*K+k])
			}
		}
	}
}

// AdamW8Step is AdamWStep with states that are codes.
func (d *Device) AdamW8Step(p, g, m, v, mMax, vMax device.Buffer, k device.AdamW) {
	c := d.begin("adamw 8-bit")
	defer c.end()
	px := c.floats("p", p, -1)
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
	c1, c2 := 1-math.Pow(k.Beta1, float64(k.Step)), 1-math.Pow(k.Beta2, float64(k.Step))
	newM, newV := make([]float64, n), make([]float64, n)
	for i := range px {
		b := i / device.StateBlock
		newM[i] = k.Beta1*float64(signed[uint8(mx[i])])*ms[b] + (1-k.Beta1)*gx[i]
		newV[i] = k.Beta2*float64(unsigned[uint8(vx[i])])*vs[b] + (1-k.Beta2)*gx[i]*gx[i]
		px[i] -= k.LR * k.WeightDecay * px[i]
		px[i] -= k.LR * (newM[i] / c1) / (math.Sqrt(newV[i]/c2) + k.Eps)
	}
	for b := range blocks {
		from, to := b*device.StateBlock, min(n, (b+1)*device.StateBlock)
		ms[b], vs[b] = largest(newM[from:to]), largest(newV[from:to])
		for i := from; i < to; i++ {
			mx[i] = int8(device.MomentCode(&signed, float32(newM[i]), float32(ms[b])))
			vx[i] = int8(device.MomentCode(&unsigned, float32(newV[i]), float32(vs[b])))
		}
	}
}
