package cpu

import (
	"math"

	"triality/runtime/device"
)

// SquaredSum: dst[0] = Σ a².
func (d *Device) SquaredSum(dst, a device.Buffer) {
	c := d.begin("squared sum")
	defer c.end()
	o := c.floats("dst", dst, 1)
	x := c.all("a", a)
	if c.failed {
		return
	}
	o[0] = float32(d.sum(len(x), func(from, to int) float64 { return d.k.dot64(x[from:to], x[from:to]) }))
}

// AdamWStep is one step of AdamW (Loshchilov & Hutter 2019) in PyTorch's order.
func (d *Device) AdamWStep(p, g, m, v device.Buffer, k device.AdamW) {
	c := d.begin("adamw")
	defer c.end()
	px := c.all("p", p)
	gx := c.floats("g", g, len(px))
	mx := c.floats("m", m, len(px))
	vx := c.floats("v", v, len(px))
	if k.Step < 1 {
		c.fail("step %d; steps count from 1", k.Step)
	}
	if c.failed {
		return
	}
	factors := newAdamConstants(k)
	d.split(len(px), grain, func(from, to int) {
		d.k.adamw(px[from:to], gx[from:to], mx[from:to], vx[from:to], &factors)
	})
}

func newAdamConstants(k device.AdamW) adamConstants {
	return adamConstants{
		decay:     float32(1 - k.LR*k.WeightDecay),
		beta1:     float32(k.Beta1),
		oneBeta1:  float32(1 - k.Beta1),
		beta2:     float32(k.Beta2),
		oneBeta2:  float32(1 - k.Beta2),
		step:      float32(k.LR / (1 - math.Pow(k.Beta1, float64(k.Step)))),
		rootScale: float32(1 / math.Sqrt(1-math.Pow(k.Beta2, float64(k.Step)))),
		eps:       float32(k.Eps),
	}
}
