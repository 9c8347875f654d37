package cuda

import (
	"math"

	"triality/runtime/device"
)

// SkewExp: dst = exp(A), computed in double precision.
func (d *Device) SkewExp(dst, a device.Buffer) {
	c := d.begin("skew exp")
	defer c.end()
	o, x := c.floats("dst", dst, 64), c.floats("a", a, 28)
	c.launch("skew_exp", 1, 1, 64, 0, o, x)
}

// SkewExpGrad: the adjoint of the derivative of exp at A is the derivative at Aᵀ = −A.
func (d *Device) SkewExpGrad(da, a, dr device.Buffer) {
	c := d.begin("skew exp grad")
	defer c.end()
	o, x, g := c.floats("da", da, 28), c.floats("a", a, 28), c.floats("dr", dr, 64)
	c.launch("skew_exp_grad", 1, 1, 64, 0, o, x, g)
}

func (c *call) blocks(D int) {
	if D%8 != 0 {
		c.fail("width %d is not a multiple of 8", D)
	}
}

// BlockMul: each 8-vector of each row is multiplied by m or mᵀ.
func (d *Device) BlockMul(dst, x, m device.Buffer, T, D int, trans bool) {
	c := d.begin("block mul")
	defer c.end()
	c.blocks(D)
	o, v, w := c.operand("dst", dst, T*D), c.operand("x", x, T*D), c.floats("m", m, 64)
	turned := 0
	if trans {
		turned = 1
	}
	c.each(c.kernel("block_mul"), T*D/8, o, v, w, i64(T*D/8), i32(turned))
}

// BlockMulGradM: dm = Σ dy_b·x_bᵀ.
func (d *Device) BlockMulGradM(dm, x, dy device.Buffer, T, D int) {
	c := d.begin("block mul grad m")
	defer c.end()
	c.blocks(D)
	o, v, y := c.floats("dm", dm, 64), c.operand("x", x, T*D), c.operand("dy", dy, T*D)
	vectors := T * D / 8
	span := max(256, (vectors+2047)/2048)
	if c.stored != device.Float { // sums in registers, which cost more to add up
		span = max(1024, (vectors+511)/512)
	}
	blocks := (vectors + span - 1) / span
	part := c.temporary(8 * 64 * blocks)
	c.launch(c.kernel("outer_partials"), blocks, 1, 256, 0, part, v, y, i64(vectors), i64(span))
	c.sumPartials(o, part, blocks, 64, 1)
}

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
	o, x := c.floats("dst", dst, 1), c.operand("h", h, T*D)
	l, at := c.within("lo", lo, T, 0, math.MaxInt32)
	part := c.temporary(8 * T)
	c.perRow(c.kernel("pet_partials"), T, D, part, x, at, i32(D))
	c.sumPartials(o, part, T, 1, 1/float64(max(1, secondDifferences(l)*D)))
}

// PETGrad: row t of dh collects the second differences that end at t, t+1 and t+2.
func (d *Device) PETGrad(dh, h, lo, dy device.Buffer, T, D int) {
	c := d.begin("pet grad")
	defer c.end()
	o, x, y := c.operand("dh", dh, T*D), c.operand("h", h, T*D), c.floats("dy", dy, 1)
	l, at := c.within("lo", lo, T, 0, math.MaxInt32)
	c.perRow(c.kernel("pet_grad"), T, D, o, x, at, y, i32(T), i32(D), f64(2/float64(max(1, secondDifferences(l)*D))))
}
