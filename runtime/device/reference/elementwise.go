package reference

import (
	"math"

	"triality/runtime/device"
)

// Fill sets every element to v.
func (d *Device) Fill(dst device.Buffer, v float64) {
	c := d.begin("fill")
	defer c.end()
	for i, o := 0, c.floats("dst", dst, -1); i < len(o); i++ {
		o[i] = v
	}
}

// Copy copies src to dst.
func (d *Device) Copy(dst, src device.Buffer) {
	c := d.begin("copy")
	defer c.end()
	if b, ok := dst.(*buffer); ok && b.t == device.Int32 {
		if x := c.ints("src", src, len(b.i), math.MinInt32, math.MaxInt32+1); !c.failed {
			copy(b.i, x)
		}
		return
	}
	o := c.floats("dst", dst, -1)
	if x := c.floats("src", src, len(o)); !c.failed {
		copy(o, x)
	}
}

// Add: dst = a + b.
func (d *Device) Add(dst, a, b device.Buffer) {
	d.zip("add", dst, a, b, func(x, y float64) float64 { return x + y })
}

// Mul: dst = a · b.
func (d *Device) Mul(dst, a, b device.Buffer) {
	d.zip("mul", dst, a, b, func(x, y float64) float64 { return x * y })
}

// Scale: dst = s · a.
func (d *Device) Scale(dst, a device.Buffer, s float64) {
	d.zip("scale", dst, a, a, func(x, _ float64) float64 { return s * x })
}

// SwiGLU: dst = silu(gate) · up.
func (d *Device) SwiGLU(dst, gate, up device.Buffer) {
	d.zip("swiglu", dst, gate, up, func(g, u float64) float64 { return g * sigmoid(g) * u })
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func (d *Device) zip(op string, dst, a, b device.Buffer, f func(x, y float64) float64) {
	c := d.begin(op)
	defer c.end()
	o := c.floats("dst", dst, -1)
	x := c.floats("a", a, len(o))
	y := c.floats("b", b, len(o))
	if c.failed {
		return
	}
	for i := range o {
		o[i] = f(x[i], y[i])
	}
}

// ScaleBy: dst = s[0] · a.
func (d *Device) ScaleBy(dst, a, s device.Buffer) {
	c := d.begin("scale by")
	defer c.end()
	o := c.floats("dst", dst, -1)
	x := c.floats("a", a, len(o))
	k := c.floats("s", s, 1)
	if c.failed {
		return
	}
	f := k[0] // read before dst is written: dst may be s
	for i := range o {
		o[i] = f * x[i]
	}
}

// AddBias: dst[t,n] = a[t,n] + bias[n].
func (d *Device) AddBias(dst, a, bias device.Buffer, T, N int) {
	c := d.begin("add bias")
	defer c.end()
	o := c.floats("dst", dst, T*N)
	x := c.floats("a", a, T*N)
	b := c.floats("bias", bias, N)
	if c.failed {
		return
	}
	for t := range T {
		for n := range N {
			o[t*N+n] = x[t*N+n] + b[n]
		}
	}
}

// Dropout masks x by a counter-based generator.
func (d *Device) Dropout(dst, x, key device.Buffer, stream uint32, rate float64) {
	c := d.begin("dropout")
	defer c.end()
	o := c.floats("dst", dst, -1)
	v := c.floats("x", x, len(o))
	k := c.ints("key", key, 2, math.MinInt32, math.MaxInt32+1)
	if c.failed {
		return
	}
	for i := range o {
		lanes := device.Philox([4]uint32{uint32(i / 4), 0, stream, 0}, [2]uint32{uint32(k[0]), uint32(k[1])})
		if float64(lanes[i%4])/(1<<32) >= rate {
			o[i] = v[i] / (1 - rate)
		} else {
			o[i] = 0
		}
	}
}

// SwiGLUGrad: with s = sigmoid(gate), dup = dy·gate·s and dgate = dy·up·s·(1 + gate·(1−s)).
func (d *Device) SwiGLUGrad(dgate, dup, gate, up, dy device.Buffer) {
	c := d.begin("swiglu grad")
	defer c.end()
	dg := c.floats("dgate", dgate, -1)
	du := c.floats("dup", dup, len(dg))
	g := c.floats("gate", gate, len(dg))
	u := c.floats("up", up, len(dg))
	y := c.floats("dy", dy, len(dg))
	if c.failed {
		return
	}
	for i := range dg {
		gi, ui, yi, s := g[i], u[i], y[i], sigmoid(g[i])
		dg[i] = yi * ui * s * (1 + gi*(1-s))
		du[i] = yi * gi * s
	}
}
