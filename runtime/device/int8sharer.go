package device

// Int8Sharer is a Device that finds outliers and codes of activations once for all int8 products that share
// them. Where a device has it, graphs are compiled to use it.
type Int8Sharer interface {
	// MatMulInt8Shared is MatMulInt8. keep tells that the next MatMulInt8Shared is on the same x, T, K and
	// threshold, and x not written before; again, that the last one told so.
	MatMulInt8Shared(dst, x, codes, scale Buffer, T, N, K int, threshold float64, again, keep bool)
}
