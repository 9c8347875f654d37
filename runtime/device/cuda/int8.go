package cuda

import (
	"math"

	"triality/runtime/device"
)

// int8Scratch is what MatMulInt8 may hold at once of its int32 sums or of each operand as floats, and its
// gradient of the dequantized weights, in bytes: 64 MiB under a memory limit of 12 GiB, more where there is more, since larger
// products keep more of a large card busy.
func int8Scratch(limit int64) int { return int(min(192<<20, max(4<<20, limit/192))) }

// fewRows is the most rows for which MatMulInt8 uses its own kernel, which is bound by reading the weights.
const fewRows = 16

// maxInt8Sum is the most products of codes that an int32 holds: 2³¹/127².
const maxInt8Sum = math.MaxInt32 / (127 * 127)

// QuantizeRows gives int8 codes and a scale for each row.
func (d *Device) QuantizeRows(codes, scale, w device.Buffer, N, K int) {
	c := d.begin("quantize rows")
	defer c.end()
	q, s, x := c.bytes("codes", codes, N*K), c.floats("scale", scale, N), c.operand("w", w, N*K)
	c.quantize(q, s, x, 0, N, K)
}

// quantize gives the codes and scales of the rows of x, without the columns that have a flag.
func (c *call) quantize(q, s, x, flags uint64, N, K int) {
	c.perWideRow("quantize_rows", N, K, q, s, x, flags, i32(K))
}

// DequantizeRows: dst[n,k] = codes[n,k]·scale[n]/127.
func (d *Device) DequantizeRows(dst, codes, scale device.Buffer, N, K int) {
	c := d.begin("dequantize rows")
	defer c.end()
	o, q, s := c.operand("dst", dst, N*K), c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	c.dequantize(o, q, s, N, K, 0, K)
}

// dequantize: dst[n,i] = codes[n,from+i]·scale[n]/127 for i < width.
func (c *call) dequantize(dst, codes, scale uint64, N, K, from, width int) {
	c.launch(c.kernel("dequantize"), N, 1, rowThreads((width+15)/16), 0, dst, codes, scale, i32(K), i32(from), i32(width))
}

// outlierShare is the part of x's columns that may be outliers for a product of codes to pay: they are
// multiplied beside it, in one product of floats as wide as they are. On an H200, 8,192 rows by 3,584 and
// 18,944, codes took 0.77 of the time of bfloat16 and the pass over the result that adds the outliers 0.05 to 0.2.
const outlierShare = 8

// MatMulInt8: dst = x·Wᵀ after LLM.int8(). Many rows are a product of codes and one of the outliers, or
// where there are too many of them a product of floats, so that no input takes much longer than another;
// few rows go through a kernel of our own. The choice depends on the sizes and x alone.
func (d *Device) MatMulInt8(dst, x, codes, scale device.Buffer, T, N, K int, threshold float64) {
	d.MatMulInt8Shared(dst, x, codes, scale, T, N, K, threshold, false, false)
}

// MatMulInt8Shared has the activations' part from the product before, or keeps it for the next.
func (d *Device) MatMulInt8Shared(dst, x, codes, scale device.Buffer, T, N, K int, threshold float64, again, keep bool) {
	c := d.begin("matmul int8")
	defer c.end()
	p := int8Product{call: &c, n: N}
	o, v := c.operand("dst", dst, T*N), c.operand("x", x, T*K)
	p.dst, p.weights, p.scale = o, c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	if K > maxInt8Sum {
		c.fail("%d products of codes do not fit an int32, at most %d do", K, maxInt8Sum)
	}
	if c.failed || T*N == 0 {
		return
	}
	if K == 0 {
		c.zero(o, c.width()*T*N)
		return
	}
	p.int8Activations = c.activations(v, T, K, max(0, threshold), again)
	if T <= fewRows {
		p.ofFewRows()
	} else if c.count(&p.int8Activations); p.codesPay() {
		p.ofCodes()
	} else {
		p.ofFloats()
	}
	if keep {
		c.keep(p.int8Activations)
	}
}

// int8Product is one call of MatMulInt8.
type int8Product struct {
	*call
	int8Activations
	dst, weights, scale uint64
	n                   int
}

// codesPay tells whether a product of codes takes no longer than one of floats.
func (p *int8Product) codesPay() bool {
	fits := p.n%4 == 0 && p.k%16 == 0 && p.weights%16 == 0 // cuBLASLt's conditions
	return fits && outlierShare*p.outliers <= p.k
}

// ofFewRows is one kernel, bound by reading the weights.
func (p *int8Product) ofFewRows() {
	c := p.call
	c.quantized(&p.int8Activations)
	c.launch(c.kernel("int8_product"), (p.n+7)/8, (p.t+3)/4, 256, 0,
		p.dst, p.codes, p.rows, p.scale, p.x, p.weights, p.list, p.found, i32(p.t), i32(p.n), i32(p.k))
}

// ofCodes multiplies the codes, whose sums are exact, and then adds the product of the outliers.
func (p *int8Product) ofCodes() {
	c, T, N, K := p.call, p.t, p.n, p.k
	c.quantized(&p.int8Activations)
	block := evenBlock(N, c.d.int8Scratch/4/T)
	acc := c.temporary(4 * T * block)
	for from := 0; from < N; from += block {
		n := min(block, N-from)
		c.product(acc, p.codes, p.weights+uint64(from*K), gemm{m: T, n: n, k: K, transB: true, operands: device.Int8, result: device.Int32})
		c.launch(c.kernel("int8_finish"), (n+1023)/1024, T, 256, 0, p.dst, acc, p.rows, p.scale, i32(N), i32(from), i32(n))
	}
	if p.outliers > 0 {
		c.gather(&p.int8Activations)
		width := p.outlierWidth()
		w := c.temporary(c.width() * N * width)
		c.launch(c.kernel("dequantize_columns"), N, 1, 256, 0, w, p.weights, p.scale, p.list, i32(p.outliers), i32(K), i32(width))
		c.product(p.dst, p.gathered, w, gemm{m: T, n: N, k: width, transB: true, operands: c.stored, result: c.stored, accumulate: true})
	}
}

// ofFloats multiplies the activations, put back from their codes and outliers as they are, by the
// dequantized weights. Blocks of both are held at once; the activations are kept where they are one block.
func (p *int8Product) ofFloats() {
	c, width := p.call, p.width()
	limit := c.d.int8Scratch / width / p.k
	rows, block := evenBlock(p.t, limit), evenBlock(p.n, limit)
	x := p.rounded
	switch {
	case p.outliers == p.k:
		x, rows = p.x, p.t
	case x == 0:
		x = c.temporary(width * rows * p.k)
	}
	ready := x == p.x || x == p.rounded
	w := c.temporary(width * block * p.k)
	for from := 0; from < p.n; from += block {
		n := min(block, p.n-from)
		c.dequantize(w, p.weights+uint64(from*p.k), p.scale+uint64(4*from), n, p.k, 0, p.k)
		for top := 0; top < p.t; top += rows {
			m := min(rows, p.t-top)
			if !ready {
				c.perWideRow("requantize_rows", m, p.k, x, p.x+uint64(width*top*p.k), p.flags, i32(p.k))
				ready = rows == p.t
			}
			c.product(p.dst+uint64(width*(top*p.n+from)), x, w,
				gemm{m: m, n: n, k: p.k, transB: true, operands: c.stored, result: c.stored, stride: p.n})
		}
	}
	if rows == p.t && x != p.x {
		p.rounded = x
	}
}

// evenBlock cuts n into equal blocks of at most limit, of multiples of 64 where there are several.
func evenBlock(n, limit int) int {
	limit = max(64, limit/64*64)
	if n <= limit {
		return n
	}
	return (even(n, limit) + 63) / 64 * 64
}

// MatMulInt8Grad: dx = dy·W (+ c), in blocks of columns of the dequantized W, so that each element is summed by
// one product.
func (d *Device) MatMulInt8Grad(dx, plus, dy, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul int8 grad")
	defer c.end()
	o, y := c.operand("dx", dx, T*K), c.operand("dy", dy, T*N)
	w, s := c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	g := gemm{m: T, k: N, operands: c.stored, result: c.stored, stride: K, accumulate: plus != nil}
	if plus != nil {
		g.addend = c.operand("c", plus, T*K)
	}
	if c.failed || T*K == 0 {
		return
	}
	if N == 0 {
		g.n, g.k = K, 0
		c.product(o, 0, 0, g)
		return
	}
	addend := g.addend
	block := evenBlock(K, c.d.int8Scratch/c.width()/N)
	part := c.temporary(c.width() * N * block)
	for from := 0; from < K; from += block {
		n := min(block, K-from)
		c.dequantize(part, w, s, N, K, from, n)
		g.n = n
		if plus != nil {
			g.addend = addend + uint64(c.width()*from)
		}
		c.product(o+uint64(c.width()*from), y, part, g)
	}
}
