package inference

import "math"

// Shares compares how often each of two arms meets a condition on the same rows, such as having the row right.
type Shares struct {
	A, B     []bool
	Clusters Clusters
}

// Difference of the two shares. The test flips signs by cluster and is exact. The interval is Tango's score interval
// for paired shares (Tango 1998), in which counts are those of as many independent rows as the clusters are worth
// (effective sample size: Kish 1965, Korn & Graubard 1998) and, where rows share clusters, Student's t with one degree
// less than there are clusters takes the normal's place. It holds with no or only discordant rows: five rows that all
// speak for B give 0 to 100 points.
func (s Shares) Difference(level float64, seed uint64) Difference {
	c := s.counts()
	d := Difference{Rows: len(s.A), Clusters: s.Clusters.Count, Effective: c.effective, Interval: Interval{-1, 1}, P: 1}
	if d.Rows == 0 {
		d.A, d.B, d.Delta = math.NaN(), math.NaN(), math.NaN()
		return d
	}
	d.A, d.B = share(s.A), share(s.B)
	d.Delta = (c.onlyB - c.onlyA) / c.rows
	d.SE = c.se(d.Delta)
	test := SignFlip(c.sums, seed)
	critical := student((1+level)/2, c.df)
	d.Interval = Interval{c.solve(critical), c.solve(-critical)}.clip(-1, 1)
	return d.settle(studentTail(c.score(0), c.df), test, level)
}

func share(of []bool) float64 {
	n := 0
	for _, v := range of {
		if v {
			n++
		}
	}
	return float64(n) / float64(len(of))
}

// counts are what the interval is made of.
type counts struct {
	rows, effective float64
	onlyA, onlyB    float64 // rows on which one arm alone meets the condition
	df              float64 // behind the effective rows; endless where none were estimated
	sums            []float64
}

func (s Shares) counts() counts {
	d := make([]float64, len(s.A))
	c := counts{rows: float64(len(d)), df: math.Inf(1)}
	for i := range d {
		switch {
		case s.B[i] && !s.A[i]:
			d[i] = 1
			c.onlyB++
		case s.A[i] && !s.B[i]:
			d[i] = -1
			c.onlyA++
		}
	}
	c.effective, c.sums = effectiveRows(s.Clusters, d), s.Clusters.Sums(d)
	if len(d) > s.Clusters.Count {
		c.df = float64(s.Clusters.Count - 1)
	}
	return c
}

func (c counts) se(delta float64) float64 {
	return math.Sqrt(math.Max(0, (c.onlyA+c.onlyB)/c.rows-delta*delta) / c.effective)
}

// score is Tango's statistic for a difference of delta, on the effective counts: his constrained maximum likelihood
// estimate of the share that A alone meets is a root of a quadratic.
func (c counts) score(delta float64) float64 {
	n, b, a := c.effective, c.onlyB*c.effective/c.rows, c.onlyA*c.effective/c.rows
	p, q := -b-a+(2*n-b+a)*delta, -a*delta*(1-delta)
	onlyA := (math.Sqrt(math.Max(0, p*p-8*n*q)) - p) / (4 * n)
	excess, variance := b-a-n*delta, n*(2*onlyA+delta*(1-delta))
	switch {
	case variance > equalWithin:
		return excess / math.Sqrt(variance)
	case math.Abs(excess) <= equalWithin:
		return 0
	}
	return math.Copysign(math.Inf(1), excess)
}

// solve finds the difference whose score is z, by bisection: scores fall as the difference rises.
func (c counts) solve(z float64) float64 {
	low, high := -1.0, 1.0
	for range 60 {
		if mid := (low + high) / 2; c.score(mid) > z {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// effectiveRows is the number of independent rows whose mean varies as the mean of d over clusters does: the rows over
// the design effect. Where all rows say the same it cannot be estimated, and clusters count as saying one thing each.
func effectiveRows(c Clusters, d []float64) float64 {
	n, m := float64(len(d)), float64(c.Count)
	if c.Count == len(d) {
		return n
	}
	mean, within, between, squares := 0.0, 0.0, 0.0, 0.0
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
		squares += size * size
	}
	if within <= equalWithin || between <= equalWithin || m < 2 {
		return n * n / squares
	}
	return n * (within / (n * (n - 1))) / (between / (n * n) * m / (m - 1))
}

// Rate is a share with its interval: Wilson's score interval on the effective rows, with Student's t where rows share
// clusters (Wilson 1927; Dean & Pagendorf 2015 compare such intervals).
func Rate(meets []bool, c Clusters, level float64) (value float64, interval Interval) {
	if len(meets) == 0 {
		return math.NaN(), Interval{0, 1}
	}
	d := make([]float64, len(meets))
	for i, v := range meets {
		if v {
			d[i] = 1
		}
	}
	p, n, df := share(meets), effectiveRows(c, d), math.Inf(1)
	if len(d) > c.Count {
		df = float64(c.Count - 1)
	}
	z := student((1+level)/2, df)
	if math.IsInf(z, 1) {
		return p, Interval{0, 1}
	}
	centre, half := (p+z*z/(2*n))/(1+z*z/n), z/(1+z*z/n)*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return p, Interval{centre - half, centre + half}.clip(0, 1)
}
