package dataset

import (
	"context"
	"runtime"
)

// Overlap is how much of one set of rows is in another that it is to be held out of.
type Overlap struct {
	Group    int // rows whose source_sample is in the other set
	Near     int // rows that are near-duplicates of one in the other set
	Either   int // rows that are one or both
	Unproven int // rows that may be near-duplicates: too many comparisons were in vain (see NearDuplicates)
}

// bruteComparisons is up to how many pairs are all compared, without an index.
const bruteComparisons = 3_000_000

// Compare finds which held rows are in train, by group and as near-duplicates: Jaccard similarity of at least 0.7 of
// their texts' character 5-gram sets. It knows nothing of how the rows were split. Small sets are compared pair by pair;
// large ones through the index of NearDuplicates. done, which may be nil, counts rows of both sets three times. The
// error is the context's.
func Compare(ctx context.Context, train, held []*Row, done func(int)) (Overlap, error) {
	if done == nil {
		done = func(int) {}
	}
	if len(train)*len(held) <= bruteComparisons {
		return compareBy(ctx, nearByPairs, train, held, done)
	}
	return compareBy(ctx, nearByIndex, train, held, done)
}

// finder marks the held rows that are near one of train, and those that may be.
type finder func(ctx context.Context, train, held []*Row, near, unproven []bool, done func(int)) error

// compareBy is Compare with the one or the other way to find near-duplicates.
func compareBy(ctx context.Context, find finder, train, held []*Row, done func(int)) (Overlap, error) {
	near, unproven := make([]bool, len(held)), make([]bool, len(held))
	if err := find(ctx, train, held, near, unproven, done); err != nil {
		return Overlap{}, err
	}
	groups := map[string]bool{}
	for _, r := range train {
		if r.Group != "" {
			groups[r.Group] = true
		}
	}
	var o Overlap
	for i, r := range held {
		if groups[r.Group] {
			o.Group++
		}
		if near[i] {
			o.Near++
		} else if unproven[i] {
			o.Unproven++
		}
		if groups[r.Group] || near[i] {
			o.Either++
		}
	}
	return o, nil
}

// nearByPairs compares each held row with every training row until one is near.
func nearByPairs(ctx context.Context, train, held []*Row, near, _ []bool, done func(int)) error {
	workers := make([]struct {
		shingler
		set
	}, runtime.GOMAXPROCS(0))
	of := make([][]uint64, len(train))
	sizes := make([]int, len(train))
	for t, r := range train {
		w := &workers[0]
		w.fill(w.of(r.Text()))
		for _, k := range w.keys {
			if k != 0 {
				of[t] = append(of[t], k)
			}
		}
		sizes[t] = w.size
	}
	done(len(train))
	return each(ctx, len(held), func(worker, i int) error {
		w := &workers[worker]
		w.fill(w.of(held[i].Text()))
		for t := range of {
			if close := min(w.size, sizes[t]) >= least(max(w.size, sizes[t])); close && isNear(w.size, sizes[t], w.common(of[t])) {
				near[i] = true
				break
			}
		}
		return nil
	})
}

// nearByIndex joins both sets.
func nearByIndex(ctx context.Context, train, held []*Row, near, unproven []bool, done func(int)) error {
	texts := make([]string, 0, len(train)+len(held))
	for _, set := range [][]*Row{train, held} {
		for _, r := range set {
			texts = append(texts, r.Text())
		}
	}
	c, err := newCorpus(ctx, texts, done)
	if err != nil || c.classes() == 0 {
		return err
	}
	// By class: whether it has rows of train, whether it has held ones that are not known to be near one, and those that
	// may be.
	trains, open := make([]bool, c.classes()), make([]bool, c.classes())
	mark := func(k int, as []bool) {
		for _, r := range c.members(k) {
			if int(r) >= len(train) {
				as[int(r)-len(train)] = true
			}
		}
		open[k] = false
	}
	for k := range trains {
		for _, r := range c.members(k) {
			trains[k] = trains[k] || int(r) < len(train)
			open[k] = open[k] || int(r) >= len(train)
		}
		if trains[k] && open[k] {
			mark(k, near)
		}
	}
	settled := append([]bool(nil), open...) // as the comparing goroutines see it
	take := func(as []bool) func(x, y int) {
		return func(x, y int) {
			if trains[x] && open[y] {
				mark(y, as)
			}
			if trains[y] && open[x] {
				mark(x, as)
			}
		}
	}
	j := joiner{
		corpus: c, budget: budgetOf(c.classes()),
		wanted: func(x, y int) bool { return trains[x] && settled[y] || trains[y] && settled[x] },
		settle: func() { copy(settled, open) },
		hub:    func(y int) int { return y },
		found:  take(near), beyond: take(unproven),
	}
	return j.run(ctx, func(n int) { done(2*len(texts) + n*len(texts)/c.classes()) })
}
