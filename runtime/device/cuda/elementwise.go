package cuda

import (
	"math"

	"triality/runtime/device"
)

// Fill sets every element to v.
func (d *Device) Fill(dst device.Buffer, v float64) {
	c := d.begin("fill")
	defer c.end()
	if o := c.wholeOperand("dst", dst); !c.failed {
		c.each(c.kernel("fill"), c.spans(o.n), o.at, i64(o.n), f32(v))
	}
}

// Copy copies src to dst, from one float type to another where they differ.
func (d *Device) Copy(dst, src device.Buffer) {
	c := d.begin("copy")
	defer c.end()
	o, x := c.own("dst", dst), c.own("src", src)
	switch {
	case c.failed:
		return
	case o.t == x.t:
		from := c.first("src", x, o.n)
		if !c.failed {
			copy(o.host, x.host) // of indices
			c.copy(o.at, from, size(o.t)*o.n)
		}
	case o.t.IsFloat() && x.t.IsFloat():
		c.each("copy"+suffix(x.t)+suffix(o.t), (o.n+3)/4, o.at, c.first("src", x, o.n), i64(o.n))
	default:
		c.fail("%v elements cannot become %v", x.t, o.t)
	}
}

// copy copies so many bytes.
func (c *call) copy(dst, src uint64, bytes int) {
	if !c.failed && bytes > 0 && dst != src {
		c.check("copy", c.d.driver.copyWithin(dst, src, int64(bytes), c.d.stream))
	}
}

// Add: dst = a + b.
func (d *Device) Add(dst, a, b device.Buffer) { d.zip("add", dst, a, b) }

// Mul: dst = a · b.
func (d *Device) Mul(dst, a, b device.Buffer) { d.zip("mul", dst, a, b) }

// SwiGLU: dst = silu(gate) · up.
func (d *Device) SwiGLU(dst, gate, up device.Buffer) { d.zip("swiglu", dst, gate, up) }

func (d *Device) zip(kernel string, dst, a, b device.Buffer) {
	c := d.begin(kernel)
	defer c.end()
	o := c.wholeOperand("dst", dst)
	if c.failed {
		return
	}
	x, y := c.operand("a", a, o.n), c.operand("b", b, o.n)
	c.each(c.kernel(kernel), c.spans(o.n), o.at, x, y, i64(o.n))
}

// SwiGLUGrad gives the gradients with respect to gate and up.
func (d *Device) SwiGLUGrad(dgate, dup, gate, up, dy device.Buffer) {
	c := d.begin("swiglu grad")
	defer c.end()
	dg := c.wholeOperand("dgate", dgate)
	if c.failed {
		return
	}
	du, g, u, y := c.operand("dup", dup, dg.n), c.operand("gate", gate, dg.n), c.operand("up", up, dg.n), c.operand("dy", dy, dg.n)
	c.each(c.kernel("swiglu_grad"), c.spans(dg.n), dg.at, du, g, u, y, i64(dg.n))
}

// Scale: dst = s · a.
func (d *Device) Scale(dst, a device.Buffer, s float64) {
	c := d.begin("scale")
	defer c.end()
	o := c.wholeOperand("dst", dst)
	if c.failed {
		return
	}
	x := c.operand("a", a, o.n)
	c.each(c.kernel("scale"), c.spans(o.n), o.at, x, i64(o.n), f32(s))
}

// ScaleBy: dst = s[0] · a.
func (d *Device) ScaleBy(dst, a, s device.Buffer) {
	c := d.begin("scale by")
	defer c.end()
	o := c.wholeOperand("dst", dst)
	if c.failed {
		return
	}
	x, k := c.operand("a", a, o.n), c.floats("s", s, 1)
	if k >= o.at && k < o.at+uint64(size(o.t)*o.n) { // one block may write s before another has read it
		own := c.temporary(4)
		c.copy(own, k, 4)
		k = own
	}
	c.each(c.kernel("scale_by"), c.spans(o.n), o.at, x, k, i64(o.n))
}

// AddBias: dst[t,n] = a[t,n] + bias[n].
func (d *Device) AddBias(dst, a, bias device.Buffer, T, N int) {
	c := d.begin("add bias")
	defer c.end()
	o, x, b := c.operand("dst", dst, T*N), c.operand("a", a, T*N), c.floats("bias", bias, N)
	c.perWideRow("add_bias", T, N, o, x, b, i32(N))
}

// Dropout masks x by a counter-based generator.
func (d *Device) Dropout(dst, x, key device.Buffer, stream uint32, rate float64) {
	c := d.begin("dropout")
	defer c.end()
	o := c.wholeOperand("dst", dst)
	if c.failed {
		return
	}
	v := c.operand("x", x, o.n)
	_, k := c.indices("key", key, 2)
	// lane/2³² ≥ rate, in integers; no lane reaches a rate of 1
	threshold := math.Ceil(max(rate, 0) * (1 << 32))
	if threshold >= 1<<32 {
		c.zero(o.at, size(o.t)*o.n)
		return
	}
	c.each(c.kernel("dropout"), (o.n+3)/4, o.at, v, k, i64(o.n), uint64(stream), uint64(uint32(threshold)), f32(1/(1-rate)))
}
