package inference

import "math"

// Difference is B − A of a figure of two arms on the same rows.
type Difference struct {
	A, B, Delta float64
	// Interval is that of Delta; the widest possible where the rows show nothing, infinite where nothing bounds the figure.
	// It never leaves out 0 where the test by cluster does not, so that the two do not contradict each other.
	Interval Interval
	// P is two-sided and of no difference: the larger of the test's by cluster and the interval's own. It is below
	// 1 − level exactly where Interval leaves out 0.
	P float64
	// Exact is whether the test by cluster counted every assignment.
	Exact bool
	// Rows and Clusters are what it was computed on; Effective is how many independent rows those are worth, 0 where
	// that has no meaning for the figure.
	Rows, Clusters int
	Effective      float64
	// SE is the standard error behind Interval.
	SE float64
	// Noise is what the trainings show, where there are several; nil otherwise.
	Noise *Noise
}

// noisy is settle for several trainings: the seeds' part is added to the rows' interval.
func (d Difference) noisy(n *Noise, rows bounds, test Test, level float64) Difference {
	d.Noise = n
	d.SE = math.Sqrt(n.Seeds + n.clusters()*d.SE*d.SE)
	interval := func(level float64) Interval { return n.widen(d.Delta, rows, level) }
	d.Interval = interval(level)
	return d.settle(n.tail(interval), test, level)
}

// settle joins the interval's own p-value with the test's, and makes the interval agree: where the test does not
// reject no difference, neither does the interval.
func (d Difference) settle(own float64, test Test, level float64) Difference {
	d.P, d.Exact = math.Min(1, math.Max(own, test.P)), test.Exact
	alpha := 1 - level
	switch {
	case d.P >= alpha:
		d.Interval = Interval{math.Min(d.Interval.Low, 0), math.Max(d.Interval.High, 0)}
	case d.Interval.Has(0): // by rounding alone
		d.P = alpha
	}
	return d
}
