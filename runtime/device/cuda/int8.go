package cuda

import (
	"math"
	"unsafe"

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

// outlierShare is the part of x's columns that may be outliers where products of codes are used, whose
// outliers are added on plain cores: those of one column in 128 take about as long as a half of a product
// of floats.
const outlierShare = 128

// productsOfCodesPay tells whether the card multiplies int8 faster than 16-bit floats, by enough for the
// passes before and after. On an H200 cuBLASLt gave 610–900 TOP/s in int8 and 720–810 TFLOP/s in bfloat16;
// cards of the next generation for servers have less int8 still. The others have at least twice as much.
func productsOfCodesPay(capability int) bool { return capability < 90 || capability >= 120 }

// MatMulInt8: dst = x·Wᵀ after LLM.int8(). Many rows are a product of codes through cuBLASLt where that
// pays and outliers are few, and a product of floats elsewhere, so that no input takes much longer than
// another; few rows go through a kernel of our own. The choice depends on the card and x alone.
func (d *Device) MatMulInt8(dst, x, codes, scale device.Buffer, T, N, K int, threshold float64) {
	c := d.begin("matmul int8")
	defer c.end()
	p := int8Product{call: &c, t: T, n: N, k: K}
	p.dst, p.x = c.operand("dst", dst, T*N), c.operand("x", x, T*K)
	p.codes, p.scale = c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	if K > maxInt8Sum {
		c.fail("%d products of codes do not fit an int32, at most %d do", K, maxInt8Sum)
	}
	switch {
	case c.failed || T*N == 0:
		return
	case K == 0:
		c.zero(p.dst, c.width()*T*N)
		return
	}
	p.flag(threshold)
	if T > fewRows && c.stored != device.Float && !d.codesPay {
		p.ofFloats()
		return
	}
	p.listOutliers()
	if T > fewRows && p.flags != 0 && c.number(p.found) > K/outlierShare {
		p.ofFloats()
		return
	}
	p.ofCodes()
}

// number reads an int32 of the card, after all work before.
func (c *call) number(at uint64) int {
	n := new(int32)
	if !c.failed {
		c.check("copy", c.d.driver.copyOut(unsafe.Pointer(n), at, 4, c.d.stream))
		_ = c.wait() // kept in the call
	}
	return int(*n)
}

// int8Product is one call of MatMulInt8. flags, list and found are the outlier columns, 0 where there is no
// threshold.
type int8Product struct {
	*call
	dst, x, codes, scale uint64
	flags, list, found   uint64
	t, n, k              int
}

// flag marks the columns of x with an element past the threshold.
func (p *int8Product) flag(threshold float64) {
	if threshold > 0 {
		p.flags = p.temporary(p.k)
		p.zero(p.flags, p.k)
		p.perWideRow("flag_outliers", p.t, p.k, p.flags, p.x, i32(p.k), f32(threshold))
	}
}

// listOutliers lists the flagged columns and counts them, on the card.
func (p *int8Product) listOutliers() {
	if p.flags != 0 {
		p.list, p.found = p.temporary(4*p.k), p.temporary(4)
		p.launch("list_outliers", 1, 1, 256, 0, p.list, p.found, p.flags, i32(p.k))
	}
}

// ofFloats multiplies the activations, put back from their codes and outliers as they are, by the
// dequantized weights. Its time does not depend on the outliers. Blocks of both operands are held at once.
func (p *int8Product) ofFloats() {
	c, width := p.call, p.width()
	rows, block := evenBlock(p.t, c.d.int8Scratch/width/p.k), evenBlock(p.n, c.d.int8Scratch/width/p.k)
	x, w := c.temporary(width*rows*p.k), c.temporary(width*block*p.k)
	for from := 0; from < p.n; from += block {
		n := min(block, p.n-from)
		c.dequantize(w, p.codes+uint64(from*p.k), p.scale+uint64(4*from), n, p.k, 0, p.k)
		for top := 0; top < p.t; top += rows {
			m := min(rows, p.t-top)
			if from == 0 || rows < p.t {
				c.perWideRow("requantize_rows", m, p.k, x, p.x+uint64(width*top*p.k), p.flags, i32(p.k))
			}
			c.product(p.dst+uint64(width*(top*p.n+from)), x, w,
				gemm{m: m, n: n, k: p.k, transB: true, operands: c.stored, result: c.stored, stride: p.n})
		}
	}
}

// ofCodes multiplies codes, through cuBLASLt where it takes the sizes; the sums of codes are exact.
func (p *int8Product) ofCodes() {
	c, T, N, K := p.call, p.t, p.n, p.k
	q, rows := c.temporary(T*K), c.temporary(4*T)
	c.quantize(q, rows, p.x, p.flags, T, K)
	block := evenBlock(N, c.d.int8Scratch/4/T)
	sums := gemm{m: T, n: block, k: K, transB: true, operands: device.Int8, result: device.Int32}
	if T <= fewRows || N%4 != 0 || K%16 != 0 || p.codes%16 != 0 {
		c.launch(c.kernel("int8_product"), (N+7)/8, (T+3)/4, 256, 0,
			p.dst, q, rows, p.scale, p.x, p.codes, p.list, p.found, i32(T), i32(N), i32(K))
		return
	}
	acc := c.temporary(4 * T * block)
	for from := 0; from < N; from += block {
		sums.n = min(block, N-from)
		c.product(acc, q, p.codes+uint64(from*K), sums)
		c.launch(c.kernel("int8_finish"), (sums.n+63)/64, (T+63)/64, 256, 0,
			p.dst, acc, rows, p.scale, p.x, p.codes, p.list, p.found, i32(T), i32(N), i32(K), i32(from), i32(sums.n))
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

// MatMulInt8Grad: dx = dy·W, in blocks of columns of the dequantized W, so that each element is summed by
// one product.
func (d *Device) MatMulInt8Grad(dx, dy, codes, scale device.Buffer, T, N, K int) {
	c := d.begin("matmul int8 grad")
	defer c.end()
	o, y := c.operand("dx", dx, T*K), c.operand("dy", dy, T*N)
	w, s := c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
	if c.failed || T*K == 0 {
		return
	}
	if N == 0 {
		c.zero(o, c.width()*T*K)
		return
	}
	block := evenBlock(K, c.d.int8Scratch/c.width()/N)
	part := c.temporary(c.width() * N * block)
	for from := 0; from < K; from += block {
		n := min(block, K-from)
		c.dequantize(part, w, s, N, K, from, n)
		c.product(o+uint64(c.width()*from), y, part, gemm{m: T, n: n, k: N, operands: c.stored, result: c.stored, stride: K})
	}
}
