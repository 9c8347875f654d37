package inference

import "math"

// worth says how many independent rows the rows of some clusters are worth.
type worth struct {
	effective float64 // as estimated
	fewest    float64 // where each cluster is one row copied, (Σ size)² over Σ size²
	df        float64 // behind the estimate; endless where each row is a cluster of its own, and nothing was estimated
}

func worthOf(c Clusters, d []float64) worth {
	w := worth{effectiveRows(c, d), float64(len(d)), math.Inf(1)}
	if len(d) > c.Count {
		w.fewest, w.df = fewestRows(c), float64(c.Count-1)
	}
	return w
}

// critical is how many standard errors of the effective rows an interval reaches. Student's t allows for what few clusters
// do not tell of how alike their rows are, but no rows are more alike than copies: with the normal quantile on the
// fewest rows that these can be worth, the interval is as wide as it can need to be.
func (w worth) critical(level float64) float64 {
	t := student((1+level)/2, w.df)
	if w.df < 1 {
		return t
	}
	return math.Min(t, Normal((1+level)/2)*math.Sqrt(w.effective/w.fewest))
}

// tail is the two-sided p-value of so many standard errors: below 1 − level exactly where they are more than critical.
func (w worth) tail(errors float64) float64 {
	t := studentTail(errors, w.df)
	if w.df < 1 {
		return t
	}
	return math.Min(t, studentTail(errors*math.Sqrt(w.fewest/w.effective), math.Inf(1)))
}

// fewestRows is how many rows the clusters are worth where all rows of one say the same (Kish 1965).
func fewestRows(c Clusters) float64 {
	rows, squares := 0.0, 0.0
	for _, size := range c.Sizes() {
		rows, squares = rows+float64(size), squares+float64(size)*float64(size)
	}
	return rows * rows / squares
}

// effectiveRows is the number of independent rows whose mean varies as the mean of d over clusters does: the rows over
// the design effect. Where all rows say the same it cannot be estimated, and clusters count as saying one thing each.
func effectiveRows(c Clusters, d []float64) float64 {
	n, m := float64(len(d)), float64(c.Count)
	if c.Count == len(d) {
		return n
	}
	mean, within, between := 0.0, 0.0, 0.0
	for _, v := range d {
		mean += v / n
	}
	for _, v := range d {
		within += (v - mean) * (v - mean)
	}
	sizes := c.Sizes()
	for k, s := range c.Sums(d) {
		size := float64(sizes[k])
		between += (s - mean*size) * (s - mean*size)
	}
	if within <= equalWithin || between <= equalWithin || m < 2 {
		return fewestRows(c)
	}
	return n * (within / (n * (n - 1))) / (between / (n * n) * m / (m - 1))
}

// Rate is a share with its interval: Wilson's score interval on the effective rows, with Student's t where rows share
// clusters, as in Shares.Difference (Wilson 1927; Dean & Pagendorf 2015 compare such intervals), and over trainings where there
// are several.
func Rate(meets []bool, c Clusters, t Trainings, level float64) (value float64, interval Interval) {
	if len(meets) == 0 {
		return math.NaN(), Interval{0, 1}
	}
	d := make([]float64, len(meets))
	for i, v := range meets {
		if v {
			d[i] = 1
		}
	}
	p, w := share(meets), worthOf(c, d)
	wilson := func(level float64) Interval {
		n, z := w.effective, w.critical(level)
		if math.IsInf(z, 1) {
			return Interval{0, 1}
		}
		centre, half := (p+z*z/(2*n))/(1+z*z/n), z/(1+z*z/n)*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
		return Interval{centre - half, centre + half}.clip(0, 1)
	}
	return p, meanNoise(d, c, t).widen(p, bounds{wilson, w.critical, 0, 1}, level)
}
