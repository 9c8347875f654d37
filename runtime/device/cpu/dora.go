package cpu

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
	d.splitRows(N, K, func(from, to int) {
		for n := from; n < to; n++ {
			row := x[n*K : (n+1)*K]
			o[n] = v[n] / float32(math.Sqrt(float64(d.k.dot(row, row))))
		}
	})
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
	d.splitRows(T, N, func(from, to int) {
		for t := from; t < to; t++ {
			d.k.mul(o[t*N:(t+1)*N], x[t*N:(t+1)*N], f[:N])
		}
	})
}
