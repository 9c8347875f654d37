package inference

import (
	"math"
	"math/rand/v2"
	"testing"
)

func macroF1(gold, a, b []int, c Clusters) *Figures {
	return Answers{Gold: gold, A: a, B: b, Classes: 4, Clusters: c}.MacroF1()
}

// all is n times the same.
func all[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// Finding 1 of the issue: five rows, all of which B alone has right, showed a gain of [100, 100] points.
func TestFiveRowsShowWhatFiveRowsCanShow(t *testing.T) {
	for n, want := range map[int]Interval{1: {-1, 0}, 5: {-1, 0}, 6: {0.1, 0.5}} { // of the low end
		d := Shares{A: all(n, false), B: all(n, true), Clusters: Rows(n)}.Difference(0.95, 1)
		if d.Delta != 1 || d.Interval.High != 1 {
			t.Errorf("%d rows: %+v", n, d)
		}
		if low := d.Interval.Low; low < want.Low || low > want.High || (d.P < 0.05) != (n == 6) {
			t.Errorf("%d rows: %+v", n, d)
		}
		f := macroF1(all(n, 2), all(n, 0), all(n, 2), Rows(n)).Difference(0.95, 1)
		if n < 6 && (f.Interval.Low > 0 || f.P < 0.05) {
			t.Errorf("macro-F1 on %d rows: %+v", n, f)
		}
	}
	same := Shares{A: all(5, true), B: all(5, true), Clusters: Rows(5)}.Difference(0.95, 1)
	if i := same.Interval; i.Low > -0.4 || i.High < 0.4 {
		t.Errorf("five rows that both have right: %+v", same)
	}
}

// Finding 2: a hundred copies of one group counted as a hundred rows.
func TestCopiesOfAClusterAreOneCluster(t *testing.T) {
	one := Clusters{Of: make([]int, 100), Count: 1}
	d := Shares{A: all(100, false), B: all(100, true), Clusters: one}.Difference(0.95, 1)
	if d.P != 1 || d.Interval != (Interval{-1, 1}) {
		t.Errorf("a hundred copies of one group: %+v", d)
	}
	// Six groups, however often each is copied, are as six rows.
	for _, copies := range []int{1, 2, 50} {
		var of []int
		for i := range 6 * copies {
			of = append(of, i/copies)
		}
		d := Shares{A: all(6*copies, false), B: all(6*copies, true), Clusters: Clusters{of, 6}}.Difference(0.95, 1)
		near(t, "p", d.P, 2.0/64, 0.031) // the score's p is Student's with more copies
		if copies > 1 && (d.P < 2.0/64 || d.Effective != 6) {
			t.Errorf("six groups of %d: %+v", copies, d)
		}
	}
}

func TestAnIntervalIsNeverWiderThanWhereClustersAreCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		m, k := 4+rng.IntN(12), 2+rng.IntN(4)
		var one, copies Shares
		one.Clusters, copies.Clusters = Rows(m), Clusters{Count: m}
		for c := range m {
			a, b := rng.IntN(3) > 0, rng.IntN(3) > 0
			one.A, one.B = append(one.A, a), append(one.B, b)
			for range k {
				copies.A, copies.B, copies.Clusters.Of = append(copies.A, a), append(copies.B, b), append(copies.Clusters.Of, c)
			}
		}
		want, got := one.Difference(0.95, 1), copies.Difference(0.95, 1)
		if got.Interval.Low < want.Interval.Low-1e-9 || got.Interval.High > want.Interval.High+1e-9 {
			t.Fatalf("%d clusters of %d copies: %v, the same rows once: %v", m, k, got.Interval, want.Interval)
		}
		if (got.P < 0.05) != !got.Interval.Has(0) {
			t.Fatalf("%d clusters of %d copies: p is %g beside %v", m, k, got.P, got.Interval)
		}
		_, wide := Rate(copies.B, copies.Clusters, Trainings{}, 0.95)
		_, once := Rate(one.B, one.Clusters, Trainings{}, 0.95)
		if wide.Low < once.Low-1e-9 || wide.High > once.High+1e-9 {
			t.Fatalf("%d clusters of %d copies: a rate of %v, the same rows once: %v", m, k, wide, once)
		}
	}
}

func TestAnIntervalLeavesOutZeroExactlyWhereThePValueIsBelowAlpha(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		n, k := 1+rng.IntN(60), 1+rng.IntN(6)
		keys := make([]string, n)
		for i := range keys {
			keys[i] = string(rune('a' + rng.IntN(1+n/k)))
		}
		c := ClustersOf(keys)
		pa, pb := rng.Float64(), rng.Float64()
		var s Shares
		s.Clusters = c
		gold, a, b, la, lb := make([]int, n), make([]int, n), make([]int, n), make([]float64, n), make([]float64, n)
		for i := range n {
			s.A, s.B = append(s.A, rng.Float64() < pa), append(s.B, rng.Float64() < pb)
			gold[i], a[i], b[i] = rng.IntN(4), rng.IntN(4), rng.IntN(4)
			if s.B[i] {
				b[i] = gold[i]
			}
			la[i], lb[i] = rng.ExpFloat64(), rng.ExpFloat64()*pb
		}
		check := func(what string, d Difference) {
			if (d.P < 0.05) == d.Interval.Has(0) || math.IsNaN(d.P) || d.Interval.Low > d.Interval.High ||
				!math.IsNaN(d.Delta) && !(d.Interval.Low <= d.Delta+1e-9 && d.Delta-1e-9 <= d.Interval.High) {
				t.Fatalf("%s of %d rows in %d clusters: %+v", what, n, c.Count, d)
			}
			if d.Interval.Low == d.Interval.High {
				t.Fatalf("%s: an interval without width: %+v", what, d)
			}
		}
		check("shares", s.Difference(0.95, 1))
		check("log loss", MeanDifference(la, lb, c, Trainings{}, 0.95, 1))
		if rng.IntN(30) == 0 { // thousands of exchanges each
			answers := Answers{Gold: gold, A: a, B: b, Classes: 4, Clusters: c}
			check("macro-F1", answers.MacroF1().Difference(0.95, 1))
			check("precision", answers.Precision(1).Difference(0.95, 1))
		}
	}
}

func TestTheExactDistributionIsThatOfAllAssignments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var sums []float64
		for range 1 + rng.IntN(12) {
			sums = append(sums, float64(rng.IntN(9)-4))
		}
		total, far, count := 0.0, 0.0, 0
		for _, s := range sums {
			total += s
		}
		far = math.Abs(total)
		for signs := range 1 << len(sums) {
			flipped := 0.0
			for i, s := range sums {
				flipped += s * float64(1-2*(signs>>i&1))
			}
			if math.Abs(flipped) >= far {
				count++
			}
		}
		if got := SignFlip(sums, 1); !got.Exact || math.Abs(got.P-float64(count)/float64(int(1)<<len(sums))) > 1e-12 {
			t.Fatalf("%v: %+v, want %d of %d", sums, got, count, 1<<len(sums))
		}
	}
	many := make([]float64, 40)
	for i := range many {
		many[i] = 0.3 + math.Sin(float64(i))
	}
	a, b := SignFlip(many, 5), SignFlip(many, 5)
	if a.Exact || a != b || a.P < 1e-4 || a.P > 0.2 {
		t.Errorf("drawn: %+v %+v", a, b)
	}
}

func TestAClaimIsJudgedByTheIntervalAlone(t *testing.T) {
	for _, tt := range []struct {
		claim     Claim
		low, high float64
		margin    float64
		up        bool
		want      Finding
	}{
		{Superiority, 0.01, 0.2, 0, true, Shown},
		{Superiority, 0.01, 0.2, 0, false, Refuted},
		{Superiority, 0, 0.2, 0, true, Open},
		{Superiority, 0.01, 0.2, 0.05, true, Open},
		{Superiority, -0.3, 0.04, 0.05, true, Refuted},
		{NonInferiority, -0.01, 0.2, 0.02, true, Shown},
		{NonInferiority, -0.02, 0.2, 0.02, true, Open},
		{NonInferiority, -0.2, -0.03, 0.02, true, Refuted},
		{NonInferiority, -0.2, 0.01, 0.02, false, Shown},
		{NonInferiority, 0.18, 0.36, 0.02, false, Refuted},
		{Equivalence, -0.01, 0.01, 0.02, true, Shown},
		{Equivalence, -0.01, 0.03, 0.02, true, Open},
		{Equivalence, 0.03, 0.05, 0.02, true, Refuted},
	} {
		if got := Judge(tt.claim, Interval{tt.low, tt.high}, tt.margin, tt.up); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func TestThePlanFindsItsOwnRowsAndEffects(t *testing.T) {
	p := Plan{Discordant: 0.3, DesignEffect: 1, Alpha: 0.05}
	n := p.Rows(0.8, 0.1)
	if power := p.Power(n, 0.1); power < 0.8 || power > 0.83 || n < 200 || n > 300 {
		t.Errorf("%d rows have power %v", n, power)
	}
	near(t, "smallest effect", p.Smallest(n, 0.8), 0.1, 0.01)
	p.DesignEffect = 2
	if m := p.Rows(0.8, 0.1); m < 2*n-40 || m > 2*n+40 {
		t.Errorf("twice the variance needs %d rows, not twice %d", m, n)
	}
	margin := Plan{Discordant: 0.1, DesignEffect: 1, Alpha: 0.05, Margin: -0.02}
	if n := margin.Rows(0.8, 0); n < 1500 || n > 2500 {
		t.Errorf("non-inferiority by 2 points needs %d rows", n) // (1.96+0.84)²·0.1/0.0004 = 1,962
	}
	if p.Rows(0.8, 0) != 0 || p.Rows(0.8, -0.1) != 0 || !math.IsNaN(p.Smallest(3, 0.8)) {
		t.Error("what cannot be shown needs a number of rows")
	}
	if MoreRows(100, -0.1, 0.1, 0.05, 0.8) != 0 || MoreRows(100, 0.1, 0.1, 0.05, 0.8) != 685 { // 7.849 times the rows
		t.Error(MoreRows(100, 0.1, 0.1, 0.05, 0.8))
	}
}

func TestASequenceIsAnIntervalOnceItHasSeenEnough(t *testing.T) {
	s := NewSequence(3, 0)
	if s.Interval(0.95) != (Interval{-1, 1}) || s.P() != 1 {
		t.Errorf("before the first row: %+v %v", s.Interval(0.95), s.P())
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		sum := 0.0
		for range 3 {
			if rng.Float64() < 0.3 {
				sum++
			} else if rng.Float64() < 0.1 {
				sum--
			}
		}
		s.Observe(sum, 3)
		if i := s.Interval(0.95); (s.P() < 0.05) == i.Has(0) {
			t.Fatalf("p %v, interval %+v", s.P(), i)
		}
	}
	if i := s.Interval(0.95); i.Low < 0.1 || i.High > 0.4 || !i.Has(0.23) {
		t.Errorf("%+v", i)
	}
	defer func() {
		if recover() == nil {
			t.Error("a cluster of four was taken")
		}
	}()
	s.Observe(0, 4)
}

func TestRowsWithoutAGroupAreClustersOfTheirOwn(t *testing.T) {
	c := ClustersOf([]string{"x", "", "y", "x", ""})
	if c.Count != 4 || c.Of[0] != c.Of[3] || c.Of[1] == c.Of[4] || c.Largest() != 2 {
		t.Errorf("%+v", c)
	}
	if s := c.Select([]int{0, 3, 4}); s.Count != 2 || s.Of[0] != s.Of[1] {
		t.Errorf("%+v", s)
	}
}
