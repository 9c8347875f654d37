package generate

import "triality/runtime/device"

// uniform is a number in [0, 1) that depends on nothing but the seed, the number of the sequence and
// the position of the token, so that a sequence's text is the same in any batch. The last word of the
// counter sets it apart from dropout's.
func uniform(seed uint64, sequence uint32, position int) float64 {
	lanes := device.Philox([4]uint32{uint32(position), sequence, 0, 1}, [2]uint32{uint32(seed), uint32(seed >> 32)})
	return float64(uint64(lanes[0])<<21|uint64(lanes[1])>>11) / (1 << 53)
}
