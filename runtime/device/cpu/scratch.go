package cpu

import "triality/runtime/device"

// packed is what the blocks of products, attention and their transposes take at most.
const packed = 12 << 20

// ScratchBytes is what the workspaces grow to: the blocks of products, of each processor a little, the logits of a
// block and their gradients; with int8 the rounded activations and a block of dequantized weights.
func (d *Device) ScratchBytes(w device.Work) int64 {
	blockT := min(w.Tokens, max(256, min(1024, d.logits/max(1, w.Vocab))))
	blockV := min(w.Vocab, max(1, d.logits/max(1, blockT)))
	floats := int64(blockT)*int64(blockV) + int64(blockT)*int64(w.Width) + 4*int64(w.Tokens)
	if w.Gradient {
		floats += int64(blockT) * int64(w.Width)
	}
	if w.Int8 {
		floats += int64(w.Tokens)*int64(w.Width) + int64(max(4<<20, 16*w.Width))
	}
	return packed + int64(len(d.ws))<<20 + 4*(floats+floats/8)
}
