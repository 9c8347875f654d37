package cuda

import (
	"math"

	"triality/runtime/device"
)

// int8Scratch is what MatMulInt8 may hold at once of its int32 sums, and its gradient of the dequantized
// weights, in bytes: 64 MiB under a memory limit of 12 GiB, more where there is more, since larger
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

// MatMulInt8: dst = x·Wᵀ after LLM.int8(). Many rows go through cuBLASLt where it takes the sizes, the
// others through a kernel of our own; the sums of codes are exact in both.
func (d *Device) MatMulInt8(dst, x, codes, scale device.Buffer, T, N, K int, threshold float64) {
	c := d.begin("matmul int8")
	defer c.end()
	o, v := c.operand("dst", dst, T*N), c.operand("x", x, T*K)
	w, s := c.bytes("codes", codes, N*K), c.floats("scale", scale, N)
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
	flags, list, found := c.outliers(v, T, K, threshold)
	q, rows := c.temporary(T*K), c.temporary(4*T)
	c.quantize(q, rows, v, flags, T, K)
	block := int8Block(T, N, c.d.int8Scratch)
	sums := gemm{m: T, n: block, k: K, transB: true, operands: device.Int8, result: device.Int32}
	if c.failed {
		return
	}
	if T <= fewRows || N%4 != 0 || K%16 != 0 || w%16 != 0 {
		c.launch(c.kernel("int8_product"), (N+7)/8, (T+3)/4, 256, 0, o, q, rows, s, v, w, list, found, i32(T), i32(N), i32(K))
		return
	}
	acc := c.temporary(4 * T * block)
	for from := 0; from < N; from += block {
		sums.n = min(block, N-from)
		c.product(acc, q, w+uint64(from*K), sums)
		c.launch(c.kernel("int8_finish"), (sums.n+63)/64, (T+63)/64, 256, 0,
			o, acc, rows, s, v, w, list, found, i32(T), i32(N), i32(K), i32(from), i32(sums.n))
	}
}

// int8Block is the number of columns, a multiple of 64 where it is not all, whose sums fit in scratch.
func int8Block(T, N, limit int) int {
	block := max(64, limit/4/T/64*64)
	if block >= N {
		return N
	}
	parts := (N + block - 1) / block
	return (N + 64*parts - 1) / (64 * parts) * 64
}

// outliers gives the flags of the columns of x with an element past the threshold, their list and its
// length, all on the card; zeros without a threshold.
func (c *call) outliers(x uint64, T, K int, threshold float64) (flags, list, found uint64) {
	if threshold <= 0 {
		return 0, 0, 0
	}
	flags, list, found = c.temporary(K), c.temporary(4*K), c.temporary(4)
	c.zero(flags, K)
	c.perWideRow("flag_outliers", T, K, flags, x, i32(K), f32(threshold))
	c.launch("list_outliers", 1, 1, 256, 0, list, found, flags, i32(K))
	return flags, list, found
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
	block := columnBlock(N, K, c.d.int8Scratch/c.width())
	part := c.temporary(c.width() * N * block)
	for from := 0; from < K; from += block {
		n := min(block, K-from)
		c.dequantize(part, w, s, N, K, from, n)
		c.product(o+uint64(c.width()*from), y, part, gemm{m: T, n: n, k: N, operands: c.stored, result: c.stored, stride: K})
	}
}

// columnBlock cuts K columns of N rows into equal blocks of at most limit elements, of multiples of 64
// columns where there are several.
func columnBlock(N, K, limit int) int {
	most := max(64, limit/N/64*64)
	if most >= K {
		return K
	}
	parts := (K + most - 1) / most
	return (K + 64*parts - 1) / (64 * parts) * 64
}
