package reference

import (
	"math"

	"triality/runtime/device"
)

// SquaredSum: dst[0] = Σ a².
func (d *Device) SquaredSum(dst, a device.Buffer) {
	c := d.begin("squared sum")
	defer c.end()
	o := c.floats("dst", dst, 1)
	x := c.floats("a", a, -1)
	if c.failed {
		return
	}
	o[0] = dot(x, x)
}

// AdamWStep is one step of AdamW (Loshchilov & Hutter 2019) in PyTorch's order.
func (d *Device) AdamWStep(p, g, m, v device.Buffer, k device.AdamW) {
	c := d.begin("adamw")
	defer c.end()
	px := c.floats("p", p, -1)
	gx := c.floats("g", g, len(px))
	mx := c.floats("m", m, len(px))
	vx := c.floats("v", v, len(px))
	if k.Step < 1 {
		c.fail("step %d; steps count from 1", k.Step)
	}
	if c.failed {
		return
	}
	c1 := 1 - math.Pow(k.Beta1, float64(k.Step))
	c2 := 1 - math.Pow(k.Beta2, float64(k.Step))
	for i := range px {
		px[i] -= k.LR * k.WeightDecay * px[i]
		mx[i] = k.Beta1*mx[i] + (1-k.Beta1)*gx[i]
		vx[i] = k.Beta2*vx[i] + (1-k.Beta2)*gx[i]*gx[i]
		px[i] -= k.LR * (mx[i] / c1) / (math.Sqrt(vx[i]/c2) + k.Eps)
	}
}
