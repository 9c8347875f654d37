package reference

import (
	"math"

	"triality/runtime/device"
)

// square is an n×n matrix, row-major.
type square struct {
	n int
	v []float64
}

func newSquare(n int) square { return square{n, make([]float64, n*n)} }

func (a square) mul(b square) square {
	o := newSquare(a.n)
	for i := range a.n {
		for j := range a.n {
			for k := range a.n {
				o.v[i*a.n+j] += a.v[i*a.n+k] * b.v[k*a.n+j]
			}
		}
	}
	return o
}

// exp is the matrix exponential by scaling, the Taylor series to the end of float64, and squaring.
func (a square) exp() square {
	var norm float64
	for _, v := range a.v {
		norm = max(norm, math.Abs(v))
	}
	halvings := 0
	for norm*float64(a.n) > 0.5 && halvings < 1100 {
		norm /= 2
		halvings++
	}
	x := newSquare(a.n)
	for i, v := range a.v {
		x.v[i] = math.Ldexp(v, -halvings)
	}
	sum, term := newSquare(a.n), newSquare(a.n)
	for i := range a.n {
		sum.v[i*a.n+i], term.v[i*a.n+i] = 1, 1
	}
	for k := 1; k <= 18; k++ { // 0.5^18/18! < 1e-21
		term = term.mul(x)
		for i := range term.v {
			term.v[i] /= float64(k)
			sum.v[i] += term.v[i]
		}
	}
	for range halvings {
		sum = sum.mul(sum)
	}
	return sum
}

// skew spreads the 28 entries above the diagonal, row by row, into A = −Aᵀ.
func skew(a []float64) square {
	m := newSquare(8)
	at := 0
	for i := range 8 {
		for j := i + 1; j < 8; j++ {
			m.v[i*8+j], m.v[j*8+i] = a[at], -a[at]
			at++
		}
	}
	return m
}

// SkewExp: dst = exp(A).
func (d *Device) SkewExp(dst, a device.Buffer) {
	c := d.begin("skew exp")
	defer c.end()
	o := c.floats("dst", dst, 64)
	x := c.floats("a", a, 28)
	if c.failed {
		return
	}
	copy(o, skew(x).exp().v)
}

// SkewExpGrad uses exp([[Aᵀ, G], [0, Aᵀ]]) = [[exp(Aᵀ), L], [0, exp(Aᵀ)]], where L is the adjoint
// of the derivative of exp at A applied to G (Higham, Functions of Matrices, 2008, eq. 3.16);
// da is L's part along each skew-symmetric entry.
func (d *Device) SkewExpGrad(da, a, dr device.Buffer) {
	c := d.begin("skew exp grad")
	defer c.end()
	o := c.floats("da", da, 28)
	x := c.floats("a", a, 28)
	g := c.floats("dr", dr, 64)
	if c.failed {
		return
	}
	m, big := skew(x), newSquare(16)
	for i := range 8 {
		for j := range 8 {
			big.v[i*16+j] = m.v[j*8+i]
			big.v[(i+8)*16+j+8] = m.v[j*8+i]
			big.v[i*16+j+8] = g[i*8+j]
		}
	}
	e := big.exp()
	at := 0
	for i := range 8 {
		for j := i + 1; j < 8; j++ {
			o[at] = e.v[i*16+j+8] - e.v[j*16+i+8]
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
	for at := 0; at < T*D; at += 8 {
		var y [8]float64 // dst may be x
		for i := range 8 {
			for j := range 8 {
				if trans {
					y[i] += w[j*8+i] * v[at+j]
				} else {
					y[i] += w[i*8+j] * v[at+j]
				}
			}
		}
		copy(o[at:], y[:])
	}
}

func (c *call) blocks(D int) {
	if D%8 != 0 {
		c.fail("width %d is not a multiple of 8", D)
	}
}

// BlockMulGradM: dm = Σ dy_b·x_bᵀ.
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
	clear(o)
	for at := 0; at < T*D; at += 8 {
		for i := range 8 {
			for j := range 8 {
				o[i*8+j] += y[at+i] * v[at+j]
			}
		}
	}
}

// PET: the mean squared second difference over the tokens with two predecessors in their sequence.
func (d *Device) PET(dst, h, lo device.Buffer, T, D int) {
	c := d.begin("pet")
	defer c.end()
	o := c.floats("dst", dst, 1)
	x := c.floats("h", h, T*D)
	l := c.ints("lo", lo, T, 0, math.MaxInt32)
	if c.failed {
		return
	}
	var sum float64
	valid := 0
	for t := 2; t < T; t++ {
		if t-2 < int(l[t]) {
			continue
		}
		valid++
		for i := range D {
			e := x[t*D+i] - 2*x[(t-1)*D+i] + x[(t-2)*D+i]
			sum += e * e
		}
	}
	o[0] = 0
	if valid > 0 {
		o[0] = sum / float64(valid*D)
	}
}

// PETGrad: dh from the gradient of PET.
func (d *Device) PETGrad(dh, h, lo, dy device.Buffer, T, D int) {
	c := d.begin("pet grad")
	defer c.end()
	o := c.floats("dh", dh, T*D)
	x := c.floats("h", h, T*D)
	l := c.ints("lo", lo, T, 0, math.MaxInt32)
	y := c.floats("dy", dy, 1)
	if c.failed {
		return
	}
	clear(o)
	valid := 0
	for t := 2; t < T; t++ {
		if t-2 >= int(l[t]) {
			valid++
		}
	}
	for t := 2; t < T; t++ {
		if t-2 < int(l[t]) {
			continue
		}
		for i := range D {
			e := x[t*D+i] - 2*x[(t-1)*D+i] + x[(t-2)*D+i]
			g := 2 * e * y[0] / float64(valid*D)
			o[t*D+i] += g
			o[(t-1)*D+i] -= 2 * g
			o[(t-2)*D+i] += g
		}
	}
}
