package reference

import "triality/runtime/device"

// MatMul: dst[M,N] = op(a)·op(b) (+ dst).
func (d *Device) MatMul(dst, a, b device.Buffer, M, N, K int, transA, transB, accumulate bool) {
	c := d.begin("matmul")
	defer c.end()
	o := c.floats("dst", dst, M*N)
	x := c.floats("a", a, M*K)
	y := c.floats("b", b, K*N)
	if c.failed {
		return
	}
	for m := range M {
		for n := range N {
			var s float64
			for k := range K {
				ai, bi := m*K+k, k*N+n
				if transA {
					ai = k*M + m
				}
				if transB {
					bi = n*K + k
				}
				s += x[ai] * y[bi]
			}
			if accumulate {
				s += o[m*N+n]
			}
			o[m*N+n] = s
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
