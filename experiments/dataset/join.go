package dataset

import (
	"context"
	"runtime"
	"slices"
)

// comparisons bounds how many pairs of classes are compared exactly in vain. Only corpora of more than
// 20,000 rows that are nearly all between 0.67 and 0.7 alike come to it.
const comparisons = 400_000_000

// budgetOf is how many of them each of n classes has.
func budgetOf(n int) int { return max(2000, comparisons/n) }

// joiner finds the pairs of a corpus's classes that are near. wanted says whether a pair matters, and is called
// from several goroutines; found takes one that is near, on the caller's. What found changes wanted may see
// from settle on, so which pairs are found does not depend on the goroutines.
type joiner struct {
	*corpus
	wanted func(x, y int) bool
	found  func(x, y int)
	// hub names what y stands for: once x is found near a class of a hub, others of that hub are passed over.
	hub func(y int) int
	// settle is called when found has taken a block's pairs.
	settle func()
	// beyond takes a pair that may be near and was not compared, since too many others had been.
	beyond func(x, y int)
	budget int // exact comparisons in vain, by class
}

// prober is what one goroutine compares with.
type prober struct {
	ranker
	spans [][]uint32
	seen  []uint32 // by class: the last x that looked at it, plus one
	hubs  []uint32 // by hub: the last x that is known to be near one of it, plus one
}

// pair is two classes; checked is false where they were not compared.
type pair struct {
	x, y    int
	checked bool
}

// run joins; done counts the classes that are.
func (j *joiner) run(ctx context.Context, done func(int)) error {
	n := j.classes()
	probers := make([]prober, runtime.GOMAXPROCS(0))
	var pairs [][]pair
	// Classes of one block do not see what the block joins: in a small one they compare little in vain.
	const most = 64
	for from := 0; from < n; from += most {
		block := min(most, n-from)
		pairs = slices.Grow(pairs[:0], block)[:block]
		err := each(ctx, block, func(w, i int) error {
			p := &probers[w]
			if p.seen == nil {
				p.seen, p.hubs = make([]uint32, n), make([]uint32, n)
			}
			pairs[i] = j.probe(p, from+i)
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		any := false
		for _, list := range pairs {
			any = any || len(list) > 0
			for _, q := range list {
				if q.checked {
					j.found(q.x, q.y)
				} else {
					j.beyond(q.x, q.y)
				}
			}
		}
		if any {
			j.settle()
		}
		done(from + block)
	}
	return nil
}

// probe finds the classes before x that are near it.
func (j *joiner) probe(p *prober, x int) (out []pair) {
	size, budget := int(j.size[x]), j.budget
	mark := uint32(x) + 1
	order, sign := p.rank(j.corpus, x), j.signature(x)
	low, _ := slices.BinarySearch(j.size, uint32(least(size)))
	try := func(y int) {
		if p.seen[y] == mark {
			return
		}
		p.seen[y] = mark
		if !j.wanted(x, y) || p.hubs[j.hub(y)] == mark {
			return
		}
		need := needed(size, int(j.size[y]))
		if !within(sign, j.signature(y), size+int(j.size[y])-2*need) {
			return
		}
		if budget == 0 {
			p.hubs[j.hub(y)] = mark
			out = append(out, pair{x, y, false})
			return
		}
		if p.common(p.of(j.text(y))) < need {
			budget--
			return
		}
		p.hubs[j.hub(y)] = mark
		out = append(out, pair{x, y, true})
	}
	// Where the index has more entries to look at than there are classes, these are looked at in turn.
	spans, entries := p.spans[:0], 0
	for i, e := range order[:probed(size)] {
		b := bucketAt(e, len(j.rarity))
		list := j.posting[j.bucket[b]:j.bucket[b+1]]
		// With i elements passed, the sets have at most size − i in common: y cannot be larger than this.
		most := min(size, 17*(size-i)/7-size)
		from, _ := slices.BinarySearch(list, uint32(low))
		to, _ := slices.BinarySearchFunc(list, most, func(y uint32, most int) int {
			if int(y) >= x || int(j.size[y]) > most {
				return 1
			}
			return -1
		})
		if from < to {
			spans = append(spans, list[from:to])
			entries += to - from
		}
	}
	p.spans = spans
	if entries > x-low {
		for y := low; y < x; y++ {
			try(y)
		}
		return out
	}
	for _, span := range spans {
		for _, y := range span {
			try(int(y))
		}
	}
	return out
}
