package device

// HostMemory is a Device with memory of the host that it copies to and from by itself, without a stop on the
// way. What is uploaded from there may be read until the next Sync, and must not change before.
type HostMemory interface {
	// AllocHost gives n zeroed elements: []float32 for Float, []int8 for Int8.
	AllocHost(t DType, n int) (any, error)
	// FreeHost gives memory of AllocHost back.
	FreeHost(memory any)
	// Fetch is Download into the whole of such memory, which holds src after the next Sync.
	Fetch(dst any, src Buffer) error
}
