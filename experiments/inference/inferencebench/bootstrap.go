package inferencebench

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"triality/experiments/inference"
)

// The methods that were not taken, of the difference of accuracies, with as many resamples as the order statistics at
// 2.5 and 97.5 % need.
const resamples = 399

type bootstrapped struct{ percentile, bca, studentised inference.Interval }

// bootstrap resamples clusters.
func bootstrap(rng *rand.Rand, s sample) bootstrapped {
	sums, sizes := s.Clusters.Sums(rowDifferences(s)), s.Clusters.Sizes()
	m := len(sums)
	pick := make([]int, m)
	for i := range pick {
		pick[i] = i
	}
	mean, se := ratio(sums, sizes, pick)
	means, ts := make([]float64, resamples), make([]float64, resamples)
	below := 0.0
	for r := range resamples {
		for i := range pick {
			pick[i] = rng.IntN(m)
		}
		var own float64
		means[r], own = ratio(sums, sizes, pick)
		ts[r] = (means[r] - mean) / math.Max(own, 1e-9)
		switch {
		case means[r] < mean:
			below++
		case means[r] == mean:
			below += 0.5
		}
	}
	slices.Sort(means)
	slices.Sort(ts)
	at := func(sorted []float64, p float64) float64 {
		return sorted[min(resamples-1, max(0, int(math.Round(p*(resamples+1)))-1))]
	}
	// BCa: Efron 1987. The acceleration is from leaving out one cluster.
	z0 := distuv.UnitNormal.Quantile(math.Min(math.Max(below/resamples, 0.5/resamples), 1-0.5/resamples))
	cubes, squares := 0.0, 0.0
	for i, v := range sums {
		d := v - mean*float64(sizes[i])
		cubes, squares = cubes+d*d*d, squares+d*d
	}
	acceleration := 0.0
	if squares > 0 {
		acceleration = cubes / 6 / math.Pow(squares, 1.5)
	}
	adjusted := func(p float64) float64 {
		z := z0 + distuv.UnitNormal.Quantile(p)
		return distuv.UnitNormal.CDF(z0 + z/(1-acceleration*z))
	}
	return bootstrapped{
		inference.Interval{Low: at(means, 0.025), High: at(means, 0.975)},
		inference.Interval{Low: at(means, adjusted(0.025)), High: at(means, adjusted(0.975))},
		inference.Interval{Low: mean - at(ts, 0.975)*se, High: mean - at(ts, 0.025)*se},
	}
}

// percentileRows resamples rows, whatever clusters they are in: what the A/B test did before.
func percentileRows(rng *rand.Rand, s sample) inference.Interval {
	d := rowDifferences(s)
	means := make([]float64, resamples)
	for r := range means {
		for range d {
			means[r] += d[rng.IntN(len(d))] / float64(len(d))
		}
	}
	slices.Sort(means)
	return inference.Interval{Low: means[9], High: means[389]}
}

func rowDifferences(s sample) []float64 {
	d := make([]float64, len(s.Gold))
	for i, g := range s.Gold {
		if s.B[i] == g {
			d[i]++
		}
		if s.A[i] == g {
			d[i]--
		}
	}
	return d
}

// ratio is the mean of rows of the picked clusters and its standard error.
func ratio(sums []float64, sizes, pick []int) (mean, se float64) {
	total, n := 0.0, 0.0
	for _, i := range pick {
		total, n = total+sums[i], n+float64(sizes[i])
	}
	mean = total / n
	squares, m := 0.0, float64(len(pick))
	for _, i := range pick {
		u := sums[i] - mean*float64(sizes[i])
		squares += u * u
	}
	return mean, math.Sqrt(squares*m/math.Max(1, m-1)) / n
}
