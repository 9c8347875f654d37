package cuda

import "triality/runtime/device"

// The kernels of kernels/warpgroup_attention.h, for cards of capability 9.0: blocks of three warpgroups over tiles
// in rings of shared memory, with barriers of eight bytes.
const (
	warpgroupThreads = 384
	warpgroupKeyTile = 128 // keys that the forward pass takes at once; the others take 64
	forwardRing      = 5   // tiles in a ring
	queryGradRing    = 8
	keyGradRing      = 6
	ringBarriers     = 16 // bytes a tile
)

func warpgroupForwardShared(width int) int {
	return 2*width*queryTile + forwardRing*(2*width*warpgroupKeyTile+ringBarriers) + 8
}

func warpgroupQueryGradShared(width int) int {
	return 2*2*width*queryTile + queryGradRing*(2*width*stepTile+ringBarriers) + 8
}

func warpgroupKeyGradShared(width int) int {
	return 2*2*width*keyTile + keyGradRing*(2*width*stepTile+ringBarriers) + keyGradRing/2*8*reachTile + 8
}

// warpgroupKernels gives the names of these kernels and the bytes of shared memory that a block takes.
func warpgroupKernels() map[string]int {
	bytes := map[string]int{}
	for _, t := range []device.DType{device.BFloat16, device.Float16} {
		for _, w := range tensorWidths {
			bytes[attentionKernel("warpgroup_attention", t, w)] = warpgroupForwardShared(w)
			bytes[attentionKernel("warpgroup_query_grad", t, w)] = warpgroupQueryGradShared(w)
			bytes[attentionKernel("warpgroup_key_grad", t, w)] = warpgroupKeyGradShared(w)
		}
	}
	return bytes
}

// byWarpgroups tells whether these kernels are there and the operands' rows are aligned to the 16 bytes that they copy
// at once.
func (c *call) byWarpgroups(a attentionOperands, dy uint64) bool {
	if a.s.HeadDim%8 != 0 || (a.q|a.k|a.v|dy)%16 != 0 {
		return false
	}
	_, ok, _ := c.d.function(attentionKernel("warpgroup_attention", c.stored, tensorWidth(a.s.HeadDim))) // for some cards: no error
	return ok
}
