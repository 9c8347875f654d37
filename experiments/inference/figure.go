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
	Trainings    Trainings
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
	d, rows, t := f.estimate(level)
	if !(d.SE > 0) {
		return d
	}
	test := f.exchange(f.clusters(), d.Delta, seed)
	if d.Noise != nil {
		return d.noisy(d.Noise, rows, test, level)
	}
	return d.settle(studentTail(t, float64(d.Clusters-1)), test, level)
}

// Values are the figure of both arms.
func (f *Figures) Values() (a, b float64) {
	total := sum(f.clusters())
	return f.Of(total.shared, total.a), f.Of(total.shared, total.b)
}

// Estimate is Difference without its test; its P says nothing. The interval leaves out one cluster at a time (jackknife:
// Efron & Tibshirani 1993, §11) with half a row added in favour of each arm, after the ½ that Agresti & Min (2005) add to
// paired counts, and Student's t with one degree less than there are clusters.
func (f *Figures) Estimate(level float64) Difference {
	d, _, _ := f.estimate(level)
	return d
}

// estimate also gives what the rows alone show, and how many of their standard errors the difference is from 0; without an
// error there is no interval.
func (f *Figures) estimate(level float64) (d Difference, rows bounds, t float64) {
	d = Difference{Rows: len(f.A), Clusters: f.Clusters.Count, Interval: Interval{f.Low - f.High, f.High - f.Low}, P: 1}
	d.A, d.B = math.NaN(), math.NaN()
	of := f.clusters()
	if d.Rows > 0 {
		total := sum(of)
		d.A, d.B = f.Of(total.shared, total.a), f.Of(total.shared, total.b)
	}
	d.Delta = d.B - d.A
	if math.IsNaN(d.Delta) || d.Clusters < 2 {
		return d, rows, 0
	}
	difference := func(t arms) float64 { return f.Of(t.shared, t.b) - f.Of(t.shared, t.a) }
	centre, se := jackknife(f.withHalves(of), difference)
	noise, known := f.noise(difference)
	if !(se > 0) || !known {
		return d, rows, 0
	}
	rows = f.bounds(d.Delta, centre, se, f.Low-f.High, f.High-f.Low)
	d.SE, d.Noise, d.Interval = se, noise, noise.widen(d.Delta, rows, level)
	return d, rows, centre / se
}

// bounds are those of the jackknife: around centre, with the figure itself in the interval.
func (f *Figures) bounds(value, centre, se, low, high float64) bounds {
	q := func(level float64) float64 { return student((1+level)/2, float64(f.Clusters.Count-1)) }
	return bounds{func(level float64) Interval {
		half := q(level) * se
		return Interval{math.Min(centre-half, value), math.Max(centre+half, value)}.clip(low, high)
	}, q, low, high}
}

// noise is that of a figure of the trainings, nil with one; known is false where the figure of one of them is undefined.
func (f *Figures) noise(figure func(arms) float64) (n *Noise, known bool) {
	if f.Trainings.Count < 2 {
		return nil, true
	}
	var values []float64
	var cells [][]arms
	for k := range f.Trainings.Count {
		one := Figures{Clusters: Clusters{Count: f.Clusters.Count}}
		for i, of := range f.Trainings.Of {
			if of == k {
				one.Shared, one.A, one.B = append(one.Shared, f.Shared[i]), append(one.A, f.A[i]), append(one.B, f.B[i])
				one.Clusters.Of = append(one.Clusters.Of, f.Clusters.Of[i])
			}
		}
		cells = append(cells, one.clusters())
		values = append(values, figure(sum(cells[k])))
		if math.IsNaN(values[k]) {
			return nil, false
		}
	}
	total := sum(f.clusters())
	all, pull := figure(total), make([][]float64, len(cells))
	for k := range cells {
		pull[k] = make([]float64, len(cells[k]))
		for c, of := range cells[k] {
			if v := figure(total.without(of)); !math.IsNaN(v) {
				pull[k][c] = all - v
			}
		}
	}
	return noiseOf(values, pull), true
}

// without is what is left of sums where some are taken out.
func (t arms) without(out arms) arms {
	left := sum([]arms{t})
	add(left.shared, out.shared, -1)
	add(left.a, out.a, -1)
	add(left.b, out.b, -1)
	return left
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
	noise, known := f.noise(pick)
	if !(se > 0) || !known {
		return value, interval
	}
	return value, noise.widen(value, f.bounds(value, centre, se, f.Low, f.High), level)
}

// withHalves adds half-rows: of a row that every training answers, as often as there are trainings.
func (f *Figures) withHalves(of []arms) []arms {
	out := append([]arms{}, of...)
	for _, h := range f.Half {
		one := arms{h.Shared, h.For, h.Against}
		for range f.Trainings.Count - 1 {
			one = sum([]arms{one, {h.Shared, h.For, h.Against}})
		}
		out = append(out, one, arms{one.shared, one.b, one.a})
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
