package cpu

import (
	"math"

	"triality/runtime/device"
)

// Fill sets every element to v.
func (d *Device) Fill(dst device.Buffer, v float64) {
	c := d.begin("fill")
	defer c.end()
	o := c.all("dst", dst)
	d.split(len(o), grain, func(from, to int) {
		s, f := o[from:to], float32(v)
		for i := range s {
			s[i] = f
		}
	})
}

// Copy copies src to dst.
func (d *Device) Copy(dst, src device.Buffer) {
	c := d.begin("copy")
	defer c.end()
	if b, ok := dst.(*buffer); ok && b.t == device.Int32 {
		copy(b.i, c.indices("src", src, len(b.i)))
		return
	}
	o := c.all("dst", dst)
	x := c.floats("src", src, len(o))
	if c.failed {
		return
	}
	d.split(len(o), grain, func(from, to int) { copy(o[from:to], x[from:to]) })
}

// Add: dst = a + b.
func (d *Device) Add(dst, a, b device.Buffer) { d.zip("add", d.k.add, dst, a, b) }

// Mul: dst = a · b.
func (d *Device) Mul(dst, a, b device.Buffer) { d.zip("mul", d.k.mul, dst, a, b) }

// SwiGLU: dst = silu(gate) · up.
func (d *Device) SwiGLU(dst, gate, up device.Buffer) { d.zip("swiglu", d.k.swiglu, dst, gate, up) }

func (d *Device) zip(op string, f func(dst, x, y []float32), dst, a, b device.Buffer) {
	c := d.begin(op)
	defer c.end()
	o := c.all("dst", dst)
	x := c.floats("a", a, len(o))
	y := c.floats("b", b, len(o))
	if c.failed {
		return
	}
	d.split(len(o), grain, func(from, to int) { f(o[from:to], x[from:to], y[from:to]) })
}

// SwiGLUGrad gives the gradients with respect to gate and up.
func (d *Device) SwiGLUGrad(dgate, dup, gate, up, dy device.Buffer) {
	c := d.begin("swiglu grad")
	defer c.end()
	dg := c.all("dgate", dgate)
	du := c.floats("dup", dup, len(dg))
	g := c.floats("gate", gate, len(dg))
	u := c.floats("up", up, len(dg))
	y := c.floats("dy", dy, len(dg))
	if c.failed {
		return
	}
	d.split(len(dg), grain/2, func(from, to int) {
		d.k.swigluGrad(dg[from:to], du[from:to], g[from:to], u[from:to], y[from:to])
	})
}

// Scale: dst = s · a.
func (d *Device) Scale(dst, a device.Buffer, s float64) {
	c := d.begin("scale")
	defer c.end()
	o := c.all("dst", dst)
	x := c.floats("a", a, len(o))
	if c.failed {
		return
	}
	d.split(len(o), grain, func(from, to int) { d.k.scale(o[from:to], x[from:to], float32(s)) })
}

// ScaleBy: dst = s[0] · a.
func (d *Device) ScaleBy(dst, a, s device.Buffer) {
	c := d.begin("scale by")
	defer c.end()
	o := c.all("dst", dst)
	x := c.floats("a", a, len(o))
	k := c.floats("s", s, 1)
	if c.failed {
		return
	}
	f := k[0] // read before dst is written: dst may be s
	d.split(len(o), grain, func(from, to int) { d.k.scale(o[from:to], x[from:to], f) })
}

// AddBias: dst[t,n] = a[t,n] + bias[n].
func (d *Device) AddBias(dst, a, bias device.Buffer, T, N int) {
	c := d.begin("add bias")
	defer c.end()
	o := c.floats("dst", dst, T*N)
	x := c.floats("a", a, T*N)
	b := c.floats("bias", bias, N)
	if c.failed || N == 0 {
		return
	}
	d.splitRows(T, N, func(from, to int) {
		for t := from; t < to; t++ {
			d.k.add(o[t*N:(t+1)*N], x[t*N:(t+1)*N], b)
		}
	})
}

// Dropout masks x by a counter-based generator.
func (d *Device) Dropout(dst, x, key device.Buffer, stream uint32, rate float64) {
	c := d.begin("dropout")
	defer c.end()
	o := c.all("dst", dst)
	v := c.floats("x", x, len(o))
	k := c.indices("key", key, 2)
	if c.failed {
		return
	}
	m := mask{stream: stream, key: [2]uint32{uint32(k[0]), uint32(k[1])}}
	// lane/2³² ≥ rate, in integers; no lane reaches a rate of 1
	least := math.Ceil(max(rate, 0) * (1 << 32))
	if least >= 1<<32 {
		d.split(len(o), grain, func(from, to int) { clear(o[from:to]) })
		return
	}
	m.least, m.inverse = uint32(least), float32(1/(1-rate))
	d.split(len(o), grain, func(from, to int) { d.k.dropout(o[from:to], v[from:to], uint32(from/4), &m) })
}

// mask is what the mask of a dropout depends on beside the element.
type mask struct {
	stream, least uint32
	key           [2]uint32
	inverse       float32 // of the share that is kept
}

// dropoutGo masks elements from 4·counter on.
func dropoutGo(dst, x []float32, counter uint32, m *mask) {
	for i := 0; i < len(dst); i += 4 {
		lanes := device.Philox([4]uint32{counter, 0, m.stream, 0}, m.key)
		counter++
		for j := i; j < min(i+4, len(dst)); j++ {
			if lanes[j-i] >= m.least {
				dst[j] = x[j] * m.inverse
			} else {
				dst[j] = 0
			}
		}
	}
}
