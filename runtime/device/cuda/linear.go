package cuda

import "triality/runtime/device"

// MatMul: dst[M,N] = op(a)·op(b) (+ dst).
func (d *Device) MatMul(dst, a, b device.Buffer, M, N, K int, transA, transB, accumulate bool) {
	c := d.begin("matmul")
	defer c.end()
	x, y := c.operand("a", a, M*K), c.operand("b", b, K*N)
	g := gemm{m: M, n: N, k: K, transA: transA, transB: transB, accumulate: accumulate, operands: c.stored, result: c.stored}
	var o uint64
	if dst != nil && dst.DType() == device.Float {
		o, g.result = c.floats("dst", dst, M*N), device.Float
	} else {
		o = c.operand("dst", dst, M*N)
	}
	c.product(o, x, y, g)
}

// MatMulAdd: dst[M,N] = s·op(a)·op(b) (+ c), in the product's own pass over the result.
func (d *Device) MatMulAdd(dst, plus, a, b device.Buffer, M, N, K int, transA, transB bool, s float64) {
	c := d.begin("matmul add")
	defer c.end()
	x, y := c.operand("a", a, M*K), c.operand("b", b, K*N)
	g := gemm{m: M, n: N, k: K, transA: transA, transB: transB, accumulate: plus != nil, operands: c.stored, result: c.stored, factor: float32(s)}
	matrix := c.operand
	if dst != nil && dst.DType() == device.Float {
		matrix, g.result = c.floats, device.Float
	}
	o := matrix("dst", dst, M*N)
	if plus != nil {
		g.addend = matrix("c", plus, M*N)
	}
	if s == 0 { // gemm has no factor of 0
		g.k = 0
	}
	c.product(o, x, y, g)
}

// SumRows: dst[n] = Σ_t a[t,n].
func (d *Device) SumRows(dst, a device.Buffer, T, N int) {
	c := d.begin("sum rows")
	defer c.end()
	o, x := c.floats("dst", dst, N), c.operand("a", a, T*N)
	rows, chunks := rowChunks(T)
	part := c.temporary(8 * N * chunks)
	c.columns("column_partials", N, chunks, part, x, i32(T), i32(N), i32(rows))
	c.sumPartials(o, part, chunks, N, 1)
}

// columns launches a kernel over N columns and chunks of rows; where a thread takes several columns, the
// last ones find none.
func (c *call) columns(kernel string, N, chunks int, args ...uint64) {
	c.launch(c.kernel(kernel), (N+127)/128, chunks, 128, 0, args...)
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
	o, x := c.floats("dst", dst, 1), c.wholeOperand("a", a)
	if c.failed {
		return
	}
	c.dot(o, x.at, c.operand("b", b, x.n), x.n)
}

// dot adds products over spans whose size depends on n alone.
func (c *call) dot(dst, a, b uint64, n int) {
	span := max(4096, (n+2047)/2048)
	blocks := (n + span - 1) / span
	part := c.temporary(8 * blocks)
	c.launch(c.kernel("dot_partials"), blocks, 1, 256, 0, part, a, b, i64(n), i64(span))
	c.sumPartials(dst, part, blocks, 1, 1)
}
