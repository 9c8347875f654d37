package reference

import (
	"slices"

	"triality/runtime/device"
)

// TakesLowRank is true of everything.
func (*Device) TakesLowRank(N, R int, t device.DType) bool { return true }

// SwiGLUAdapted: dst = silu(gate + g)·(up + u).
func (d *Device) SwiGLUAdapted(dst, gate, up device.Buffer, g, u device.LowRank, T, N, R int) {
	c := d.begin("adapted swiglu")
	defer c.end()
	o := c.floats("dst", dst, T*N)
	x, y := c.plus("gate", gate, g, T, N, R), c.plus("up", up, u, T, N, R)
	if c.failed {
		return
	}
	for i := range o {
		o[i] = x[i] * sigmoid(x[i]) * y[i]
	}
}

// SwiGLUGradAdapted is SwiGLUGrad of the sums.
func (d *Device) SwiGLUGradAdapted(dgate, dup, gate, up, dy device.Buffer, g, u, y device.LowRank, T, N, R int) {
	c := d.begin("adapted swiglu grad")
	defer c.end()
	dg, du := c.floats("dgate", dgate, T*N), c.floats("dup", dup, T*N)
	a, b, e := c.plus("gate", gate, g, T, N, R), c.plus("up", up, u, T, N, R), c.plus("dy", dy, y, T, N, R)
	if c.failed {
		return
	}
	for i := range dg {
		s := sigmoid(a[i])
		dg[i] = e[i] * b[i] * s * (1 + a[i]*(1-s))
		du[i] = e[i] * a[i] * s
	}
}

// plus is x[T,N] plus a term.
func (c *call) plus(name string, x device.Buffer, l device.LowRank, T, N, R int) []float64 {
	sum := slices.Clone(c.floats(name, x, T*N))
	if l.A == nil {
		return sum
	}
	a, b := c.floats(name+"'s a", l.A, T*R), c.floats(name+"'s b", l.B, N*R)
	if c.failed {
		return nil
	}
	for t := range T {
		for n := range N {
			p := 0.0
			for r := range R {
				at := n*R + r
				if l.Turned {
					at = r*N + n
				}
				p += a[t*R+r] * b[at]
			}
			sum[t*N+n] += l.S * p
		}
	}
	return sum
}
