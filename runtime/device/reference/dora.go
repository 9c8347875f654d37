package reference

import (
	"math"

	"triality/runtime/device"
)

// DivideByRowNorms: dst[n] = m[n] / sqrt(Σ_k w[n,k]²).
func (d *Device) DivideByRowNorms(dst, m, w device.Buffer, N, K int) {
	c := d.begin("divide by row norms")
	defer c.end()
	o := c.floats("dst", dst, N)
	v := c.floats("m", m, N)
	x := c.floats("w", w, N*K)
	if c.failed {
		return
	}
	for n := range N {
		row := x[n*K : (n+1)*K]
		o[n] = v[n] / math.Sqrt(dot(row, row))
	}
}

// ScaleColumns: dst[t,n] = a[t,n]·s[n].
func (d *Device) ScaleColumns(dst, a, s device.Buffer, T, N int) {
	c := d.begin("scale columns")
	defer c.end()
	o := c.floats("dst", dst, T*N)
	x := c.floats("a", a, T*N)
	f := c.floats("s", s, N)
	if c.failed {
		return
	}
	for i := range o[:T*N] {
		o[i] = x[i] * f[i%N]
	}
}
