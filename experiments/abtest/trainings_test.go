package abtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"triality/experiments"
)

// answered are rows of four classes, right with a chance of its own for each arm.
func answered(rng *rand.Rand, n int, a, b float64) (samples []experiments.Sample, units []string) {
	for i := range n {
		s := experiments.Sample{Index: i, Label: experiments.Labels[i%4]}
		for arm, right := range []float64{a, b} {
			answer, p := rng.IntN(4), []float64{0.1, 0.1, 0.1, 0.1}
			if rng.Float64() < right {
				answer = i % 4
			}
			p[answer] = 0.7
			if arm == 0 {
				s.PredictionA, s.ProbabilityA = experiments.Labels[answer], p
			} else {
				s.PredictionB, s.ProbabilityB = experiments.Labels[answer], p
			}
		}
		samples, units = append(samples, s), append(units, fmt.Sprint(i/2))
	}
	return samples, units
}

func TestTrainingsThatAgreeAreAsOne(t *testing.T) {
	samples, units := answered(rand.New(rand.NewPCG(1, 1)), 120, 0.4, 0.7)
	d := experiments.DefaultDesign()
	one, three := Infer(samples, units, d, 1), InferTrainings([][]experiments.Sample{samples, samples, samples}, units, d, 1)
	if three.Rows != 120 || three.Clusters != 60 || three.Largest != 2 {
		t.Errorf("%d rows in %d groups of at most %d", three.Rows, three.Clusters, three.Largest)
	}
	for k := range one.Comparisons {
		a, b := &one.Comparisons[k], &three.Comparisons[k]
		if math.Abs(float64(a.A.Value-b.A.Value)) > 1e-12 || math.Abs(float64(a.Delta.Value-b.Delta.Value)) > 1e-12 || a.Rows != b.Rows || a.Clusters != b.Clusters {
			t.Errorf("%s: %+v, one training %+v", a.Metric, b, a)
		}
		if n := b.Trainings; a.Trainings != nil || n == nil || n.SeedError > 1e-9 || n.SeedShare > 1e-9 || n.Delta[2] != n.Delta[0] || math.Abs(float64(n.Delta[0]-a.Delta.Value)) > 1e-12 {
			t.Errorf("%s: %+v", a.Metric, n)
		}
		if was, is := a.Delta.High-a.Delta.Low, b.Delta.High-b.Delta.Low; math.Abs(float64(is/was)-1) > 0.05 {
			t.Errorf("%s: an interval of %v, one training's is %v", a.Metric, is, was)
		}
	}
}

func TestEachTrainingsFiguresAreItsOwn(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var trainings [][]experiments.Sample
	var units []string
	for _, right := range []float64{0.5, 0.8} {
		samples, u := answered(rng, 80, 0.4, right)
		trainings, units = append(trainings, samples), u
	}
	both := InferTrainings(trainings, units, experiments.DefaultDesign(), 1)
	for k, samples := range trainings {
		one := Infer(samples, units, experiments.DefaultDesign(), 1)
		for i := range one.Comparisons {
			a, n := &one.Comparisons[i], both.Comparisons[i].Trainings
			if n == nil || math.Abs(float64(n.A[k]-a.A.Value))+math.Abs(float64(n.B[k]-a.B.Value))+math.Abs(float64(n.Delta[k]-a.Delta.Value)) > 1e-9 {
				t.Errorf("training %d, %s: %+v, alone %+v to %+v", k, a.Metric, n, a.A, a.B)
			}
		}
	}
	c := both.Of("accuracy")
	if n := c.Trainings; math.Abs(math.Hypot(float64(n.SeedError), float64(n.RowError))-float64(c.Error)) > 1e-12 || n.SeedShare < 0.5 {
		t.Errorf("%+v of %v", n, c.Error)
	}
}
