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

// AdamW8Step is AdamWStep with states in 8-bit codes of dynamic maps (Dettmers et al. 2021).
func (d *Device) AdamW8Step(p, g, m, v, mMax, vMax device.Buffer, k device.AdamW) {
	c := d.begin("adamw 8-bit")
	defer c.end()
	px := c.whole("p", p)
	if k.Step < 1 {
		c.fail("step %d; steps count from 1", k.Step)
	}
	if c.failed {
		return
	}
	blocks := (px.n + device.StateBlock - 1) / device.StateBlock
	gx, mx, vx := c.floats("g", g, px.n), c.bytes("m", m, px.n), c.bytes("v", v, px.n)
	ms, vs := c.floats("mMax", mMax, blocks), c.floats("vMax", vMax, blocks)
	maps := c.dynamicMaps()
	c.launch("adamw8", blocks, 1, device.StateBlock, 0,
		append([]uint64{px.at, gx, mx, vx, ms, vs, maps, i64(px.n)}, adamWFactors(k)...)...)
}

// dynamicMaps gives the signed and the unsigned map on the card, where they stay.
func (c *call) dynamicMaps() uint64 {
	if c.failed || c.d.maps != 0 {
		return c.d.maps
	}
	var values [512]float32
	signed, unsigned := device.DynamicMap(true), device.DynamicMap(false)
	copy(values[:256], signed[:])
	copy(values[256:], unsigned[:])
	at, bytes, err := c.d.pool.get(4 * int64(len(values)))
	if err == nil {
		if err = send(&buffer{d: c.d, at: at, n: len(values)}, values[:]); err != nil {
			c.d.pool.put(at, bytes)
		}
	}
	c.check("dynamic maps", err)
	if err == nil {
		c.d.maps = at
	}
	return c.d.maps
}
