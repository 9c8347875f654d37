package device

// Quantized operations: linear modules with int8 weights after LLM.int8() (Dettmers et al. 2022) and
// AdamW with 8-bit states (Dettmers et al. 2021).
//
// Quantization is the same to the bit on every device: with s a row's largest magnitude, a code is x·f
// rounded to nearest even, where f = 127/s and x·f are each rounded to float32.
type Quantized interface {
	// QuantizeRows: scale[n] = max_k |w[n,k]| and the codes of w[n,:], zeros where the row is zero. w is
	// [N,K] of any float type, codes Int8, scale Float.
	QuantizeRows(codes, scale, w Buffer, N, K int)
	// DequantizeRows: dst[n,k] = codes[n,k]·scale[n]/127, in dst's float type.
	DequantizeRows(dst, codes, scale Buffer, N, K int)
	// MatMulInt8: dst[T,N] = x·Wᵀ with W[N,K] in int8 codes and scales. Columns k of x in which any
	// |x[t,k]| ≥ threshold are outliers: they are multiplied with the dequantized weights. The others are
	// quantized by row, with s[t] = max |x[t,k]| over the columns that are no outliers, and
	// summed in integers or, where that is faster, in float32: dst = s[t]·scale[n]/127²·Σ q·codes.
	// threshold 0 means no outliers. K is at most 130,000, so that an int32 holds every sum.
	MatMulInt8(dst, x, codes, scale Buffer, T, N, K int, threshold float64)
	// MatMulInt8Grad: dx[T,K] = dy[T,N]·W with the dequantized W: the gradient of MatMulInt8 by the
	// straight-through rule; plus c, [T,K] and maybe dx, where it is not nil.
	MatMulInt8Grad(dx, c, dy, codes, scale Buffer, T, N, K int)
	// AdamW8Step is AdamWStep with states in blocks of StateBlock elements: m and v are Int8 buffers of
	// p's length that hold codes of the signed and the unsigned dynamic map as bytes, mMax and vMax
	// Float buffers with the largest |m| and v of each block. The update uses the new moments before they are
	// stored. p and g are Float.
	AdamW8Step(p, g, m, v, mMax, vMax Buffer, c AdamW)
}

// StateBlock is the number of elements that share a scale in 8-bit optimizer states.
const StateBlock = 256
