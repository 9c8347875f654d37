package cuda

import "triality/runtime/device"

// DivideByRowNorms: dst[n] = m[n] / sqrt(Σ_k w[n,k]²).
func (d *Device) DivideByRowNorms(dst, m, w device.Buffer, N, K int) {
	c := d.begin("divide by row norms")
	defer c.end()
	o, v, x := c.floats("dst", dst, N), c.floats("m", m, N), c.operand("w", w, N*K)
	c.perWideRow("divide_by_norms", N, K, o, v, x, i32(K))
}

// ScaleColumns: dst[t,n] = a[t,n]·s[n].
func (d *Device) ScaleColumns(dst, a, s device.Buffer, T, N int) {
	c := d.begin("scale columns")
	defer c.end()
	o, x, f := c.operand("dst", dst, T*N), c.operand("a", a, T*N), c.floats("s", s, N)
	c.perWideRow("scale_columns", T, N, o, x, f, i32(N))
}
