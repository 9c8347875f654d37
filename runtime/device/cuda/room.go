package cuda

import (
	"unsafe"

	"triality/runtime/device"
)

var (
	_ device.FreeMemory  = (*Device)(nil)
	_ device.ScratchUser = (*Device)(nil)
)

// FreeMemory is what the next buffers can take: what the driver says is free and what is kept for them, as far as the
// limit allows.
func (d *Device) FreeMemory() (int64, bool) {
	c := d.begin("free memory")
	defer c.end()
	if c.failed {
		return 0, false
	}
	var free, total uint64
	if err := d.driver.memoryInfo(&free, &total); err != nil {
		return 0, false
	}
	return min(int64(free)+d.pool.idle, d.pool.limit-d.pool.used), true
}

func (d *driver) memoryInfo(free, total *uint64) error {
	return d.call(d.info, uintptr(unsafe.Pointer(free)), uintptr(unsafe.Pointer(total)))
}

// ScratchBytes bounds the logits of a block, with their gradients where those have a type of their own, and an adapter's
// weights turned, and what int8 products keep of the activations.
func (d *Device) ScratchBytes(w device.Work) int64 {
	tokens, width, vocab := int64(w.Tokens), int64(w.Width), int64(w.Vocab)
	logits := 4 * min(tokens*vocab, int64(d.logits))
	if w.Matrices != device.Float {
		logits = 6 * min(tokens*vocab, int64(d.narrowLogits))
	}
	bytes := logits + 4*min(tokens, 2048)*width + 16*tokens
	if w.Matrices != device.Float {
		bytes += 2 * width * int64(adaptedRanks[len(adaptedRanks)-1]) // a turned term
	}
	if w.Int8 {
		bytes += tokens * width * 5 // codes, and what is gathered and rounded in the storage type
	}
	return bytes
}
