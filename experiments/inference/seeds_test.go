package inference

import (
	"math"
	"math/rand/v2"
	"testing"
)

// crossed draws a figure of n rows in each of some trainings: seeds, rows and both together have standard deviations of their own.
func crossedRows(rng *rand.Rand, trainings, n int, seed, row, both float64) []float64 {
	rows := make([]float64, n)
	for i := range rows {
		rows[i] = row * rng.NormFloat64()
	}
	var out []float64
	for range trainings {
		shift := seed * rng.NormFloat64()
		for _, r := range rows {
			out = append(out, shift+r+both*rng.NormFloat64())
		}
	}
	return out
}

func TestThePartsOfTheVarianceAreThoseOfSeedsAndRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	const trainings, n, times = 3, 40, 3000
	const seed, row, both = 0.2, 1.0, 0.8
	c, of := Rows(n).Repeat(trainings)
	var seeds, cells, rows float64
	for range times {
		noise := meanNoise(crossedRows(rng, trainings, n, seed, row, both), c, of)
		seeds, cells, rows = seeds+noise.Seeds/times, cells+noise.Cells/times, rows+noise.Rows/times
	}
	shared := both * both / (trainings * n)
	near(t, "seeds", seeds/(seed*seed/trainings+shared), 1, 0.06)
	near(t, "both together", cells/shared, 1, 0.03)
	near(t, "rows", rows/(row*row/n+shared), 1, 0.03)
}

func TestAnIntervalOverSeedsHoldsWithTwoThreeAndFiveTrainings(t *testing.T) {
	for _, trainings := range []int{2, 3, 5} {
		for _, seed := range []float64{0, 0.05, 0.2, 1} { // against rows' 1/√40
			rng := rand.New(rand.NewPCG(7, uint64(trainings)))
			const n, times = 40, 1500
			c, of := Rows(n).Repeat(trainings)
			held, alone := 0, 0
			for range times {
				x := crossedRows(rng, trainings, n, seed, 1, 0.5)
				if _, _, i := Mean(x, c, of, 0.95); i.Has(0) {
					held++
				}
				if _, _, i := Mean(x, c, Trainings{}, 0.95); i.Has(0) {
					alone++
				}
			}
			if share := float64(held) / times; share < 0.95-4*math.Sqrt(0.0475/times) {
				t.Errorf("%d trainings, seeds of %g: the interval holds %.3f", trainings, seed, share)
			}
			if share := float64(alone) / times; seed == 1 && share > 0.6 {
				t.Errorf("%d trainings, seeds of %g: with the trainings as given it holds %.3f, so this shows nothing", trainings, seed, share)
			}
		}
	}
}

// Finding 5: one seed drove everything, and no interval knew of it.
func TestTwoTrainingsGiveTheIntervalOfTwoValues(t *testing.T) {
	const n = 10_000 // so many rows that they say nothing
	a, b := make([]float64, 2*n), make([]float64, 2*n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = 0.1 + 0.001*rng.NormFloat64()
		if i >= n {
			b[i] += 0.1
		}
	}
	c, of := Rows(n).Repeat(2)
	d := MeanDifference(a, b, c, of, 0.95, 1)
	half := 12.706204736 * 0.05 // t with one degree, times the error of the mean of 0.1 and 0.2
	near(t, "low", d.Interval.Low, 0.15-half, 1e-3)
	near(t, "high", d.Interval.High, 0.15+half, 1e-3)
	near(t, "p", d.P, 2*math.Atan(0.05/0.15)/math.Pi, 1e-3) // Student's t with one degree is Cauchy's distribution
	if d.Noise.SeedShare() < 0.999 || d.Noise.Values[0] > 0.11 {
		t.Errorf("%+v", d.Noise)
	}
}

func TestOverSeedsAnIntervalIsNoNarrowerAndAgreesWithItsTest(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for round := range 150 {
		n, trainings := 4+rng.IntN(30), 2+rng.IntN(3)
		keys := make([]string, n)
		for i := range keys {
			keys[i] = string(rune('a' + rng.IntN(2+n/2)))
		}
		c, of := ClustersOf(keys).Repeat(trainings)
		gold, a, b := make([]int, n*trainings), make([]int, n*trainings), make([]int, n*trainings)
		s := Shares{Clusters: c, Trainings: of}
		better := rng.Float64()
		for i := range gold {
			if gold[i] = gold[i%n]; i < n {
				gold[i] = rng.IntN(4)
			}
			a[i], b[i] = rng.IntN(4), rng.IntN(4)
			if rng.Float64() < better {
				b[i] = gold[i]
			}
			s.A, s.B = append(s.A, a[i] == gold[i]), append(s.B, b[i] == gold[i])
		}
		answers := Answers{Gold: gold, A: a, B: b, Classes: 4, Clusters: c, Trainings: of}
		given := answers
		given.Trainings = Trainings{}
		over, alone := s.Difference(0.95, 1), Shares{A: s.A, B: s.B, Clusters: c}.Difference(0.95, 1)
		pairs := map[string][2]Difference{"accuracy": {over, alone}}
		if round%15 == 0 { // thousands of exchanges each
			pairs["macro-F1"] = [2]Difference{answers.MacroF1().Difference(0.95, 1), given.MacroF1().Difference(0.95, 1)}
		}
		for name, pair := range pairs {
			wide, narrow := pair[0], pair[1]
			if wide.Delta != narrow.Delta || wide.Noise == nil || narrow.Noise != nil {
				t.Fatalf("%s: %+v, %+v", name, wide, narrow)
			}
			if name == "accuracy" && (wide.Interval.Low > narrow.Interval.Low+1e-9 || wide.Interval.High < narrow.Interval.High-1e-9) {
				t.Fatalf("%s: %v over seeds, %v with the trainings as given", name, wide.Interval, narrow.Interval)
			}
			if (wide.P < 0.05) == wide.Interval.Has(0) {
				t.Fatalf("%s: p is %g beside %v", name, wide.P, wide.Interval)
			}
		}
	}
}

func TestMoreTrainingsAreAskedForWhereSeedsAreTheNoise(t *testing.T) {
	seeds := &Noise{Values: []float64{0.05, 0.15, 0.1}, Seeds: 0.0008, Cells: 1e-5, Rows: 2e-5}
	rows, trainings := seeds.More(400, 0.1, 0.05, 0.8)
	if rows != 0 || trainings < 1 || trainings > 10 {
		t.Errorf("seeds alone: %d more rows, %d more trainings", rows, trainings)
	}
	alike := &Noise{Values: []float64{0.1, 0.1001, 0.0999}, Seeds: 1e-8, Cells: 1e-8, Rows: 0.003}
	rows, trainings = alike.More(400, 0.1, 0.05, 0.8)
	if rows < 300 || rows > 2000 || trainings != 0 {
		t.Errorf("rows alone: %d more rows, %d more trainings", rows, trainings)
	}
	if rows, trainings = seeds.More(400, -0.1, 0.05, 0.8); rows != 0 || trainings != 0 {
		t.Errorf("a difference on the wrong side: %d, %d", rows, trainings)
	}
	two := &Noise{Values: []float64{0.08, 0.12}, Seeds: 0.0004, Cells: 1e-5, Rows: 1e-4}
	if _, trainings = two.More(400, 0.1, 0.05, 0.8); trainings < 1 || trainings > 10 {
		t.Errorf("two trainings: %d more", trainings)
	}
}

// What is used instead of Welch and Satterthwaite's degrees of freedom, and why.
func TestWeightedQuantilesHoldWhereWelchsDoNot(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	const times, z = 8000, 1.959963985
	for _, trainings := range []int{2, 3, 5} {
		df := float64(trainings - 1)
		for _, seeds := range []float64{0.1, 1, 10, 100} { // their variance; that of the rows is 1, and known
			weighted, welch := 0, 0
			for range times {
				squares := 0.0
				for range trainings - 1 {
					v := rng.NormFloat64()
					squares += v * v
				}
				estimated, x := seeds*squares/df, math.Abs(rng.NormFloat64())*math.Sqrt(seeds+1)
				if x <= crossed(estimated, df, 1, z, 0.95) {
					weighted++
				}
				if x <= student(0.975, (estimated+1)*(estimated+1)*df/(estimated*estimated))*math.Sqrt(estimated+1) {
					welch++
				}
			}
			if share := float64(weighted) / times; share < 0.93 || share > 0.985 {
				t.Errorf("%d trainings, seeds of %g: weighted quantiles hold %.3f", trainings, seeds, share)
			}
			if share := float64(welch) / times; trainings == 2 && seeds == 10 && share > 0.9 {
				t.Errorf("Welch's degrees hold %.3f with two trainings: they would do", share)
			}
		}
	}
}
