package train

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// permutation is the order in which an epoch visits n examples: a Fisher–Yates shuffle drawn from
// ChaCha8 (C2SP chacha8rand, a counter-based generator) under a key made of seed and epoch, so that
// any epoch's order is known without replaying those before it.
func permutation(seed uint64, epoch, n int) []int {
	key := binary.LittleEndian.AppendUint64([]byte("triality train order"), seed)
	key = binary.LittleEndian.AppendUint64(key, uint64(epoch))
	src := rand.NewChaCha8(sha256.Sum256(key))
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := int(below(src, uint64(i+1)))
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// below draws a number in [0, n) without bias: draws from the incomplete last span are thrown away.
func below(src rand.Source, n uint64) uint64 {
	limit := -n % n // 2⁶⁴ mod n
	for {
		if v := src.Uint64(); v >= limit {
			return v % n
		}
	}
}
