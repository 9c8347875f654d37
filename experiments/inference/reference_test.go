package inference

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

type pair [2]float64

// reference is what testdata/reference.py computed with SciPy and statsmodels.
type reference struct {
	Shares []struct {
		A, B         []bool
		Clusters     []int
		Effective    float64
		Tango        pair
		ScoreP       float64  `json:"score_p"`
		FlipP        *float64 `json:"flip_p"`
		PermutationP *float64 `json:"scipy_permutation_p"`
		WilsonB      pair     `json:"wilson_b"`
	}
	Means []struct {
		A, B          []float64
		Clusters      []int
		SE, Low, High float64
		TP            float64 `json:"t_p"`
	}
	Flip struct {
		Sums []float64
		P    float64
	}
	Holm struct{ P, Adjusted []float64 }
	F1   struct {
		Gold, A, B, Clusters []int
		Delta                float64
		JackknifeSE          float64 `json:"jackknife_se"`
	} `json:"macro_f1"`
	Power []struct {
		N                               int
		Discordant, Delta, Alpha, Power float64
	}
	Betting struct {
		Sums              []float64
		Null              float64
		Above, Below, Low float64
	}
}

func read(t *testing.T) (r reference) {
	t.Helper()
	text, err := os.ReadFile("testdata/reference.json")
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tol*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %.15g, want %.15g", what, got, want)
	}
}

func clustersOf(numbers []int) Clusters {
	c := Clusters{Of: numbers}
	for _, n := range numbers {
		c.Count = max(c.Count, n+1)
	}
	return c
}

func TestSharesAgreeWithScipyAndStatsmodels(t *testing.T) {
	for i, want := range read(t).Shares {
		s := Shares{A: want.A, B: want.B, Clusters: clustersOf(want.Clusters)}
		d := s.Difference(0.95, 1)
		c := s.counts()
		near(t, "effective rows", d.Effective, want.Effective, 1e-9)
		critical := student(0.975, c.df)
		near(t, "Tango's low end", c.solve(critical), want.Tango[0], 2e-7) // scipy's search of the nuisance share ends there
		near(t, "Tango's high end", c.solve(-critical), want.Tango[1], 2e-7)
		near(t, "p of the score", studentTail(c.score(0), c.df), want.ScoreP, 1e-10)
		for _, p := range []*float64{want.FlipP, want.PermutationP} {
			if p != nil {
				near(t, "p of the sign flips", SignFlip(c.sums, 1).P, *p, 1e-12)
			}
		}
		if want.FlipP != nil {
			near(t, "the p-value", d.P, math.Max(*want.FlipP, want.ScoreP), 1e-10)
		}
		_, wilson := Rate(want.B, s.Clusters, Trainings{}, 0.95)
		near(t, "Wilson's low end", wilson.Low, want.WilsonB[0], 1e-9)
		near(t, "Wilson's high end", wilson.High, want.WilsonB[1], 1e-9)
		if t.Failed() {
			t.Fatalf("case %d", i)
		}
	}
}

func TestMeansAgreeWithStatsmodels(t *testing.T) {
	for _, want := range read(t).Means {
		d := MeanDifference(want.A, want.B, clustersOf(want.Clusters), Trainings{}, 0.95, 1)
		near(t, "standard error", d.SE, want.SE, 1e-12)
		near(t, "p", math.Max(want.TP, d.P), d.P, 0)
		if d.P < 0.05 {
			near(t, "low", d.Interval.Low, want.Low, 1e-10)
			near(t, "high", d.Interval.High, want.High, 1e-10)
		}
	}
}

func TestOtherFiguresAgreeWithTheReference(t *testing.T) {
	r := read(t)
	if got := SignFlip(r.Flip.Sums, 1); !got.Exact || math.Abs(got.P-r.Flip.P) > 1e-12 {
		t.Errorf("sign flips: %+v, want %v", got, r.Flip.P)
	}
	for i, p := range Holm(r.Holm.P) {
		near(t, "Holm", p, r.Holm.Adjusted[i], 1e-14)
	}
	f := macroF1(r.F1.Gold, r.F1.A, r.F1.B, clustersOf(r.F1.Clusters))
	f.Half = nil
	d := f.Difference(0.95, 1)
	near(t, "difference of macro-F1", d.Delta, r.F1.Delta, 1e-14)
	near(t, "jackknife", d.SE, r.F1.JackknifeSE, 1e-12)
	for _, p := range r.Power {
		near(t, "power", Plan{Discordant: p.Discordant, DesignEffect: 1, Alpha: p.Alpha}.Power(p.N, p.Delta), p.Power, 1e-10)
	}
	s := NewSequence(2, r.Betting.Null)
	for _, v := range r.Betting.Sums {
		s.Observe(v, 2)
	}
	above, below := s.E()
	near(t, "evidence above", above, r.Betting.Above, 1e-10)
	near(t, "evidence below", below, r.Betting.Below, 1e-10)
	near(t, "low end of the confidence sequence", s.Interval(0.95).Low, r.Betting.Low, 1e-9)
}
