package device

// FP8 operations: linear modules whose weights, and activations while they are multiplied, are held in e4m3
// (Micikevicius et al. 2022), weights with a scale for each row, activations with one for each token, found as
// they come. Nothing depends on outliers, so that no input takes longer than another.
//
// Codes are the same to the bit on every device: with m the largest magnitude of a row, NaN passed over, scale
// and factor are E4M3Scale(m), and a code is ToE4M3(x·factor), where the factor and the product are each
// rounded to float32. Codes are in Int8 buffers, as bytes.
type FP8 interface {
	// QuantizeRowsFP8: the scale and the codes of each row of w[N,K], of any float type.
	QuantizeRowsFP8(codes, scale, w Buffer, N, K int)
	// DequantizeRowsFP8: dst[n,k] = scale[n]·codes[n,k], in dst's float type.
	DequantizeRowsFP8(dst, codes, scale Buffer, N, K int)
	// MatMulFP8: dst[T,N] = s[t]·scale[n]·Σ q[t,k]·codes[n,k], where q and s are the codes and scales of the rows of
	// x[T,K].
	MatMulFP8(dst, x, codes, scale Buffer, T, N, K int)
	// MatMulFP8Grad: dx[T,K] = s[t]·Σ q[t,n]·codes[n,k], where q and s are the codes and scales of the rows of
	// dy[t,n]·scale[n], rounded to float32; plus c, [T,K] and maybe dx, where it is not nil. It is the
	// gradient of MatMulFP8 by the straight-through rule, with dy in e4m3 too.
	MatMulFP8Grad(dx, c, dy, codes, scale Buffer, T, N, K int)
}

// FP8Sharer is a Device that finds the codes of activations once for all FP8 products that share them. Where
// a device has it, graphs are compiled to use it.
type FP8Sharer interface {
	// MatMulFP8Shared is MatMulFP8. keep tells that the next MatMulFP8Shared is on the same x, T and K, and x not
	// written before; again, that the last one told so.
	MatMulFP8Shared(dst, x, codes, scale Buffer, T, N, K int, again, keep bool)
}
