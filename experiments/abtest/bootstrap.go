package abtest

import (
	"math"
	"math/rand/v2"
	"slices"

	"triality/experiments"
)

// LatencyDifferences gives B − A of the median and the 95th percentile of milliseconds that were measured in turn, row by
// row, with intervals by a paired bootstrap of blocks of successive rows: timings depend on what the machine did just
// before. Blocks are of n^⅓ rows, which is the order that Hall, Horowitz & Jing (1995) give for such intervals, and wrap
// around (Politis & Romano 1992). Rows that were not measured in turn differ by more than that.
func LatencyDifferences(a, b []float64, level float64, resamples int, seed uint64) []experiments.Difference {
	n := len(a)
	if n == 0 {
		return nil
	}
	points := []struct {
		name string
		q    float64
	}{{"latency_median_ms", 0.5}, {"latency_p95_ms", 0.95}}
	deltas := make([][]float64, len(points))
	rng := rand.New(rand.NewPCG(seed, 0x7472696c)) // "tril": a stream of its own
	block := int(math.Ceil(math.Cbrt(float64(n))))
	ra, rb := make([]float64, n), make([]float64, n)
	for range resamples {
		for i := 0; i < n; {
			for at, k := rng.IntN(n), 0; k < block && i < n; k, i = k+1, i+1 {
				ra[i], rb[i] = a[(at+k)%n], b[(at+k)%n]
			}
		}
		slices.Sort(ra)
		slices.Sort(rb)
		for k, p := range points {
			deltas[k] = append(deltas[k], Percentile(rb, p.q)-Percentile(ra, p.q))
		}
	}
	sa, sb := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	out := make([]experiments.Difference, len(points))
	for k, p := range points {
		slices.Sort(deltas[k])
		d := experiments.Difference{Metric: p.name, A: Percentile(sa, p.q), B: Percentile(sb, p.q), Better: "lower", Resamples: resamples, Reading: experiments.ReadingNoClear}
		d.Delta = d.B - d.A
		d.Low, d.High = Percentile(deltas[k], (1-level)/2), Percentile(deltas[k], (1+level)/2)
		switch {
		case n < fewTimings: // not enough to tell a percentile's spread
		case d.High < 0:
			d.Reading = experiments.ReadingBetter
		case d.Low > 0:
			d.Reading = experiments.ReadingWorse
		}
		out[k] = d
	}
	return out
}

// fewTimings is the number of rows below which a bootstrap of percentiles says nothing.
const fewTimings = 20

// Percentile interpolates linearly between the order statistics of sorted values (Hyndman & Fan's
// definition 7, NumPy's default). It is NaN without values.
func Percentile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// McNemar tests whether the arms differ in which rows they have right: exact two-sided binomial with
// fewer than 25 discordant rows, else chi-squared with Edwards' continuity correction (McNemar 1947).
func McNemar(gold, a, b []int) experiments.McNemar {
	var m experiments.McNemar
	for i, g := range gold {
		switch {
		case a[i] == g && b[i] != g:
			m.OnlyA++
		case a[i] != g && b[i] == g:
			m.OnlyB++
		}
	}
	n := m.OnlyA + m.OnlyB
	if n < 25 {
		m.Exact = true
		m.Statistic = float64(min(m.OnlyA, m.OnlyB))
		m.PValue = min(1, 2*binomialTail(n, min(m.OnlyA, m.OnlyB)))
		return m
	}
	d := math.Max(0, math.Abs(float64(m.OnlyA-m.OnlyB))-1)
	m.Statistic = d * d / float64(n)
	m.PValue = math.Erfc(math.Sqrt(m.Statistic / 2)) // survival function of chi-squared, one degree
	return m
}

// binomialTail is P(X ≤ k) for X ~ Binomial(n, 1/2).
func binomialTail(n, k int) float64 {
	sum, term := 0.0, math.Pow(0.5, float64(n))
	for i := 0; i <= k; i++ {
		sum += term
		term *= float64(n-i) / float64(i+1)
	}
	return sum
}

// Latencies summarises milliseconds per row.
func Latencies(ms []float64) experiments.Latency {
	sorted := slices.Sorted(slices.Values(ms))
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	return experiments.Latency{MedianMS: Percentile(sorted, 0.5), P95MS: Percentile(sorted, 0.95), MeanMS: sum / float64(len(sorted))}
}
