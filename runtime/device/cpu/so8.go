package cpu

import (
	"math"

	"triality/runtime/device"
)

type block [64]float64 // an 8×8 matrix, row-major

func (a *block) mul(b *block) (o block) {
	for i := range 8 {
		for k := range 8 {
			f := a[i*8+k]
			for j := range 8 {
				o[i*8+j] += f * b[k*8+j]
			}
		}
	}
	return o
}

// skewExp gives exp(A) and, along the direction g, its derivative, by scaling, Taylor and squaring,
// each differentiated with the product rule: (XY)' = X'Y + XY'.
func skewExp(a, g *block) (e, de block) {
	var norm float64 // the largest row sum bounds the spectral norm
	for i := range 8 {
		var s float64
		for j := range 8 {
			s += math.Abs(a[i*8+j])
		}
		norm = max(norm, s)
	}
	halvings := 0
	for ; norm > 0.5 && halvings < 1100; norm /= 2 {
		halvings++
	}
	var x, dx, term, dterm block
	for i := range a {
		x[i], dx[i] = math.Ldexp(a[i], -halvings), math.Ldexp(g[i], -halvings)
	}
	for i := range 8 {
		e[i*9], term[i*9] = 1, 1
	}
	for k := 1; k <= 16; k++ { // 0.5^17/17! < 1e-19
		left, right := dterm.mul(&x), term.mul(&dx)
		term = term.mul(&x)
		for i := range term {
			term[i] /= float64(k)
			dterm[i] = (left[i] + right[i]) / float64(k)
			e[i] += term[i]
			de[i] += dterm[i]
		}
	}
	for range halvings {
		left, right := de.mul(&e), e.mul(&de)
		for i := range de {
			de[i] = left[i] + right[i]
		}
		e = e.mul(&e)
	}
	return e, de
}

// skew spreads the 28 entries above the diagonal, row by row, into sign·A and −sign·A below.
func skew(a []float32, sign float64) (m block) {
	at := 0
	for i := range 8 {
		for j := i + 1; j < 8; j++ {
			m[i*8+j], m[j*8+i] = sign*float64(a[at]), -sign*float64(a[at])
			at++
		}
	}
	return m
}

// SkewExp: dst = exp(A), computed in float64.
func (d *Device) SkewExp(dst, a device.Buffer) {
	c := d.begin("skew exp")
	defer c.end()
	o := c.floats("dst", dst, 64)
	x := c.floats("a", a, 28)
	if c.failed {
		return
	}
	m := skew(x, 1)
	e, _ := skewExp(&m, &block{})
	for i, v := range e {
		o[i] = float32(v)
	}
}

// SkewExpGrad: the adjoint of the derivative of exp at A is the derivative at Aᵀ = −A.
func (d *Device) SkewExpGrad(da, a, dr device.Buffer) {
	c := d.begin("skew exp grad")
	defer c.end()
	o := c.floats("da", da, 28)
	x := c.floats("a", a, 28)
	g := c.floats("dr", dr, 64)
	if c.failed {
		return
	}
	var direction block
	for i, v := range g {
		direction[i] = float64(v)
	}
	m := skew(x, -1)
	_, l := skewExp(&m, &direction)
	at := 0
	for i := range 8 {
		for j := i + 1; j < 8; j++ {
			o[at] = float32(l[i*8+j] - l[j*8+i])
			at++
		}
	}
}

// BlockMul: each 8-vector of each row is multiplied by m or mᵀ.
func (d *Device) BlockMul(dst, x, m device.Buffer, T, D int, trans bool) {
	c := d.begin("block mul")
	defer c.end()
	o := c.floats("dst", dst, T*D)
	v := c.floats("x", x, T*D)
	w := c.floats("m", m, 64)
	c.blocks(D)
	if c.failed {
		return
	}
	columns := new([64]float32) // column j of the matrix at 8j
	for i := range 8 {
		for j := range 8 {
			if trans {
				columns[j*8+i] = w[j*8+i]
			} else {
				columns[j*8+i] = w[i*8+j]
			}
		}
	}
	d.split(T*D, grain, func(from, to int) { d.k.blockMul(o[from:to], v[from:to], columns) })
}

func (c *call) blocks(D int) {
	if D%8 != 0 {
		c.fail("width %d is not a multiple of 8", D)
	}
}

// BlockMulGradM: dm = Σ dy_b·x_bᵀ, in float64 over float32 sums of 512 blocks.
func (d *Device) BlockMulGradM(dm, x, dy device.Buffer, T, D int) {
	c := d.begin("block mul grad m")
	defer c.end()
	o := c.floats("dm", dm, 64)
	v := c.floats("x", x, T*D)
	y := c.floats("dy", dy, T*D)
	c.blocks(D)
	if c.failed {
		return
	}
	const span = 4096
	parts := make([][64]float32, (T*D+span-1)/span)
	d.split(T*D, span, func(from, to int) { d.k.outer8(&parts[from/span], v[from:to], y[from:to]) })
	for i := range o {
		var s float64
		for p := range parts {
			s += float64(parts[p][i])
		}
		o[i] = float32(s)
	}
}
