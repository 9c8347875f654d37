package device

// ProductSum is a Device that takes the scaling of a matrix product and a sum with it into the product
// itself: one pass over the result instead of three. Where a device has it, graphs are compiled to use it;
// elsewhere they launch MatMul, Scale and Add.
type ProductSum interface {
	// MatMulAdd: dst[M,N] = s·op(a)·op(b) + c, with the operands of MatMul. c is [M,N] in dst's type and may
	// be dst; where it is nil nothing is added.
	MatMulAdd(dst, c, a, b Buffer, M, N, K int, transA, transB bool, s float64)
}

// NormGradSum is a Device whose gradient of RMSNorm adds another matrix on the way: that of the residual stream.
type NormGradSum interface {
	// RMSNormGradXAdd is RMSNormGradX plus c, [T,D]. dst may be dy or c.
	RMSNormGradXAdd(dst, c, x, w, dy Buffer, T, D int, eps float64)
}
