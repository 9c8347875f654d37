package reference

import "triality/runtime/device"

// MatMul: dst[M,N] = op(a)·op(b) (+ dst).
func (d *Device) MatMul(dst, a, b device.Buffer, M, N, K int, transA, transB, accumulate bool) {
	var c device.Buffer
	if accumulate {
		c = dst
	}
	d.MatMulAdd(dst, c, a, b, M, N, K, transA, transB, 1)
}

// MatMulAdd: dst[M,N] = s·op(a)·op(b) (+ c).
func (d *Device) MatMulAdd(dst, c, a, b device.Buffer, M, N, K int, transA, transB bool, s float64) {
	l := d.begin("matmul")
	defer l.end()
	o := l.floats("dst", dst, M*N)
	x := l.floats("a", a, M*K)
	y := l.floats("b", b, K*N)
	var z []float64
	if c != nil {
		z = l.floats("c", c, M*N)
	}
	if l.failed {
		return
	}
	for m := range M {
		for n := range N {
			var sum float64
			for k := range K {
				ai, bi := m*K+k, k*N+n
				if transA {
					ai = k*M + m
				}
				if transB {
					bi = n*K + k
				}
				sum += x[ai] * y[bi]
			}
			sum *= s
			if c != nil {
				sum += z[m*N+n]
			}
			o[m*N+n] = sum
		}
	}
}

// SumRows: dst[n] = Σ_t a[t,n].
func (d *Device) SumRows(dst, a device.Buffer, T, N int) {
	c := d.begin("sum rows")
	defer c.end()
	o := c.floats("dst", dst, N)
	x := c.floats("a", a, T*N)
	if c.failed {
		return
	}
	clear(o)
	for t := range T {
		for n := range N {
			o[n] += x[t*N+n]
		}
	}
}

// Dot: dst[0] = Σ_i a[i]·b[i].
func (d *Device) Dot(dst, a, b device.Buffer) {
	c := d.begin("dot")
	defer c.end()
	o := c.floats("dst", dst, 1)
	x := c.floats("a", a, -1)
	y := c.floats("b", b, len(x))
	if c.failed {
		return
	}
	o[0] = dot(x, y)
}

func dot(x, y []float64) float64 {
	var s float64
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}
