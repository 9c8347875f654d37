package cpu

import (
	"math"

	"triality/runtime/device"
)

// Focal: dst = (1 − e^−nll)^gamma · nll, in double: there is one number to a token.
func (d *Device) Focal(dst, nll device.Buffer, gamma float64) {
	c := d.begin("focal")
	defer c.end()
	o := c.all("dst", dst)
	x := c.floats("nll", nll, len(o))
	if c.failed {
		return
	}
	for i, v := range x {
		n := float64(v)
		if !(n > 0) {
			o[i] = v * 0 // NaN stays
			continue
		}
		o[i] = float32(math.Pow(-math.Expm1(-n), gamma) * n)
	}
}

// FocalGrad is its gradient times dy.
func (d *Device) FocalGrad(dst, nll, dy device.Buffer, gamma float64) {
	c := d.begin("focal grad")
	defer c.end()
	o := c.all("dst", dst)
	x := c.floats("nll", nll, len(o))
	y := c.floats("dy", dy, len(o))
	if c.failed {
		return
	}
	for i, v := range x {
		n := float64(v)
		if !(n > 0) {
			o[i] = v * 0 * y[i]
			continue
		}
		miss := -math.Expm1(-n)
		o[i] = float32(float64(y[i]) * math.Pow(miss, gamma) * (1 + gamma*math.Exp(-n)*n/miss))
	}
}
