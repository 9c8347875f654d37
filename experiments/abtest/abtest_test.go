package abtest

import (
	"math"
	"testing"

	"triality/experiments"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tol {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestScoresAgreeWithHandCountedFigures(t *testing.T) {
	gold := []int{0, 0, 0, 1, 1, 2}
	pred := []int{0, 0, 1, 1, 0, 0}
	s := Score(gold, pred, 4)
	near(t, "accuracy", s.Accuracy, 0.5, 1e-15)
	// F1: class 0: 2·2/(3+4) = 4/7; class 1: 2·1/(2+2) = 1/2; class 2: 0; class 3 never occurs.
	near(t, "macro F1", s.MacroF1, (4.0/7+0.5+0)/3, 1e-15)

	c := Confusion(gold, pred, 4)
	if c[0][1] != 1 || c[2][0] != 1 || c[1][1] != 1 {
		t.Errorf("confusion %v", c)
	}
	per := PerClass(c, experiments.Labels)
	near(t, "precision of class 0", per[0].Precision, 0.5, 1e-15)
	near(t, "recall of class 0", per[0].Recall, 2.0/3, 1e-15)
	near(t, "F1 of class 0", per[0].F1, 4.0/7, 1e-15)
	if empty := Score(nil, nil, 4); empty != (experiments.Scores{}) {
		t.Errorf("no rows: %+v", empty)
	}
	near(t, "F1 of a class that never occurs", per[3].F1, 0, 0)
	if per[1].Support != 2 {
		t.Errorf("support %d", per[1].Support)
	}
}

func TestMajorityAnswersTheCommonestTrainingLabel(t *testing.T) {
	s := Majority([]int{2, 2, 1}, []int{2, 0, 2, 2}, 4)
	near(t, "accuracy", s.Accuracy, 0.75, 1e-15)
}

func TestMcNemarAgreesWithPublishedValues(t *testing.T) {
	// Exact: b = 1, c = 8: two-sided 2·P(X ≤ 1 | 9, ½) = 2·10/512.
	gold, a, b := discordant(1, 8)
	m := McNemar(gold, a, b)
	if !m.Exact || m.OnlyA != 1 || m.OnlyB != 8 {
		t.Errorf("%+v", m)
	}
	near(t, "exact p", m.PValue, 20.0/512, 1e-12)
	// Chi-squared: b = 121, c = 59: (62−1)²/180 = 20.672, p = 5.45e-6 (Agresti's worked example form).
	gold, a, b = discordant(121, 59)
	m = McNemar(gold, a, b)
	near(t, "statistic", m.Statistic, 61.0*61/180, 1e-12)
	near(t, "p", m.PValue, 5.45e-6, 2e-8)
	// P(X ≤ 3 | 12, ½) = (1 + 12 + 66 + 220)/4096; from 25 discordant rows on it is chi-squared.
	near(t, "exact p of more", McNemar(discordant(3, 9)).PValue, 2*299.0/4096, 1e-12)
	for n, exact := range map[int]bool{24: true, 25: false} {
		if m := McNemar(discordant(5, n-5)); m.Exact != exact {
			t.Errorf("%d discordant rows: %+v", n, m)
		}
	}
	gold, a, b = discordant(0, 0)
	near(t, "p without discordant rows", McNemar(gold, a, b).PValue, 1, 0)
}

func discordant(onlyA, onlyB int) (gold, a, b []int) {
	for range onlyA {
		gold, a, b = append(gold, 0), append(a, 0), append(b, 1)
	}
	for range onlyB {
		gold, a, b = append(gold, 0), append(a, 1), append(b, 0)
	}
	return append(gold, 1), append(a, 1), append(b, 1)
}

func TestTheBootstrapIntervalCoversTheNormalApproximation(t *testing.T) {
	// B is right on 60 % of 400 rows, A on 50 %, independently: the difference of paired means has
	// standard error sqrt(var(d)/n); the percentile interval has to lie near ±1.96 of it.
	n := 400
	d := make([]float64, n)
	var mean, sq float64
	for i := range d {
		right := func(m, below int) float64 {
			if (i*m)%100 < below {
				return 1
			}
			return 0
		}
		d[i] = right(37, 60) - right(53, 50)
		mean += d[i] / float64(n)
	}
	for _, v := range d {
		sq += (v - mean) * (v - mean)
	}
	se := math.Sqrt(sq/float64(n)) / math.Sqrt(float64(n))
	st := Statistic{Name: "x", A: func([]int) float64 { return 0 }, B: func(rows []int) float64 {
		s := 0.0
		for _, r := range rows {
			s += d[r]
		}
		return s / float64(len(rows))
	}}
	got := Differences(n, []Statistic{st}, 4000, 7)[0]
	near(t, "delta", got.Delta, mean, 1e-12)
	near(t, "low", got.Low, mean-1.96*se, 0.006)
	near(t, "high", got.High, mean+1.96*se, 0.006)
	if again := Differences(n, []Statistic{st}, 4000, 7)[0]; again != got {
		t.Error("the same seed gives another interval")
	}
}

func TestTheBootstrapIntervalTakes95PercentOfTheResamples(t *testing.T) {
	// The statistic draws its own values, so that the resamples' distribution is known: 0, 1, 2 … 10000,
	// whose 2.5 % and 97.5 % points are 250 and 9750.
	const resamples = 10001
	calls := 0
	st := Statistic{Name: "x", A: func([]int) float64 { return 10 }, B: func([]int) float64 {
		calls++
		return float64((calls * 7919) % resamples) // the first call is the figure of all rows
	}}
	got := Differences(3, []Statistic{st}, resamples, 1)[0]
	near(t, "delta", got.Delta, 7919-10, 1e-9)
	near(t, "low", got.Low, 250-10, 1e-9)
	near(t, "high", got.High, 9750-10, 1e-9)
}

func TestPercentilesInterpolate(t *testing.T) {
	v := []float64{1, 2, 3, 4}
	near(t, "median", Percentile(v, 0.5), 2.5, 1e-15)
	near(t, "largest", Percentile(v, 1), 4, 0)
	near(t, "p95", Percentile(v, 0.95), 3.85, 1e-12)
	l := Latencies([]float64{4, 1, 3, 2})
	near(t, "median latency", l.MedianMS, 2.5, 1e-15)
	near(t, "mean latency", l.MeanMS, 2.5, 1e-15)
}
