package device

// LossAndGrad is a Device that gives a loss and its gradient in one pass over the logits. Where a device has
// it, graphs are compiled to use it.
type LossAndGrad interface {
	// CrossEntropyBoth is CrossEntropy and CrossEntropyGrad on the same operands. dnll may not overlap nll.
	CrossEntropyBoth(nll, dh, dw, h, w, labels, dnll Buffer, T, D, V int)
}
