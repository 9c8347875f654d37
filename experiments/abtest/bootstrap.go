package abtest

import (
	"math"

	"triality/experiments"
)

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
