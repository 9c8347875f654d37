package inference

import "math"

// MeanDifference compares the mean of a figure of each row, such as its log loss. The test flips signs by cluster. The
// interval is the mean's with an error robust to clusters and Student's t with one degree less than there are
// clusters; without any variation, or with one cluster, it is infinite: nothing bounds such a figure.
func MeanDifference(a, b []float64, c Clusters, t Trainings, level float64, seed uint64) Difference {
	d := make([]float64, len(a))
	for i := range d {
		d[i] = b[i] - a[i]
	}
	out := Difference{Rows: len(a), Clusters: c.Count, Interval: Interval{math.Inf(-1), math.Inf(1)}, P: 1}
	out.A, _, _ = rowsMean(a, c, level)
	out.B, _, _ = rowsMean(b, c, level)
	var interval Interval
	out.Delta, out.SE, interval = rowsMean(d, c, level)
	if len(d) == 0 || !(out.SE > 0) || math.IsInf(out.SE, 1) {
		return out
	}
	out.Effective = effectiveRows(c, d)
	test := SignFlip(c.Sums(d), seed)
	if n := meanNoise(d, c, t); n != nil {
		return out.noisy(n, meanBounds(out.Delta, out.SE, c), test, level)
	}
	out.Interval = interval
	return out.settle(studentTail(out.Delta/out.SE, float64(c.Count-1)), test, level)
}

// Mean of the rows with its standard error and interval, robust to clusters (the linearised ratio of cluster totals), and over
// trainings where there are several. The error is 0, or infinite with one cluster, where rows cannot show it; the interval is
// then infinite.
func Mean(rows []float64, c Clusters, t Trainings, level float64) (mean, se float64, interval Interval) {
	mean, se, interval = rowsMean(rows, c, level)
	n := meanNoise(rows, c, t)
	if n == nil || !(se > 0) || math.IsInf(se, 1) {
		return mean, se, interval
	}
	return mean, math.Sqrt(n.Seeds + n.clusters()*se*se), n.widen(mean, meanBounds(mean, se, c), level)
}

func meanBounds(mean, se float64, c Clusters) bounds {
	q := func(level float64) float64 { return student((1+level)/2, float64(c.Count-1)) }
	return bounds{func(level float64) Interval { return Interval{mean - q(level)*se, mean + q(level)*se} }, q, math.Inf(-1), math.Inf(1)}
}

func rowsMean(rows []float64, c Clusters, level float64) (mean, se float64, interval Interval) {
	n, m := float64(len(rows)), float64(c.Count)
	interval = Interval{math.Inf(-1), math.Inf(1)}
	if n == 0 {
		return math.NaN(), math.Inf(1), interval
	}
	for _, v := range rows {
		mean += v / n
	}
	if m < 2 {
		return mean, math.Inf(1), interval
	}
	squares := 0.0
	sizes := c.Sizes()
	for k, s := range c.Sums(rows) {
		u := s - mean*float64(sizes[k])
		squares += u * u
	}
	se = math.Sqrt(squares*m/(m-1)) / n
	if se > 1e-15*math.Abs(mean) {
		half := student((1+level)/2, m-1) * se
		interval = Interval{mean - half, mean + half}
	}
	return mean, se, interval
}
