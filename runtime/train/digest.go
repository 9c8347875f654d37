package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"sync"

	"triality/runtime/model"
	"triality/runtime/ordered"
)

// HashWeights is the digest, in hexadecimal, of a model's weights: the SHA-256 of, for each weight, its
// name and shape, and the SHA-256 of each of its safetensors.Parts as little-endian float32. In parts, so
// that it is made on all processors.
func HashWeights(src model.Source) (string, error) { return hashing(src).sum() }

// hashWeights is the digest of weights in memory.
func hashWeights(weights []Weight) (string, error) {
	list := make([]model.Param, len(weights))
	for i, w := range weights {
		list[i] = model.Param{Name: w.Name, Shape: w.Shape, Data: w.Data}
	}
	p, err := model.NewParams(list...)
	if err != nil {
		return "", err
	}
	return HashWeights(p)
}

func hashValues(v []float32) (sum [sha256.Size]byte) {
	h := sha256.New()
	var buf [1 << 14]byte
	for len(v) > 0 {
		n := min(len(v), len(buf)/4)
		for i, x := range v[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(x))
		}
		h.Write(buf[:4*n])
		v = v[n:]
	}
	h.Sum(sum[:0])
	return sum
}

// hashed is a source that hashes the parts that are read of it.
type hashed struct {
	model.Source
	mu   sync.Mutex
	sums map[place][sha256.Size]byte
}

// place is a part of a weight.
type place struct {
	name  string
	at, n int
}

func hashing(src model.Source) *hashed {
	return &hashed{Source: src, sums: make(map[place][sha256.Size]byte)}
}

func (h *hashed) ReadAt(name string, dst []float32, at int) error {
	if err := h.Source.ReadAt(name, dst, at); err != nil {
		return err
	}
	sum := hashValues(dst)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sums[place{name, at, len(dst)}] = sum
	return nil
}

// sum is HashWeights of the source; parts that were read already are not read again.
func (h *hashed) sum() (string, error) {
	parts, err := model.Parts(h)
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	err = ordered.Run(len(parts), func(i int, room *[]float32) error {
		p := parts[i]
		if _, ok := h.known(p); ok {
			return nil
		}
		*room = slices.Grow((*room)[:0], p.N)
		return h.ReadAt(p.Name, (*room)[:p.N], p.At)
	}, func(i int, _ *[]float32) error {
		p := parts[i]
		if p.At == 0 {
			fmt.Fprintf(digest, "%q %v\n", p.Name, p.Shape)
		}
		sum, _ := h.known(p)
		digest.Write(sum[:])
		return nil
	})
	return hex.EncodeToString(digest.Sum(nil)), err
}

func (h *hashed) known(p model.Part) ([sha256.Size]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum, ok := h.sums[place{p.Name, p.At, p.N}]
	return sum, ok
}
