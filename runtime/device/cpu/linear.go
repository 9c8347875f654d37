package cpu

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
	d.matmul(o, plain(x, y, M, N, K, transA, transB, accumulate))
}

// plain is the shape of a product of dense matrices.
func plain(a, b []float32, M, N, K int, transA, transB, add bool) matmulShape {
	s := matmulShape{m: M, n: N, k: K, a: matrix{a, K, false}, b: matrix{b, N, true}, ldc: N, add: add}
	if transA {
		s.a = matrix{a, M, true}
	}
	if transB {
		s.b = matrix{b, K, false}
	}
	return s
}

// SumRows: dst[n] = Σ_t a[t,n], in float64 over float32 sums of 32 rows.
func (d *Device) SumRows(dst, a device.Buffer, T, N int) {
	c := d.begin("sum rows")
	defer c.end()
	o := c.floats("dst", dst, N)
	x := c.floats("a", a, T*N)
	if c.failed {
		return
	}
	d.sumColumns(o, T, N, func(sum []float32, t, from int) {
		d.k.add(sum, sum, x[t*N+from:t*N+from+len(sum)])
	})
}

// sumColumns gives o[n] as the sum over t of what addRow adds to sum, a span of columns that starts
// at from.
func (d *Device) sumColumns(o []float32, T, N int, addRow func(sum []float32, t, from int)) {
	const columns, rows = 128, 32
	body := func(from, to int) {
		var partial [columns]float32
		var total [columns]float64
		sum := partial[:to-from]
		for t := 0; t < T; t++ {
			addRow(sum, t, from)
			if t%rows == rows-1 || t == T-1 {
				for i, v := range sum {
					total[i] += float64(v)
				}
				clear(sum)
			}
		}
		for i := range sum {
			o[from+i] = float32(total[i])
		}
	}
	if T*N <= grain {
		for from := 0; from < N; from += columns {
			body(from, min(N, from+columns))
		}
		return
	}
	d.split(N, columns, body)
}

// Dot: dst[0] = Σ_i a[i]·b[i].
func (d *Device) Dot(dst, a, b device.Buffer) {
	c := d.begin("dot")
	defer c.end()
	o := c.floats("dst", dst, 1)
	x := c.all("a", a)
	y := c.floats("b", b, len(x))
	if c.failed {
		return
	}
	o[0] = float32(d.sum(len(x), func(from, to int) float64 { return d.k.dot64(x[from:to], y[from:to]) }))
}

// sum adds f over spans of [0, n) of fixed size, in order.
func (d *Device) sum(n int, f func(from, to int) float64) float64 {
	parts := make([]float64, (n+grain-1)/grain)
	d.split(n, grain, func(from, to int) { parts[from/grain] = f(from, to) })
	var s float64
	for _, p := range parts {
		s += p
	}
	return s
}
