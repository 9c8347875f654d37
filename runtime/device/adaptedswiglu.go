package device

// LowRank is a term s·a·bᵀ that is added to a matrix [T,N]: a is [T,R], b [N,R], or [R,N] where it is Turned. There is
// none without A.
type LowRank struct {
	A, B   Buffer
	S      float64
	Turned bool
}

// AdaptedSwiGLU is a Device whose SwiGLU adds on the way what adapters add to the modules around it, so that those
// sums, the widest of a model, are not passes of their own. Terms are not rounded before they are added.
type AdaptedSwiGLU interface {
	// TakesLowRank tells whether that is so for N columns and terms of rank R, all stored in t. Elsewhere the
	// operations below are right but no faster than their parts.
	TakesLowRank(N, R int, t DType) bool
	// SwiGLUAdapted: dst = silu(gate + g)·(up + u), [T,N]. dst may be gate or up.
	SwiGLUAdapted(dst, gate, up Buffer, g, u LowRank, T, N, R int)
	// SwiGLUGradAdapted is SwiGLUGrad of gate + g, up + u and dy + y, [T,N]. Results may be gate, up or dy.
	SwiGLUGradAdapted(dgate, dup, gate, up, dy Buffer, g, u, y LowRank, T, N, R int)
}
