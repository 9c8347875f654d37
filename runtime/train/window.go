package train

import (
	"fmt"
	"math"
	"slices"
)

// plan cuts epochs into optimizer steps. An epoch is ceil(len(sequences)/batch) micro-batches, the
// last one maybe short; a step takes accumulate of them, the last of an epoch maybe fewer.
type plan struct {
	sequences         [][]int // indices of the examples that each is made of
	batch, accumulate int
	seed              uint64
	perEpoch, total   int

	epoch int // whose order is held; -1 when none is
	order []int
}

// newPlan plans epochs (a fraction is allowed; the steps are rounded up, as in transformers) over
// sequences. maxSteps > 0 sets the number of steps instead.
func newPlan(sequences [][]int, epochs float64, maxSteps, batch, accumulate int, seed uint64) *plan {
	p := &plan{sequences: sequences, batch: batch, accumulate: accumulate, seed: seed, epoch: -1}
	micro := (len(sequences) + batch - 1) / batch
	p.perEpoch = (micro + accumulate - 1) / accumulate
	p.total = int(math.Ceil(epochs * float64(p.perEpoch)))
	if maxSteps > 0 {
		p.total = maxSteps
	}
	return p
}

// window returns the micro-batches, as indices of examples, of the step that follows done steps.
func (p *plan) window(done int) [][]int {
	epoch, inEpoch := done/p.perEpoch, done%p.perEpoch
	if p.epoch != epoch {
		p.epoch, p.order = epoch, permutation(p.seed, epoch, len(p.sequences))
	}
	from := inEpoch * p.accumulate * p.batch
	to := min(len(p.order), from+p.accumulate*p.batch)
	var chosen [][]int
	for _, i := range p.order[from:to] {
		chosen = append(chosen, p.sequences[i])
	}
	return batches(chosen, p.batch)
}

// position is the epoch, with its fraction, after done steps.
func (p *plan) position(done int) float64 { return float64(done) / float64(p.perEpoch) }

// checkTrained looks for a step none of whose tokens is trained on, before any time is spent.
func (p *plan) checkTrained(set []Example) error {
	trains := make([]bool, len(set))
	for i, e := range set {
		trains[i] = e.trains()
	}
	for done := range p.total {
		all := slices.Concat(p.window(done)...)
		if !slices.ContainsFunc(all, func(i int) bool { return trains[i] }) {
			return fmt.Errorf("step %d (epoch %d): %w: train examples %s", done+1, done/p.perEpoch+1, ErrNothingTrained, someOf(all))
		}
	}
	return nil
}

// batches lists the examples of each size sequences, the last maybe of fewer.
func batches(sequences [][]int, size int) [][]int {
	var out [][]int
	for s := range slices.Chunk(sequences, size) {
		out = append(out, slices.Concat(s...))
	}
	return out
}

// someOf prints at most twenty of the indices.
func someOf(v []int) string {
	if len(v) > 20 {
		return fmt.Sprintf("%v and %d more", v[:20], len(v)-20)
	}
	return fmt.Sprint(v)
}
