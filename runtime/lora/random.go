package lora

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// kaimingUniform fills a with peft's initial values of A, torch's kaiming_uniform_(a=√5) over in
// inputs: uniform in ±1/√in. The draws come from ChaCha8 keyed by (seed, name), so they depend on
// nothing else.
func kaimingUniform(a []float32, in int, seed uint64, name string) {
	src := draws(seed, name)
	bound := 1 / math.Sqrt(float64(in))
	for i := range a {
		u := float64(src.Uint64()>>11) / (1 << 53) // [0, 1)
		a[i] = float32((2*u - 1) * bound)
	}
}

// normal fills b with peft's initial values of an embedding's B, normal with variance 1.
func normal(b []float32, seed uint64, name string) {
	r := rand.New(draws(seed, name))
	for i := range b {
		b[i] = float32(r.NormFloat64())
	}
}

func draws(seed uint64, name string) *rand.ChaCha8 {
	key := binary.LittleEndian.AppendUint64([]byte("triality lora init"), seed)
	return rand.NewChaCha8(sha256.Sum256(append(key, name...)))
}
