package cuda

import "triality/runtime/device"

// MatMul: dst[M,N] = op(a)·op(b) (+ dst).
func (d *Device) MatMul(dst, a, b device.Buffer, M, N, K int, transA, transB, accumulate bool) {
	c := d.begin("matmul")
	defer c.end()
	o, x, y := c.floats("dst", dst, M*N), c.floats("a", a, M*K), c.floats("b", b, K*N)
	c.product(o, x, y, M, N, K, transA, transB, accumulate)
}

// SumRows: dst[n] = Σ_t a[t,n].
func (d *Device) SumRows(dst, a device.Buffer, T, N int) {
	c := d.begin("sum rows")
	defer c.end()
	o, x := c.floats("dst", dst, N), c.floats("a", a, T*N)
	rows, chunks := rowChunks(T)
	part := c.temporary(8 * N * chunks)
	c.launch("column_partials", (N+127)/128, chunks, 128, 0, part, x, i32(T), i32(N), i32(rows))
	c.sumPartials(o, part, chunks, N, 1)
}

// rowChunks cuts T rows into chunks whose sums are added afterwards.
func rowChunks(T int) (rows, chunks int) {
	rows = max(32, (T+255)/256)
	return rows, (T + rows - 1) / rows
}

// sumPartials: dst[n] = factor · Σ_i part[i·columns + n], of doubles.
func (c *call) sumPartials(dst, part uint64, count, columns int, factor float64) {
	block := 64
	if columns == 1 {
		block = 256
	}
	c.launch("sum_partials", columns, 1, block, 0, dst, part, i32(count), i32(columns), f64(factor))
}

// Dot: dst[0] = Σ_i a[i]·b[i].
func (d *Device) Dot(dst, a, b device.Buffer) {
	c := d.begin("dot")
	defer c.end()
	o, x := c.floats("dst", dst, 1), c.whole("a", a)
	if c.failed {
		return
	}
	c.dot(o, x.at, c.floats("b", b, x.n), x.n)
}

// dot adds products in double precision over spans whose size depends on n alone.
func (c *call) dot(dst, a, b uint64, n int) {
	span := max(4096, (n+2047)/2048)
	blocks := (n + span - 1) / span
	part := c.temporary(8 * blocks)
	c.launch("dot_partials", blocks, 1, 256, 0, part, a, b, i64(n), i64(span))
	c.sumPartials(dst, part, blocks, 1, 1)
}
