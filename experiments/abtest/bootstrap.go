package abtest

import (
	"math"
	"math/rand/v2"
	"slices"

	"triality/experiments"
)

// Statistic is a figure of a sample of rows, given by their indices.
type Statistic struct {
	Name   string
	Better string // "higher" or "lower"
	A, B   func(rows []int) float64
}

// Differences gives B − A of each statistic on all n rows, with the 2.5 % and 97.5 % percentiles of
// the paired bootstrap: the same resampled rows for both arms (Efron & Tibshirani 1993, §13.3).
func Differences(n int, stats []Statistic, resamples int, seed uint64) []experiments.Difference {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	out := make([]experiments.Difference, len(stats))
	deltas := make([][]float64, len(stats))
	for s, st := range stats {
		a, b := st.A(all), st.B(all)
		out[s] = experiments.Difference{Metric: st.Name, A: a, B: b, Delta: b - a, Better: st.Better, Resamples: resamples}
		deltas[s] = make([]float64, resamples)
	}
	rng := rand.New(rand.NewPCG(seed, 0x7472696c)) // "tril": a stream of its own
	rows := make([]int, n)
	for r := range resamples {
		for i := range rows {
			rows[i] = rng.IntN(n)
		}
		for s, st := range stats {
			deltas[s][r] = st.B(rows) - st.A(rows)
		}
	}
	for s := range stats {
		slices.Sort(deltas[s])
		out[s].Low, out[s].High = Percentile(deltas[s], 0.025), Percentile(deltas[s], 0.975)
	}
	return out
}

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
