package cuda

import (
	"slices"

	"triality/runtime/device"
)

// QuantizeRowsFP8 gives e4m3 codes and a scale for each row.
func (d *Device) QuantizeRowsFP8(codes, scale, w device.Buffer, N, K int) {
	c := d.begin("quantize rows to fp8")
	defer c.end()
	q, s, x := c.bytes("codes", codes, N*K), c.floats("scale", scale, N), c.operand("w", w, N*K)
	if K == 0 {
		c.zero(s, 4*N)
		return
	}
	c.quantizeFP8(q, s, x, 0, N, K)
}

// quantizeFP8 gives the codes and scales of the rows of x, times `by` by column where that is not 0.
func (c *call) quantizeFP8(q, s, x, by uint64, N, K int) {
	c.perWideRow("quantize_rows_fp8", N, K, q, s, x, by, i32(K))
}

// DequantizeRowsFP8: dst[n,k] = scale[n]·codes[n,k].
func (d *Device) DequantizeRowsFP8(dst, codes, scale device.Buffer, N, K int) {
	c := d.begin("dequantize rows of fp8")
	defer c.end()
	o, q, s := c.operand("dst", dst, N*K), c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	c.dequantizeFP8(o, q, s, N, K, 0, K)
}

// dequantizeFP8: dst[n,i] = scale[n]·codes[n,from+i] for i < width.
func (c *call) dequantizeFP8(dst, codes, scale uint64, N, K, from, width int) {
	c.launch(c.kernel("dequantize_fp8"), N, 1, rowThreads((width+15)/16), 0, dst, codes, scale, i32(K), i32(from), i32(width))
}

// fp8Activations are what fp8 products of the same activations have in common, each found when it is first
// needed; addresses are 0 before.
type fp8Activations struct {
	x, codes, rows uint64 // rows are the scales
	rounded        uint64 // the activations as the codes give them back
	t, k           int
	stored         device.DType
	spans          []span // between two products
}

// MatMulFP8: dst = x·Wᵀ of codes where cuBLASLt has it, else of floats that are put back from the codes. The
// choice depends on the card and the sizes alone.
func (d *Device) MatMulFP8(dst, x, codes, scale device.Buffer, T, N, K int) {
	d.MatMulFP8Shared(dst, x, codes, scale, T, N, K, false, false)
}

// MatMulFP8Shared has the activations' codes from the product before, or keeps them for the next.
func (d *Device) MatMulFP8Shared(dst, x, codes, scale device.Buffer, T, N, K int, again, keep bool) {
	c := d.begin("matmul fp8")
	defer c.end()
	o, v := c.operand("dst", dst, T*N), c.operand("x", x, T*K)
	w, s := c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed || T*N == 0 {
		return
	}
	if K == 0 {
		c.zero(o, c.width()*T*N)
		return
	}
	kept := d.fp8
	d.fp8 = fp8Activations{}
	c.scratch = append(c.scratch, kept.spans...)
	a := fp8Activations{x: v, t: T, k: K, stored: c.stored}
	if again && kept.x == v && kept.t == T && kept.k == K && kept.stored == c.stored {
		a = kept
		a.spans = nil
	}
	p := fp8Product{&c, o, w, s, N, K, 0}
	if g := (gemm{m: T, n: N, k: K, transB: true, operands: float8, result: c.stored}); p.ofCodes(w, s, g) {
		if a.codes == 0 {
			a.codes, a.rows = c.temporary(T*K), c.temporary(4*T)
			c.quantizeFP8(a.codes, a.rows, v, 0, T, K)
		}
		g.rows, g.columns = a.rows, s
		c.product(o, a.codes, w, g)
	} else {
		p.ofFloats(&a)
	}
	if keep {
		c.keepFP8(a)
	}
}

// keepFP8 saves the activations' memory from the end of the call, for the next one.
func (c *call) keepFP8(a fp8Activations) {
	if c.failed {
		return
	}
	c.scratch = slices.DeleteFunc(c.scratch, func(s span) bool {
		mine := s.at == a.codes || s.at == a.rows || s.at == a.rounded
		if mine {
			a.spans = append(a.spans, s)
		}
		return mine
	})
	c.d.fp8 = a
}

// fp8Product is one product with the weights [n,k] in codes.
type fp8Product struct {
	*call
	dst, weights, scale uint64
	n, k                int
	addend              uint64 // of the gradient; 0 where there is none
}

// ofCodes tells whether cuBLASLt multiplies the codes: it wants narrow results and everything aligned.
func (p *fp8Product) ofCodes(weights, scale uint64, g gemm) bool {
	if p.failed || p.stored == device.Float || g.n%16 != 0 || g.k%16 != 0 || (weights|scale|p.dst|p.addend)%16 != 0 {
		return false
	}
	from := p.dst
	if p.addend != 0 {
		from = p.addend
	}
	const aligned = 1 << 8 // as memory of the pool is
	return p.d.blas.has(key(p.dst, from, aligned, weights, g))
}

// ofFloats multiplies the activations, put back from their codes, by the dequantized weights. Blocks of both
// are held at once; the activations are kept where they are one block.
func (p *fp8Product) ofFloats(a *fp8Activations) {
	c, width := p.call, p.width()
	limit := c.d.int8Scratch / width / p.k
	rows, block := evenBlock(a.t, limit), evenBlock(p.n, limit)
	x, ready := a.rounded, a.rounded != 0
	if !ready {
		x = c.temporary(width * rows * p.k)
	}
	w := c.temporary(width * block * p.k)
	for from := 0; from < p.n; from += block {
		n := min(block, p.n-from)
		c.dequantizeFP8(w, p.weights+uint64(from*p.k), p.scale+uint64(4*from), n, p.k, 0, p.k)
		for top := 0; top < a.t; top += rows {
			m := min(rows, a.t-top)
			if !ready {
				c.perWideRow("requantize_rows_fp8", m, p.k, x, a.x+uint64(width*top*p.k), 0, i32(p.k))
				ready = rows == a.t
			}
			c.product(p.dst+uint64(width*(top*p.n+from)), x, w,
				gemm{m: m, n: n, k: p.k, transB: true, operands: c.stored, result: c.stored, stride: p.n})
		}
	}
	if rows == a.t {
		a.rounded = x
	}
}

// MatMulFP8Grad: dx = dy·W (+ c), in blocks of columns of W, so that each element is summed by one product.
func (d *Device) MatMulFP8Grad(dx, plus, dy, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul fp8 grad")
	defer c.end()
	o, y := c.operand("dx", dx, T*K), c.operand("dy", dy, T*N)
	p := fp8Product{call: &c, dst: o, n: N, k: K}
	if plus != nil {
		p.addend = c.operand("c", plus, T*K)
	}
	p.weights, p.scale = c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed || T*K == 0 {
		return
	}
	if N == 0 {
		if p.addend == 0 {
			c.zero(o, c.width()*T*K)
		} else {
			c.copy(o, p.addend, c.width()*T*K)
		}
		return
	}
	if block := p.evenColumns(d.int8Scratch / N); p.ofCodes(p.weights, p.scale, p.gradient(T, block, float8)) && K%16 == 0 {
		p.gradOfCodes(y, T, block)
	} else {
		p.gradOfFloats(y, T)
	}
}

// evenColumns cuts K into blocks of at most limit.
func (p *fp8Product) evenColumns(limit int) int { return evenBlock(p.k, limit) }

// gradient is the product of a block of columns of dx.
func (p *fp8Product) gradient(t, columns int, operands device.DType) gemm {
	return gemm{m: t, n: columns, k: p.n, transB: operands == float8, operands: operands, result: p.stored, stride: p.k, accumulate: p.addend != 0}
}

// gradOfCodes has the weights' scales in the codes of dy, and the weights turned, since cuBLASLt multiplies codes
// along rows alone.
func (p *fp8Product) gradOfCodes(y uint64, t, block int) {
	c, width := p.call, p.width()
	q, rows, ones := c.temporary(t*p.n), c.temporary(4*t), c.temporary(4*block)
	c.quantizeFP8(q, rows, y, p.scale, t, p.n)
	c.each("fill_f32", block, ones, i64(block), f32(1))
	turned := c.temporary(p.n * block)
	for from := 0; from < p.k; from += block {
		n := min(block, p.k-from)
		c.launch("transpose_bytes", (n+127)/128, (p.n+127)/128, 256, 0, turned, p.weights+uint64(from), i32(p.n), i32(n), i32(p.k))
		g := p.gradient(t, n, float8)
		g.rows, g.columns, g.addend = rows, ones, p.part(width*from)
		c.product(p.dst+uint64(width*from), q, turned, g)
	}
}

// part is the addend from so many bytes on.
func (p *fp8Product) part(bytes int) uint64 {
	if p.addend == 0 {
		return 0
	}
	return p.addend + uint64(bytes)
}

// gradOfFloats multiplies dy, put back from the codes of its products with the scales, by the dequantized weights.
func (p *fp8Product) gradOfFloats(y uint64, t int) {
	c, width := p.call, p.width()
	limit := c.d.int8Scratch / width / p.n
	rows, block := evenBlock(t, limit), evenBlock(p.k, limit)
	rounded, w := c.temporary(width*rows*p.n), c.temporary(width*p.n*block)
	for top := 0; top < t; top += rows {
		m := min(rows, t-top)
		c.perWideRow("requantize_rows_fp8", m, p.n, rounded, y+uint64(width*top*p.n), p.scale, i32(p.n))
		for from := 0; from < p.k; from += block {
			n := min(block, p.k-from)
			c.dequantizeFP8(w, p.weights, p.scale, p.n, p.k, from, n)
			at := width * (top*p.k + from)
			g := p.gradient(m, n, c.stored)
			g.addend = p.part(at)
			c.product(p.dst+uint64(at), rounded, w, g)
		}
	}
}
