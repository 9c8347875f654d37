package cpu

import (
	"math"

	"triality/runtime/device"
)

// secondDifferences counts the tokens with two predecessors in their own sequence.
func secondDifferences(lo []int32) (n int) {
	for t, l := range lo {
		if t-2 >= int(l) {
			n++
		}
	}
	return n
}

// PET: the mean squared second difference over the tokens with two predecessors in their sequence.
func (d *Device) PET(dst, h, lo device.Buffer, T, D int) {
	c := d.begin("pet")
	defer c.end()
	o := c.floats("dst", dst, 1)
	x := c.floats("h", h, T*D)
	l := c.within("lo", lo, T, 0, math.MaxInt32)
	if c.failed {
		return
	}
	parts := make([]float64, T)
	d.splitRows(T, D, func(from, to int) {
		for t := from; t < to; t++ {
			if t-2 < int(l[t]) {
				continue
			}
			var s float64
			a, b, e := x[t*D:(t+1)*D], x[(t-1)*D:t*D], x[(t-2)*D:(t-1)*D]
			for i := range a {
				v := float64(a[i]) - 2*float64(b[i]) + float64(e[i])
				s += v * v
			}
			parts[t] = s
		}
	})
	var s float64
	for _, p := range parts {
		s += p
	}
	o[0] = 0
	if n := secondDifferences(l); n > 0 {
		o[0] = float32(s / float64(n*D))
	}
}

// PETGrad: row t of dh collects the second differences that end at t, t+1 and t+2.
func (d *Device) PETGrad(dh, h, lo, dy device.Buffer, T, D int) {
	c := d.begin("pet grad")
	defer c.end()
	o := c.floats("dh", dh, T*D)
	x := c.floats("h", h, T*D)
	l := c.within("lo", lo, T, 0, math.MaxInt32)
	y := c.floats("dy", dy, 1)
	if c.failed {
		return
	}
	n := secondDifferences(l)
	factor := float32(2 * float64(y[0]) / float64(max(1, n*D)))
	coefficient := [3]float32{factor, -2 * factor, factor}
	d.splitRows(T, D, func(from, to int) {
		for t := from; t < to; t++ {
			out := o[t*D : (t+1)*D]
			clear(out)
			for ahead, f := range coefficient {
				e := t + ahead
				if e >= T || e-2 < int(l[e]) {
					continue
				}
				a, b, c := x[e*D:(e+1)*D], x[(e-1)*D:e*D], x[(e-2)*D:(e-1)*D]
				for i := range out {
					out[i] += f * (a[i] - 2*b[i] + c[i])
				}
			}
		}
	})
}
