package abtest

import (
	"math"
	"math/rand/v2"
	"slices"
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
	common := Commonest([]int{2, 2, 1}, 4)
	s := Score([]int{2, 0, 2, 2}, []int{common, common, common, common}, 4)
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

func TestLatenciesAreResampledInBlocks(t *testing.T) {
	// The machine slows down for stretches of rows; B is 2 ms slower throughout.
	n := 400
	a, b := make([]float64, n), make([]float64, n)
	for i := range n {
		slow := 10 * math.Sin(float64(i)/30)
		a[i] = 40 + slow + math.Mod(float64(i)*0.618, 1)
		b[i] = 42 + slow + math.Mod(float64(i)*0.314, 1)
	}
	got := Timings{[][]float64{a}, [][]float64{b}}.Differences(0.95, 400, 7)
	if again := (Timings{[][]float64{a}, [][]float64{b}}).Differences(0.95, 400, 7); !slices.Equal(again, got) {
		t.Error("the same seed gives another interval")
	}
	for _, d := range got {
		if d.Reading != "worse" || d.Low > 2 || d.High < 2 || d.High-d.Low > 2 {
			t.Errorf("%+v", d)
		}
	}
	// Unpaired, the same stretches are most of the spread: blocks keep them, single rows would not.
	b = slices.Concat(b[200:], b[:200])
	if d := (Timings{[][]float64{a}, [][]float64{b}}).Differences(0.95, 400, 7)[0]; d.High-d.Low < 4 {
		t.Errorf("stretches of the machine's speed are taken for chance of single rows: %+v", d)
	}
	if few := (Timings{[][]float64{{1, 1, 1, 1, 1}}, [][]float64{{2, 2, 2, 2, 2}}}).Differences(0.95, 100, 1); few[0].Reading != "unclear" {
		t.Errorf("five timings decide: %+v", few)
	}
}

func TestARowTimedOftenIsStillOneRow(t *testing.T) {
	// Rows differ by far more than the machine does: timing them again tells nothing about other rows.
	rng := rand.New(rand.NewPCG(5, 5))
	n := 60
	a, b := make([]float64, n), make([]float64, n)
	for i := range n {
		a[i], b[i] = 30+10*rng.ExpFloat64(), 30+10*rng.ExpFloat64()
	}
	once := Timings{[][]float64{a}, [][]float64{b}}.Differences(0.95, 1000, 7)
	often := Timings{[][]float64{a, a, a, a, a}, [][]float64{b, b, b, b, b}}.Differences(0.95, 1000, 7)
	for k := range once {
		if w, v := once[k].High-once[k].Low, often[k].High-often[k].Low; v < 0.8*w {
			t.Errorf("%s: five passes over the same rows give an interval of %.2f ms, one of %.2f", once[k].Metric, v, w)
		}
	}
	// The machine differs by far more than the rows do: there, more passes tell more.
	noisy := func(passes int) (out [][]float64) {
		for range passes {
			one := make([]float64, n)
			for i := range one {
				one[i] = 30 + 10*rng.ExpFloat64()
			}
			out = append(out, one)
		}
		return out
	}
	few, many := Timings{noisy(1), noisy(1)}.Differences(0.95, 1000, 7)[0], Timings{noisy(10), noisy(10)}.Differences(0.95, 1000, 7)[0]
	if w, v := few.High-few.Low, many.High-many.Low; v > 0.7*w {
		t.Errorf("ten passes give an interval of %.2f ms, one of %.2f", v, w)
	}
	if got := MedianOfRows([][]float64{{1, 9}, {3, 7}, {2, 50}}); !slices.Equal(got, []float64{2, 9}) {
		t.Errorf("medians of the rows: %v", got)
	}
}

func TestPercentilesInterpolate(t *testing.T) {
	v := []float64{1, 2, 3, 4}
	near(t, "median", Percentile(v, 0.5), 2.5, 1e-15)
	near(t, "largest", Percentile(v, 1), 4, 0)
	near(t, "p95", Percentile(v, 0.95), 3.85, 1e-12)
	l := Latencies([][]float64{{4, 1}, {3, 2}})
	near(t, "median latency", l.MedianMS, 2.5, 1e-15)
	near(t, "mean latency", l.MeanMS, 2.5, 1e-15)
}
