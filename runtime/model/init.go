package model

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
)

// embeddingStd is the standard deviation of fresh embeddings. The families' 0.02 suits widths in the
// thousands; at the widths of the named shapes a tied head that small, once frozen under an adapter,
// cannot give a confident answer.
const embeddingStd = 0.2

// Init makes fresh weights in memory, those of NewFresh.
func Init(cfg Config, seed uint64) (*Params, error) {
	f, err := NewFresh(cfg, seed)
	if err != nil {
		return nil, err
	}
	return ReadAll(f)
}

// Fresh is a Source of weights that training starts from: normal with mean 0, for linear weights with
// the variance 1/(3·fan-in) of PyTorch's nn.Linear; norms 1, biases 0. Element i of a weight is a
// pure function of (seed, name, i).
type Fresh struct {
	// Std, where not 0, is the standard deviation of every matrix instead, as transformers'
	// initializer_range.
	Std float64

	specs []Spec
	seed  uint64
}

// NewFresh checks the configuration.
func NewFresh(cfg Config, seed uint64) (*Fresh, error) {
	if err := cfg.Check(); err != nil {
		return nil, fmt.Errorf("initialise model: %w", err)
	}
	return &Fresh{specs: cfg.Specs(), seed: seed}, nil
}

// Names lists the weights in the order of the computation.
func (f *Fresh) Names() []string { return specNames(f.specs) }

// Shape gives a weight's shape.
func (f *Fresh) Shape(name string) ([]int, bool) { return specShape(f.specs, name) }

// ReadAt makes a part of a weight.
func (f *Fresh) ReadAt(name string, dst []float32, at int) error {
	shape, ok := f.Shape(name)
	if !ok {
		return noWeight(name)
	}
	switch {
	case strings.HasSuffix(name, "norm.weight"):
		for i := range dst {
			dst[i] = 1
		}
	case strings.HasSuffix(name, ".bias"):
		clear(dst)
	default:
		std := 1 / math.Sqrt(3*float64(shape[len(shape)-1]))
		switch {
		case f.Std != 0:
			std = f.Std
		case name == embedName:
			std = embeddingStd
		}
		normals(dst, at, std, f.seed, name)
	}
	return nil
}

// normals fills dst with elements at, at+1, …: pairs from the Box–Muller transform of a counter-based
// generator (splitmix64's finaliser, Steele et al. 2014).
func normals(dst []float32, at int, std float64, seed uint64, name string) {
	h := fnv.New64a()
	h.Write([]byte(name))
	key := mix(seed ^ mix(h.Sum64()))
	for i := at &^ 1; i < at+len(dst); i += 2 {
		u := (float64(mix(key+uint64(i))>>11) + 0.5) / (1 << 53)
		v := float64(mix(key+uint64(i)+1)>>11) / (1 << 53)
		r := std * math.Sqrt(-2*math.Log(u))
		sin, cos := math.Sincos(2 * math.Pi * v)
		if i >= at {
			dst[i-at] = float32(r * cos)
		}
		if i+1 < at+len(dst) {
			dst[i+1-at] = float32(r * sin)
		}
	}
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// NamedShape is a small model's sizes, for training from scratch and for demonstrations.
type NamedShape struct {
	Name                                           string
	Hidden, Layers, Heads, KVHeads, FFN, Positions int
}

// Shapes lists the named shapes, smallest first.
func Shapes() []NamedShape {
	return []NamedShape{
		{"micro", 128, 2, 4, 2, 384, 1024},
		{"tiny", 128, 4, 4, 2, 384, 1024},
		{"mini", 256, 6, 8, 4, 768, 2048},
		{"small", 512, 8, 8, 4, 1536, 2048},
	}
}

// Config gives the shape as a model of a family with a vocabulary.
func (s NamedShape) Config(modelType string, vocab int) (Config, error) {
	c := Config{
		ModelType: modelType, VocabSize: vocab, HiddenSize: s.Hidden, IntermediateSize: s.FFN,
		Layers: s.Layers, Heads: s.Heads, KVHeads: s.KVHeads, HeadDim: s.Hidden / s.Heads,
		MaxPositions: s.Positions, RMSNormEps: 1e-6, RopeTheta: 10000, TieEmbeddings: true, BOS: -1,
	}
	text, err := c.JSON() // with the family's own fields, which are then read as from a file
	if err != nil {
		return Config{}, err
	}
	return ParseConfig(text)
}
