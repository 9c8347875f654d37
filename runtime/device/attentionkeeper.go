package device

// AttentionKeeper is a Device whose attention keeps what its gradient needs, so that the gradient does not
// go through the scores once more to find it. Where a device has it, graphs are compiled to use it.
type AttentionKeeper interface {
	// AttentionKeep is Attention that also writes kept, Float [Queries, Heads], in the device's own way.
	AttentionKeep(dst, kept, q, k, v, lo, hi Buffer, s AttentionShape)
	// AttentionGradKept is AttentionGrad with the result of AttentionKeep on the same operands, and what it kept.
	AttentionGradKept(dq, dk, dv, q, k, v, result, kept, lo, hi, dy Buffer, s AttentionShape)
}
