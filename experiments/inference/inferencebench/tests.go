package inferencebench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"triality/experiments/inference"
)

// FalseWin is how often a difference was found where there was none, at α = 0.05.
type FalseWin struct {
	Test        string `json:"test"`
	Rows        int    `json:"rows"`
	ClusterSize int    `json:"cluster_size"`
	Of          Share  `json:"of"`
}

const (
	alpha    = 1 - level
	searched = 100 // configurations of a search
)

func (s *simulator) falseWins(ctx context.Context) (out []FalseWin, err error) {
	count := func(test string, n, k, times int, wins func(rng *rand.Rand) bool) error {
		hits, err := s.each(ctx, times, 1, func(rng *rand.Rand, counts []float64) {
			if wins(rng) {
				counts[0]++
			}
		})
		if err == nil {
			out = append(out, FalseWin{test, n, k, shareOf(int64(hits[0]), times)})
		}
		return err
	}
	for _, n := range []int{20, 50, 200, 1000} {
		for _, k := range []int{1, 2, 5} {
			times := max(40, s.Simulations*50/(50+n/4))
			few := max(60, times/20) // thousands of exchanges each
			null := func(of func(sample) inference.Difference) func(*rand.Rand) bool {
				return func(rng *rand.Rand) bool { return of(equal(rng, 0.3).sample(rng, n, k)).P < alpha }
			}
			err := count("accuracy", n, k, times, null(func(x sample) inference.Difference { return x.right().Difference(level, 1) }))
			if err == nil {
				err = count("false-allow", n, k, times, null(func(x sample) inference.Difference { return x.falseAllow().Difference(level, 1) }))
			}
			if err == nil && n <= 200 {
				err = count("log loss", n, k, few, null(func(x sample) inference.Difference {
					return inference.MeanDifference(x.loss[0], x.loss[1], x.Clusters, x.Trainings, level, 1)
				}))
			}
			if err == nil && n <= 50 {
				err = count("macro-F1", n, k, few, null(func(x sample) inference.Difference { return x.MacroF1().Difference(level, 1) }))
			}
			if err != nil {
				return nil, err
			}
		}
	}
	const rows = 1000
	for _, k := range []int{1, 2, 5} {
		times := max(100, s.Simulations/4)
		if err := count("accuracy, a look after every cluster, betting", rows, k, times, func(rng *rand.Rand) bool {
			return stops(equal(rng, 0.3), rng, rows, k) > 0
		}); err != nil {
			return nil, err
		}
		if err := count("accuracy, a look after every cluster, fixed-sample test (not offered)", rows, k, max(100, times/10), func(rng *rand.Rand) bool {
			return peeks(equal(rng, 0.3), rng, rows, k)
		}); err != nil {
			return nil, err
		}
		if err := count(fmt.Sprintf("accuracy, best of %d configurations, Holm", searched), 200, k, max(100, times/10), func(rng *rand.Rand) bool {
			return slices.Min(inference.Holm(search(rng, 200, k))) < alpha
		}); err != nil {
			return nil, err
		}
		if err := count(fmt.Sprintf("accuracy, best of %d configurations, uncorrected (not offered)", searched), 200, k, max(100, times/10), func(rng *rand.Rand) bool {
			return slices.Min(search(rng, 200, k)) < alpha
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// stops gives the rows after which the sequence decides that there is a difference; 0 where it does not.
func stops(t truth, rng *rand.Rand, n, k int) int {
	seq := inference.NewSequence(k, 0)
	for c := range n / k {
		x := t.sample(rng, k, k)
		sum := 0.0
		for _, d := range rowDifferences(x) {
			sum += d
		}
		seq.Observe(sum, k)
		if seq.P() < alpha {
			return (c + 1) * k
		}
	}
	return 0
}

// peeks says whether the exact test, made for one look, finds a difference at any of the looks.
func peeks(t truth, rng *rand.Rand, n, k int) bool {
	var sums []float64
	for range n / k {
		x := t.sample(rng, k, k)
		sum := 0.0
		for _, d := range rowDifferences(x) {
			sum += d
		}
		sums = append(sums, sum)
		if inference.SignFlip(sums, 1).P < alpha {
			return true
		}
	}
	return false
}

// search compares configurations that are all as good as A with it, on the same rows.
func search(rng *rand.Rand, n, k int) []float64 {
	t := equal(rng, 0.3)
	first := t.sample(rng, n, k)
	p := make([]float64, searched)
	for i := range p {
		x := t.sample(rng, n, k)
		x.Gold, x.A = slices.Clone(first.Gold), first.A
		for r, g := range x.Gold { // its own answers, right as often as before
			was := t.row(rng)
			x.B[r] = g
			if was.answer[1] != was.gold {
				x.B[r] = (g + 1) % len(classes)
			}
		}
		p[i] = x.right().Difference(level, 1).P
	}
	return p
}
