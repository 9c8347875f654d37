package config

import "cmp"

// Seeds are three, so that one can be kept while another changes: Split of the rows, Train of what is learned, Eval of the
// A/B test.
type Seeds struct{ Split, Train, Eval uint64 }

// Seeds gives each seed, or the pipeline's where it has none of its own.
func (p *Pipeline) Seeds() Seeds {
	return Seeds{cmp.Or(p.SeedSplit, p.Seed), cmp.Or(p.SeedTrain, p.Seed), cmp.Or(p.SeedEval, p.Seed)}
}

// SeedOf is the seed of a training among repeats, from 0: those that follow the first count on from its.
func (p *Pipeline) SeedOf(repeat int) uint64 { return p.Seeds().Train + uint64(repeat) }
