package model

import (
	"math"

	G "gorgonia.org/gorgonia"

	"triality/runtime/graph"
)

// The leaves that DeviceParams computes for models whose queries grow with the position.
const (
	growthName     = "rotary.growth"
	growthOnesName = "rotary.growth_ones"
	// growthWidth is the columns of the two, of which one is used: matrix products want rows of 16 bytes.
	growthWidth = 8
)

// growth is the factor of q at a position.
func (r Rope) growth(position int) float32 {
	return float32(1 + r.QueryGrowth*math.Log(float64(1+position/r.Original)))
}

// computed are the leaves that DeviceParams computes from the configuration.
func (c Config) computed() []Spec {
	out := []Spec{{freqName, []int{c.Rotary() / 2}}}
	if c.Rope.QueryGrowth != 0 {
		out = append(out, Spec{growthName, []int{c.MaxPositions, growthWidth}}, Spec{growthOnesName, []int{c.Heads * c.HeadDim, growthWidth}})
	}
	return out
}

// putGrowth puts up what Builder.grown reads.
func (d *DeviceParams) putGrowth() error {
	if d.cfg.Rope.QueryGrowth == 0 {
		return nil
	}
	positions, width := d.cfg.MaxPositions, d.cfg.Heads*d.cfg.HeadDim
	table, ones := make([]float32, positions*growthWidth), make([]float32, width*growthWidth)
	for p := range positions {
		table[p*growthWidth] = d.cfg.Rope.growth(p)
	}
	for i := range width {
		ones[i*growthWidth] = 1
	}
	if err := d.Put(growthName, []int{positions, growthWidth}, table); err != nil {
		return err
	}
	return d.Put(growthOnesName, []int{width, growthWidth}, ones)
}

// grown is q with each row multiplied by its position's growth: the table's row of the position times a
// matrix of ones in its first column, so that the product has q's shape.
func (b *Builder) grown(q *G.Node, in Inputs) (*G.Node, error) {
	row, err := graph.Embedding(b.weight(growthName, b.cfg.MaxPositions, growthWidth), in.Pos)
	if err != nil {
		return nil, err
	}
	factor, err := graph.MatMul(row, b.weight(growthOnesName, b.cfg.Heads*b.cfg.HeadDim, growthWidth), false, true)
	if err != nil {
		return nil, err
	}
	return graph.Mul(q, factor)
}
