package cuda

import (
	"math"

	"triality/runtime/device"
)

// Fill sets every element to v.
func (d *Device) Fill(dst device.Buffer, v float64) {
	c := d.begin("fill")
	defer c.end()
	if o := c.whole("dst", dst); !c.failed {
		c.each("fill", o.n, o.at, i64(o.n), f32(v))
	}
}

// Copy copies src to dst.
func (d *Device) Copy(dst, src device.Buffer) {
	c := d.begin("copy")
	defer c.end()
	if b, ok := dst.(*buffer); ok && b != nil && b.d == d && b.t == device.Int32 {
		x, at := c.indices("src", src, b.n)
		if !c.failed {
			copy(b.host, x)
			c.copy(b.at, at, b.n)
		}
		return
	}
	o := c.whole("dst", dst)
	if c.failed {
		return
	}
	x := c.floats("src", src, o.n)
	c.copy(o.at, x, o.n)
}

// copy copies n elements.
func (c *call) copy(dst, src uint64, n int) {
	if !c.failed && n > 0 && dst != src {
		c.check("copy", c.d.driver.copyWithin(dst, src, 4*int64(n), c.d.stream))
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
	o := c.whole("dst", dst)
	if c.failed {
		return
	}
	x, y := c.floats("a", a, o.n), c.floats("b", b, o.n)
	c.each(kernel, o.n, o.at, x, y, i64(o.n))
}

// SwiGLUGrad gives the gradients with respect to gate and up.
func (d *Device) SwiGLUGrad(dgate, dup, gate, up, dy device.Buffer) {
	c := d.begin("swiglu grad")
	defer c.end()
	dg := c.whole("dgate", dgate)
	if c.failed {
		return
	}
	du, g, u, y := c.floats("dup", dup, dg.n), c.floats("gate", gate, dg.n), c.floats("up", up, dg.n), c.floats("dy", dy, dg.n)
	c.each("swiglu_grad", dg.n, dg.at, du, g, u, y, i64(dg.n))
}

// Scale: dst = s · a.
func (d *Device) Scale(dst, a device.Buffer, s float64) {
	c := d.begin("scale")
	defer c.end()
	o := c.whole("dst", dst)
	if c.failed {
		return
	}
	x := c.floats("a", a, o.n)
	c.each("scale", o.n, o.at, x, i64(o.n), f32(s))
}

// ScaleBy: dst = s[0] · a.
func (d *Device) ScaleBy(dst, a, s device.Buffer) {
	c := d.begin("scale by")
	defer c.end()
	o := c.whole("dst", dst)
	if c.failed {
		return
	}
	x, k := c.floats("a", a, o.n), c.floats("s", s, 1)
	if k >= o.at && k < o.at+4*uint64(o.n) { // one block may write s before another has read it
		own := c.temporary(4)
		c.copy(own, k, 1)
		k = own
	}
	c.each("scale_by", o.n, o.at, x, k, i64(o.n))
}

// AddBias: dst[t,n] = a[t,n] + bias[n].
func (d *Device) AddBias(dst, a, bias device.Buffer, T, N int) {
	c := d.begin("add bias")
	defer c.end()
	o, x, b := c.floats("dst", dst, T*N), c.floats("a", a, T*N), c.floats("bias", bias, N)
	c.perRow("add_bias", T, N, o, x, b, i32(N))
}

// Dropout masks x by a counter-based generator.
func (d *Device) Dropout(dst, x, key device.Buffer, stream uint32, rate float64) {
	c := d.begin("dropout")
	defer c.end()
	o := c.whole("dst", dst)
	if c.failed {
		return
	}
	v := c.floats("x", x, o.n)
	_, k := c.indices("key", key, 2)
	// lane/2³² ≥ rate, in integers; no lane reaches a rate of 1
	threshold := math.Ceil(max(rate, 0) * (1 << 32))
	if threshold >= 1<<32 {
		c.zero(o.at, 4*o.n)
		return
	}
	c.each("dropout", (o.n+3)/4, o.at, v, k, i64(o.n), uint64(stream), uint64(uint32(threshold)), f32(1/(1-rate)))
}
