package config

import "cmp"

// Seeds are three, so that one can be kept while another changes: Split of the rows, Train of what is learned, Eval of the
// A/B test.
type Seeds struct{ Split, Train, Eval uint64 }

// Seeds gives each seed, or the pipeline's where it has none of its own.
func (p *Pipeline) Seeds() Seeds {
	return Seeds{cmp.Or(p.SeedSplit, p.Seed), cmp.Or(p.SeedTrain, p.Seed), cmp.Or(p.SeedEval, p.Seed)}
}
