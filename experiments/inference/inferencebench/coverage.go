package inferencebench

import (
	"context"
	"math/rand/v2"

	"triality/experiments/inference"
)

// Coverage is how often nominal 95 % intervals hold the truth, over truths drawn anew each time.
type Coverage struct {
	Rows        int              `json:"rows"`
	ClusterSize int              `json:"cluster_size"`
	Copied      float64          `json:"copied"` // chance that a cluster's rows are copies of one
	Of          map[string]Share `json:"of"`
}

const level = 0.95

// intervals are what is measured. Those named after a slash are the methods that were not taken.
var intervals = []struct {
	name  string
	holds func(rng *rand.Rand, t truth, s sample) bool
}{
	{"accuracy, B − A", func(_ *rand.Rand, t truth, s sample) bool {
		return s.right().Difference(level, 1).Interval.Has(t.accuracy[1] - t.accuracy[0])
	}},
	{"false-allow, B − A", func(_ *rand.Rand, t truth, s sample) bool {
		return s.falseAllow().Difference(level, 1).Interval.Has(t.falseAllow())
	}},
	{"accuracy of one arm", func(_ *rand.Rand, t truth, s sample) bool {
		r := s.right()
		_, i := inference.Rate(r.B, r.Clusters, r.Trainings, level)
		return i.Has(t.accuracy[1])
	}},
	{"recall of a class, B − A", func(_ *rand.Rand, t truth, s sample) bool {
		recall := s.shares(func(g int) bool { return g == 1 }, func(g, answer int) bool { return g == answer })
		return recall.Difference(level, 1).Interval.Has(t.accuracy[1] - t.accuracy[0])
	}},
	{"log loss, B − A", func(_ *rand.Rand, t truth, s sample) bool {
		_, _, i := inference.Mean(differences(s.loss), s.Clusters, s.Trainings, level)
		return i.Has(t.lossDifference())
	}},
	{"macro-F1, B − A", func(_ *rand.Rand, t truth, s sample) bool {
		return s.MacroF1().Estimate(level).Interval.Has(t.macroF1())
	}},
	{"precision of a class, B − A", func(_ *rand.Rand, t truth, s sample) bool {
		return s.Precision(2).Estimate(level).Interval.Has(t.precision(2))
	}},
	{"accuracy, B − A / without the exact test's say", func(_ *rand.Rand, t truth, s sample) bool {
		return s.right().Score(level).Has(t.accuracy[1] - t.accuracy[0])
	}},
	{"false-allow, B − A / without the exact test's say", func(_ *rand.Rand, t truth, s sample) bool {
		return s.falseAllow().Score(level).Has(t.falseAllow())
	}},
	{"accuracy, B − A / percentile bootstrap of rows", func(rng *rand.Rand, t truth, s sample) bool {
		return percentileRows(rng, s).Has(t.accuracy[1] - t.accuracy[0])
	}},
	{"accuracy, B − A / percentile bootstrap of clusters", func(rng *rand.Rand, t truth, s sample) bool {
		return bootstrap(rng, s).percentile.Has(t.accuracy[1] - t.accuracy[0])
	}},
	{"accuracy, B − A / BCa bootstrap of clusters", func(rng *rand.Rand, t truth, s sample) bool {
		return bootstrap(rng, s).bca.Has(t.accuracy[1] - t.accuracy[0])
	}},
	{"accuracy, B − A / studentised bootstrap of clusters", func(rng *rand.Rand, t truth, s sample) bool {
		return bootstrap(rng, s).studentised.Has(t.accuracy[1] - t.accuracy[0])
	}},
}

func differences(of [2][]float64) []float64 {
	d := make([]float64, len(of[0]))
	for i := range d {
		d[i] = of[1][i] - of[0][i]
	}
	return d
}

func (s *simulator) coverage(ctx context.Context) (out []Coverage, err error) {
	for _, n := range []int{20, 50, 200, 1000} {
		for _, k := range []int{1, 2, 5} {
			for _, copied := range []float64{0, 0.3, 1} {
				if k == 1 && copied > 0 {
					continue
				}
				c := Coverage{Rows: n, ClusterSize: k, Copied: copied, Of: map[string]Share{}}
				times := max(40, s.Simulations*50/(50+n/2)) // a simulation costs as much as it has rows
				hits, err := s.each(ctx, times, len(intervals), func(rng *rand.Rand, counts []float64) {
					t := drawn(rng, copied)
					x := t.sample(rng, n, k)
					for i, of := range intervals {
						if of.holds(rng, t, x) {
							counts[i]++
						}
					}
				})
				if err != nil {
					return nil, err
				}
				for i, of := range intervals {
					c.Of[of.name] = shareOf(int64(hits[i]), times)
				}
				out = append(out, c)
			}
		}
	}
	return out, nil
}
