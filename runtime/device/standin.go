package device

// StandIn is a Device that takes another's place while memory is planned: graphs are joined as for that other
// one, and nothing is computed.
type StandIn interface {
	Device
	// StandsFor is the other device.
	StandsFor() Device
}

// ScratchUser is a Device that says how much memory operations take for themselves while they run, beside the
// buffers that they are given: an upper bound in bytes.
type ScratchUser interface {
	ScratchBytes(w Work) int64
}

// Work is what operations run over, as far as their scratch memory depends on it.
type Work struct {
	Tokens   int  // rows of activations
	Width    int  // of the widest activations
	Vocab    int  // columns of the logits
	Int8     bool // weights are held in codes
	Gradient bool // of the logits too
	Matrices DType
}
