package generate

import "math/bits"

// philox is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
func philox(c [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		h0, l0 := bits.Mul32(0xD2511F53, c[0])
		h1, l1 := bits.Mul32(0xCD9E8D57, c[2])
		c = [4]uint32{h1 ^ c[1] ^ key[0], l1, h0 ^ c[3] ^ key[1], l0}
		key[0] += 0x9E3779B9
		key[1] += 0xBB67AE85
	}
	return c
}

// uniform is a number in [0, 1) that depends on nothing but the seed, the number of the sequence and
// the position of the token, so that a sequence's text is the same in any batch. The last word of the
// counter sets it apart from dropout's.
func uniform(seed uint64, sequence uint32, position int) float64 {
	lanes := philox([4]uint32{uint32(position), sequence, 0, 1}, [2]uint32{uint32(seed), uint32(seed >> 32)})
	return float64(uint64(lanes[0])<<21|uint64(lanes[1])>>11) / (1 << 53)
}
