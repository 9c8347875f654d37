package finetunebench

import (
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"triality/runtime/model"
)

// Weights of models this large are read from a table of normal values from a place on that their name gives, since
// drawing billions of them takes longer than training on them. Its length is prime, so rows of no width repeat soon.
const tableSize = 1_000_003

// std is transformers' initializer_range, which the peer has.
const std = 0.02

// loud is what the norms of outlier channels multiply by: most rows then pass int8's threshold there.
const loud = 8

// weights is a model.Source of random weights.
type weights struct {
	model.Source // names and shapes
	table        []float32
	outliers     int // input channels that each layer's norms make loud, as those of trained models do
}

func newWeights(cfg model.Config, seed uint64, outliers int) (*weights, error) {
	fresh, err := model.NewFresh(cfg, seed)
	if err != nil {
		return nil, err
	}
	w := &weights{Source: fresh, table: make([]float32, tableSize), outliers: outliers}
	rng := rand.New(rand.NewPCG(seed, 7))
	for i := range w.table {
		w.table[i] = float32(std * rng.NormFloat64())
	}
	return w, nil
}

// ReadAt makes a part of a weight.
func (w *weights) ReadAt(name string, dst []float32, at int) error {
	shape, ok := w.Shape(name)
	switch {
	case !ok || strings.HasSuffix(name, ".bias"):
		return w.Source.ReadAt(name, dst, at)
	case strings.HasSuffix(name, "layernorm.weight"):
		for i := range dst {
			// outliers of shape[0] channels, evenly spread
			dst[i] = 1
			if n, c := w.outliers, at+i; n > 0 && c*n%shape[0] < n {
				dst[i] = loud
			}
		}
		return nil
	case strings.HasSuffix(name, "norm.weight"):
		return w.Source.ReadAt(name, dst, at)
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	from := int((h.Sum64()%tableSize + uint64(at)) % tableSize)
	for len(dst) > 0 {
		n := copy(dst, w.table[from:])
		dst, from = dst[n:], 0
	}
	return nil
}
