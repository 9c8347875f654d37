package inference

import "math"

// Shares compares how often each of two arms meets a condition on the same rows, such as having the row right.
type Shares struct {
	A, B      []bool
	Clusters  Clusters
	Trainings Trainings
}

// Difference of the two shares. The test flips signs by cluster and is exact. The interval is Tango's score interval
// for paired shares (Tango 1998), in which counts are those of as many independent rows as the clusters are worth
// (effective sample size: Kish 1965, Korn & Graubard 1998). Where rows share clusters, Student's t with one degree less
// than there are clusters takes the normal's place, but the interval is never wider than where every cluster is one row
// copied. It holds with no or only discordant rows: five rows that all speak for B give 0 to 100 points.
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
	if n := meanNoise(c.each, s.Clusters, s.Trainings); n != nil {
		return d.noisy(n, bounds{c.interval, c.critical, -1, 1}, test, level)
	}
	d.Interval = c.interval(level)
	return d.settle(c.tail(c.score(0)), test, level)
}

// Score is Difference's interval before the test by cluster has its say: it leaves out 0 also where no assignment of signs
// could have rejected.
func (s Shares) Score(level float64) Interval {
	if len(s.A) == 0 {
		return Interval{-1, 1}
	}
	c := s.counts()
	n := meanNoise(c.each, s.Clusters, s.Trainings)
	return n.widen((c.onlyB-c.onlyA)/c.rows, bounds{c.interval, c.critical, -1, 1}, level)
}

func (c counts) interval(level float64) Interval {
	critical := c.critical(level)
	return Interval{c.solve(critical), c.solve(-critical)}.clip(-1, 1)
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
	rows         float64
	onlyA, onlyB float64 // rows on which one arm alone meets the condition
	each         []float64
	sums         []float64
	worth
}

func (s Shares) counts() counts {
	d := make([]float64, len(s.A))
	c := counts{rows: float64(len(d))}
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
	c.each, c.worth, c.sums = d, worthOf(s.Clusters, d), s.Clusters.Sums(d)
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
