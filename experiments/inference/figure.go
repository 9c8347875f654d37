package inference

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Figures compares a figure that is no mean of rows, such as macro-F1 or precision: a function of what rows contribute,
// added up. Of row i, Shared[i] is the same for both arms (its label), A[i] and B[i] are each arm's.
type Figures struct {
	Shared, A, B [][]float64
	Clusters     Clusters
	// Of is the figure of one arm. It may depend on the sums' ratios alone, and is NaN where it is undefined.
	Of func(shared, arm []float64) float64
	// Half are half-rows that keep an interval honest where the rows hardly vary: for each, what such a row contributes to
	// Shared, to the arm that it speaks for and to the other. Each speaks for either arm in turn.
	Half []HalfRow
	// Low and High bound the figure.
	Low, High float64
}

// HalfRow is a part of a row that is added to what was seen, once for each arm.
type HalfRow struct{ Shared, For, Against []float64 }

// arms are the totals of one cluster, or of all.
type arms struct{ shared, a, b []float64 }

func (f *Figures) clusters() []arms {
	out := make([]arms, f.Clusters.Count)
	for i, n := range f.Clusters.Of {
		c := &out[n]
		if c.shared == nil {
			c.shared, c.a, c.b = make([]float64, len(f.Shared[i])), make([]float64, len(f.A[i])), make([]float64, len(f.B[i]))
		}
		add(c.shared, f.Shared[i], 1)
		add(c.a, f.A[i], 1)
		add(c.b, f.B[i], 1)
	}
	return out
}

func add(to, from []float64, times float64) {
	for k, v := range from {
		to[k] += times * v
	}
}

func sum(of []arms) arms {
	s := arms{make([]float64, len(of[0].shared)), make([]float64, len(of[0].a)), make([]float64, len(of[0].b))}
	for _, c := range of {
		add(s.shared, c.shared, 1)
		add(s.a, c.a, 1)
		add(s.b, c.b, 1)
	}
	return s
}

// Difference of the figure. The test exchanges the arms by cluster (all ways of up to 12 clusters, else 4,999 drawn
// ones); the interval is Estimate's.
func (f *Figures) Difference(level float64, seed uint64) Difference {
	d, t := f.estimate(level)
	if !(d.SE > 0) {
		return d
	}
	return d.settle(studentTail(t, float64(d.Clusters-1)), f.exchange(f.clusters(), d.Delta, seed), level)
}

// Estimate is Difference without its test; its P says nothing. The interval leaves out one cluster at a time (jackknife:
// Efron & Tibshirani 1993, §11) with half a row added in favour of each arm, after the ½ that Agresti & Min (2005) add to
// paired counts, and Student's t with one degree less than there are clusters.
func (f *Figures) Estimate(level float64) Difference {
	d, _ := f.estimate(level)
	return d
}

// estimate also gives how many standard errors the difference is from 0; without an error there is no interval.
func (f *Figures) estimate(level float64) (d Difference, t float64) {
	d = Difference{Rows: len(f.A), Clusters: f.Clusters.Count, Interval: Interval{f.Low - f.High, f.High - f.Low}, P: 1}
	d.A, d.B = math.NaN(), math.NaN()
	of := f.clusters()
	if d.Rows > 0 {
		total := sum(of)
		d.A, d.B = f.Of(total.shared, total.a), f.Of(total.shared, total.b)
	}
	d.Delta = d.B - d.A
	if math.IsNaN(d.Delta) || d.Clusters < 2 {
		return d, 0
	}
	centre, se := jackknife(f.withHalves(of), func(t arms) float64 { return f.Of(t.shared, t.b) - f.Of(t.shared, t.a) })
	if !(se > 0) {
		return d, 0
	}
	half := student((1+level)/2, float64(d.Clusters-1)) * se
	d.SE, d.Interval = se, Interval{math.Min(centre-half, d.Delta), math.Max(centre+half, d.Delta)}.clip(f.Low-f.High, f.High-f.Low)
	return d, centre / se
}

// Arm gives the figure of one arm with an interval made the same way; b chooses B.
func (f *Figures) Arm(b bool, level float64) (value float64, interval Interval) {
	interval = Interval{f.Low, f.High}
	if len(f.A) == 0 {
		return math.NaN(), interval
	}
	of := f.clusters()
	pick := func(t arms) float64 {
		if b {
			return f.Of(t.shared, t.b)
		}
		return f.Of(t.shared, t.a)
	}
	value = pick(sum(of))
	if math.IsNaN(value) || len(of) < 2 {
		return value, interval
	}
	centre, se := jackknife(f.withHalves(of), pick)
	if !(se > 0) {
		return value, interval
	}
	half := student((1+level)/2, float64(len(of)-1)) * se
	return value, Interval{math.Min(centre-half, value), math.Max(centre+half, value)}.clip(f.Low, f.High)
}

func (f *Figures) withHalves(of []arms) []arms {
	out := append([]arms{}, of...)
	for _, h := range f.Half {
		out = append(out, arms{h.Shared, h.For, h.Against}, arms{h.Shared, h.Against, h.For})
	}
	return out
}

// jackknife gives a figure of all clusters and its standard error by leaving out one at a time. One without which the
// figure is undefined leaves it as it is.
func jackknife(of []arms, figure func(arms) float64) (value, se float64) {
	total := sum(of)
	value = figure(total)
	left := arms{make([]float64, len(total.shared)), make([]float64, len(total.a)), make([]float64, len(total.b))}
	mean, squares := 0.0, 0.0
	for n, c := range of {
		copy(left.shared, total.shared)
		copy(left.a, total.a)
		copy(left.b, total.b)
		add(left.shared, c.shared, -1)
		add(left.a, c.a, -1)
		add(left.b, c.b, -1)
		v := figure(left)
		if math.IsNaN(v) {
			v = value
		}
		d := v - mean // Welford 1962
		mean += d / float64(n+1)
		squares += d * (v - mean)
	}
	m := float64(len(of))
	return value, math.Sqrt(math.Max(0, squares) * (m - 1) / m)
}

const (
	exchanged     = 12    // clusters up to which every exchange of arms is counted
	exchangeDraws = 4_999 // drawn of more
)

// exchange is the share of the exchanges of arms by cluster whose difference is at least as far from 0.
func (f *Figures) exchange(of []arms, delta float64, seed uint64) Test {
	total := sum(of)
	a, b := total.a, total.b
	swapped := make([]bool, len(of))
	swap := func(c int) {
		sign := 1.0
		if swapped[c] {
			sign = -1
		}
		swapped[c] = !swapped[c]
		for k := range a {
			move := sign * (of[c].a[k] - of[c].b[k])
			a[k], b[k] = a[k]-move, b[k]+move
		}
	}
	far := math.Abs(delta) - equalWithin
	isFar := func() bool {
		v := math.Abs(f.Of(total.shared, b) - f.Of(total.shared, a))
		return math.IsNaN(v) || v >= far
	}
	var differ []arms // exchanging arms that say the same changes nothing
	for _, c := range of {
		if !slices.Equal(c.a, c.b) {
			differ = append(differ, c)
		}
	}
	of = differ
	count := 0
	if len(of) <= exchanged {
		all := 1 << len(of)
		for k := 1; ; k++ { // Gray's order
			if isFar() {
				count++
			}
			if k == all {
				return Test{P: float64(count) / float64(all), Exact: true}
			}
			swap(bits.TrailingZeros(uint(k)))
		}
	}
	rng := rand.New(rand.NewPCG(seed, 0x73776170)) // "swap"
	count = 1
	for range exchangeDraws {
		for c := range of {
			if rng.Uint64()&1 == 1 {
				swap(c)
			}
		}
		if isFar() {
			count++
		}
	}
	return Test{P: float64(count) / (exchangeDraws + 1)}
}
