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

// Init makes fresh weights: normal with mean 0, for linear weights with the variance 1/(3·fan-in) of
// PyTorch's nn.Linear; norms 1, biases 0. Element i of a weight is a pure function of (seed, name, i).
func Init(cfg Config, seed uint64) (*Params, error) {
	if err := cfg.Check(); err != nil {
		return nil, fmt.Errorf("initialise model: %w", err)
	}
	specs := cfg.Specs()
	p := &Params{byName: make(map[string]*Param, len(specs))}
	for _, s := range specs {
		n := 1
		for _, d := range s.Shape {
			n *= d
		}
		data := make([]float32, n)
		switch {
		case strings.HasSuffix(s.Name, "norm.weight"):
			for i := range data {
				data[i] = 1
			}
		case strings.HasSuffix(s.Name, ".bias"):
		default:
			std := 1 / math.Sqrt(3*float64(s.Shape[len(s.Shape)-1]))
			if s.Name == embedName {
				std = embeddingStd
			}
			normals(data, std, seed, s.Name)
		}
		if err := p.Set(Param{s.Name, s.Shape, data}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// normals fills data by the Box–Muller transform of a counter-based generator (splitmix64's
// finaliser, Steele et al. 2014).
func normals(data []float32, std float64, seed uint64, name string) {
	h := fnv.New64a()
	h.Write([]byte(name))
	key := mix(seed ^ mix(h.Sum64()))
	for i := 0; i < len(data); i += 2 {
		u := (float64(mix(key+uint64(i))>>11) + 0.5) / (1 << 53)
		v := float64(mix(key+uint64(i)+1)>>11) / (1 << 53)
		r := std * math.Sqrt(-2*math.Log(u))
		sin, cos := math.Sincos(2 * math.Pi * v)
		data[i] = float32(r * cos)
		if i+1 < len(data) {
			data[i+1] = float32(r * sin)
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
	fam, err := familyOf(modelType)
	if err != nil {
		return Config{}, err
	}
	c := Config{
		ModelType: modelType, VocabSize: vocab, HiddenSize: s.Hidden, IntermediateSize: s.FFN,
		Layers: s.Layers, Heads: s.Heads, KVHeads: s.KVHeads, HeadDim: s.Hidden / s.Heads,
		MaxPositions: s.Positions, RMSNormEps: 1e-6, RopeTheta: 10000, TieEmbeddings: true, BOS: -1,
	}
	if err := fam.details(&c, &file{}); err != nil {
		return Config{}, err
	}
	return c, c.Check()
}
