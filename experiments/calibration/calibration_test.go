package calibration

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestADiagramAndItsErrorAreThoseCountedByHand(t *testing.T) {
	p := [][]float64{{0.95, 0.05}, {0.92, 0.08}, {0.4, 0.6}, {0.35, 0.65}, {1, 0}, {0.5, 0.5}}
	gold := []int{0, 1, 1, 0, 0, 0}
	d := Diagram(p, gold)
	if d[9].Rows != 3 || d[6].Rows != 2 || d[5].Rows != 1 || len(d) != 10 { // 1 is in the last bin
		t.Fatalf("%+v", d)
	}
	near(t, "confidence", d[9].Confidence, 2.87/3, 1e-15)
	near(t, "accuracy", d[9].Accuracy, 2.0/3, 1e-15)
	near(t, "an empty bin", d[0].Confidence+d[0].Accuracy, 0, 0)
	near(t, "ECE", ECE(d), (math.Abs(2-2.87)+math.Abs(1-1.25)+math.Abs(1-0.5))/6, 1e-15)
	near(t, "ECE of nothing", ECE(Diagram(nil, nil)), 0, 0)
	near(t, "log loss", MeanLogLoss([][]float64{{0.25, 0.75}, {0, 1}}, []int{0, 0}), (math.Log(4)-math.Log(2.220446049250313e-16))/2, 1e-12)
}

func TestTheLikeliestClassIsTheAnswer(t *testing.T) {
	for want, p := range [][]float64{{0.4, 0.4, 0.2}, {0.1, 0.7, 0.2}, {0.1, 0.2, 0.7}} {
		if got := Likeliest(p); got != want {
			t.Errorf("of %v: %d", p, got)
		}
		if got := Decide(p, Even(3)); got != want {
			t.Errorf("of %v by even thresholds: %d", p, got)
		}
	}
}

func TestProbabilitiesOfUnlikelyAnswersAddUpToOne(t *testing.T) {
	for _, shift := range []float64{0, -2000, 700} {
		p := Softmax([]float64{shift, shift - math.Log(3)}, 1)
		if !(math.Abs(p[0]-0.75) < 1e-9 && math.Abs(p[1]-0.25) < 1e-9) { // nor not a number
			t.Errorf("log-probabilities about %g: %v", shift, p)
		}
		if p := Softmax([]float64{shift, shift - math.Log(9)}, 2); !(math.Abs(p[0]-0.75) < 1e-9) {
			t.Errorf("a temperature of 2: %v", p)
		}
	}
}

// drawn are scores that are right by chance as often as they say, times a factor.
func drawn(rows int, factor float64, seed uint64) (scores [][]float64, gold []int) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range rows {
		s := make([]float64, 4)
		for k := range s {
			s[k] = 1.5 * r.NormFloat64()
		}
		u, class := r.Float64(), 0
		for k, p := range Softmax(s, 1) {
			if u -= p; u < 0 {
				class = k
				break
			}
		}
		for k := range s {
			s[k] = factor*s[k] - 40 // what all have in common says nothing
		}
		scores, gold = append(scores, s), append(gold, class)
	}
	return scores, gold
}

func TestATemperatureUndoesWhatScoresWereMultipliedBy(t *testing.T) {
	for _, factor := range []float64{0.3, 1, 3, 8} {
		scores, gold := drawn(4000, factor, 7)
		got, err := Temperature(scores, gold)
		if err != nil || math.Abs(got/factor-1) > 0.06 {
			t.Errorf("factor %g: %v, %v", factor, got, err)
		}
		// It is where the log loss is least.
		loss := func(t float64) float64 {
			var p [][]float64
			for _, s := range scores {
				p = append(p, Softmax(s, t))
			}
			return MeanLogLoss(p, gold)
		}
		if at := loss(got); at > loss(got*1.001) || at > loss(got/1.001) {
			t.Errorf("factor %g: the log loss is not least at %v", factor, got)
		}
		if again, _ := Temperature(scores, gold); again != got {
			t.Error("the same rows give another temperature")
		}
	}
}

func TestRowsThatDetermineNoTemperatureAreAnError(t *testing.T) {
	for name, c := range map[string]struct {
		scores [][]float64
		gold   []int
	}{
		"no rows":        {nil, nil},
		"all are right":  {[][]float64{{0, -1}, {-3, 0}}, []int{0, 1}},
		"all are wrong":  {[][]float64{{0, -1}, {-3, 0}}, []int{1, 0}},
		"all are alike":  {[][]float64{{-2, -2}, {-2, -2}}, []int{0, 1}},
		"as a coin says": {[][]float64{{0, -1}, {0, -1}}, []int{0, 1}},
	} {
		if got, err := Temperature(c.scores, c.gold); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	got, err := Temperature([][]float64{{0, math.Inf(-1)}, {0, -1}, {0, -1}, {-1, 0}}, []int{0, 0, 1, 1})
	if err != nil || !(got > 0) {
		t.Errorf("a class of no probability: %v, %v", got, err)
	}
}

func TestOfTwoClassesOneIsAnsweredFromItsThresholdOn(t *testing.T) {
	th := []float64{0.7, 0.3}
	for p, want := range map[float64]int{0.29: 0, 0.31: 1, 0.9: 1, 0: 0} {
		if got := Decide([]float64{1 - p, p}, th); got != want {
			t.Errorf("%g: %d, want %d", p, got, want)
		}
	}
}

func TestThresholdsReachTheBestThatEachClassAloneCan(t *testing.T) {
	// Probabilities that favour class 0 wrongly: a lower share of it puts every row right.
	p := [][]float64{{0.6, 0.3, 0.1}, {0.55, 0.1, 0.35}, {0.9, 0.05, 0.05}, {0.5, 0.45, 0.05}, {0.85, 0.1, 0.05}}
	gold := []int{1, 2, 0, 1, 0}
	right := func(answers []int) float64 {
		n := 0.0
		for i, a := range answers {
			if a == gold[i] {
				n++
			}
		}
		return n
	}
	th := Thresholds(p, right)
	sum := 0.0
	for i := range p {
		if got := Decide(p[i], th); got != gold[i] {
			t.Errorf("row %d is answered %d by %v", i, got, th)
		}
	}
	for _, v := range th {
		sum += v
	}
	near(t, "the sum of the thresholds", sum, 1, 1e-12)
	// What gains nothing leaves them even.
	if th := Thresholds(p, func([]int) float64 { return 1 }); !slices.Equal(th, []float64{1.0 / 3, 1.0 / 3, 1.0 / 3}) {
		t.Errorf("without a goal: %v", th)
	}
	// They are never worse than even ones on the rows that they were chosen on.
	r := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		scores, gold := drawn(60, 1+2*r.Float64(), r.Uint64())
		var p [][]float64
		even := make([]int, len(scores))
		for i, s := range scores {
			p = append(p, Softmax(s, 1))
			even[i] = Likeliest(p[i])
		}
		value := func(answers []int) float64 {
			n := 0.0
			for i, a := range answers {
				if a == gold[i] {
					n++
				}
			}
			return n
		}
		th, answers := Thresholds(p, value), make([]int, len(p))
		for i := range p {
			answers[i] = Decide(p[i], th)
		}
		if value(answers) < value(even) {
			t.Errorf("%v by thresholds, %v without", value(answers), value(even))
		}
	}
}
