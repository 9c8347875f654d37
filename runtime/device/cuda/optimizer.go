package cuda

import (
	"math"

	"triality/runtime/device"
)

// SquaredSum: dst[0] = Σ a².
func (d *Device) SquaredSum(dst, a device.Buffer) {
	c := d.begin("squared sum")
	defer c.end()
	o, x := c.floats("dst", dst, 1), c.wholeOperand("a", a)
	if !c.failed {
		c.dot(o, x.at, x.at, x.n)
	}
}

// AdamWStep is one step of AdamW (Loshchilov & Hutter 2019) in PyTorch's order.
func (d *Device) AdamWStep(p, g, m, v device.Buffer, k device.AdamW) {
	c := d.begin("adamw")
	defer c.end()
	px := c.whole("p", p)
	if k.Step < 1 {
		c.fail("step %d; steps count from 1", k.Step)
	}
	if c.failed {
		return
	}
	gx, mx, vx := c.floats("g", g, px.n), c.floats("m", m, px.n), c.floats("v", v, px.n)
	c.each("adamw", px.n, append([]uint64{px.at, gx, mx, vx, i64(px.n)}, adamWFactors(k)...)...)
}

// adamWFactors are the numbers of a step as the kernels take them.
func adamWFactors(k device.AdamW) []uint64 {
	rate := k.LR / (1 - math.Pow(k.Beta1, float64(k.Step)))
	root := 1 / math.Sqrt(1-math.Pow(k.Beta2, float64(k.Step)))
	return []uint64{f32(1 - k.LR*k.WeightDecay), f32(k.Beta1), f32(1 - k.Beta1), f32(k.Beta2), f32(1 - k.Beta2), f32(rate), f32(root), f32(k.Eps)}
}
