// Package inference says what a comparison of two arms on the same rows shows: tests, intervals and decisions in
// which rows that belong together count together. It knows nothing of models or files; every function is pure, and
// what is random is seeded.
//
// A row belongs to a cluster, such as one question in two languages. Clusters are independent of each other; nothing
// is assumed of the rows within one. Where each row is a cluster of its own the classical methods remain.
package inference

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a confidence interval.
type Interval struct{ Low, High float64 }

// Has says whether v lies in the interval, its ends included.
func (i Interval) Has(v float64) bool { return i.Low <= v && v <= i.High }

// clip keeps an interval within what is possible.
func (i Interval) clip(low, high float64) Interval {
	return Interval{math.Min(math.Max(i.Low, low), high), math.Max(math.Min(i.High, high), low)}
}

// Normal is the quantile of the standard normal distribution.
func Normal(p float64) float64 { return distuv.UnitNormal.Quantile(p) }

// student is the quantile of Student's t with df degrees of freedom: infinite without any, the normal's with endless
// ones.
func student(p, df float64) float64 {
	switch {
	case df < 1:
		return math.Copysign(math.Inf(1), p-0.5)
	case df > 1e6:
		return Normal(p)
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(p)
}

// studentTail is P(|T| ≥ |t|) of Student's t with df degrees of freedom; 1 without any.
func studentTail(t, df float64) float64 {
	switch {
	case df < 1:
		return 1
	case df > 1e6 || math.IsInf(t, 0):
		return math.Erfc(math.Abs(t) / math.Sqrt2)
	}
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.CDF(-math.Abs(t))
}
