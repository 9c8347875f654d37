package inferencebench

import (
	"context"
	"math"
	"math/rand/v2"

	"triality/experiments/inference"
)

// SeedCoverage is how often nominal 95 % intervals of arms that were trained several times hold what the arms are over all seeds
// and rows, and how often they leave out 0 where the arms do not differ.
type SeedCoverage struct {
	Trainings   int              `json:"trainings"`
	Rows        int              `json:"rows"`
	ClusterSize int              `json:"cluster_size"`
	Of          map[string]Share `json:"of"`
	FalseWins   Share            `json:"false_wins"` // of accuracy
	// Width is the mean width of accuracy's interval, Rows that of one which takes the trainings as given.
	Width     float64 `json:"width"`
	RowsWidth float64 `json:"rows_width"`
}

// seeded is a truth in which a training shifts how good an arm is, and has answers of its own to single rows.
type seeded struct {
	truth
	own     float64    // part of a row's skill that all trainings of an arm share
	shift   [2]float64 // standard deviation of an arm's accuracy over seeds
	trained [2]bool    // more than once; A may be a model that is there
}

// drawnSeeded is an ordinary comparison of which a seed moves accuracies by up to 4 points (one standard deviation), and in a
// quarter of which A is not trained.
func drawnSeeded(rng *rand.Rand, equal bool) seeded {
	s := seeded{truth: drawn(rng, 0.3), trained: [2]bool{rng.IntN(4) > 0, true}}
	s.accuracy[1] = math.Min(s.accuracy[1], 0.85)
	if equal {
		s.accuracy[1], s.loss = s.accuracy[0], 1
	}
	s.alike *= 0.6
	s.own = (0.9 - s.alike) * rng.Float64()
	for a := range s.shift {
		if s.trained[a] {
			s.shift[a] = 0.04 * rng.Float64()
		}
	}
	return s
}

// sampleOf draws n rows in clusters of k, which each of some trainings answers.
func (s seeded) sampleOf(rng *rand.Rand, n, k, trainings int) sample {
	out := sample{Answers: inference.Answers{Classes: len(classes)}}
	clusters := inference.Clusters{Count: n / k}
	type row struct {
		gold   int
		shared [2]float64 // skill
	}
	var rows []row
	copies := make([]bool, n)
	for c := range n / k {
		same := rng.Float64() < s.copied
		for j := range k {
			clusters.Of = append(clusters.Of, c)
			if copies[len(rows)] = same && j > 0; copies[len(rows)] {
				rows = append(rows, rows[len(rows)-1])
				continue
			}
			both, r := rng.NormFloat64(), row{}
			for u := rng.Float64(); u > classes[r.gold] && r.gold < len(classes)-1; r.gold++ {
				u -= classes[r.gold]
			}
			for a := range r.shared {
				r.shared[a] = math.Sqrt(s.alike)*both + math.Sqrt(s.own)*rng.NormFloat64()
				if !s.trained[a] {
					r.shared[a] += math.Sqrt(1-s.alike-s.own) * rng.NormFloat64()
				}
			}
			rows = append(rows, r)
		}
	}
	for range trainings {
		var shift [2]float64
		for a := range shift {
			shift[a] = s.shift[a] * rng.NormFloat64()
		}
		var answer [2]int
		var loss [2]float64
		for i, r := range rows {
			for a := range r.shared {
				if copies[i] {
					break // the row before, once more
				}
				skill := r.shared[a]
				if s.trained[a] {
					skill += math.Sqrt(1-s.alike-s.own) * rng.NormFloat64()
				}
				answer[a] = r.gold
				if 0.5*math.Erfc(-skill/math.Sqrt2) > s.accuracy[a]+shift[a] {
					answer[a] = (r.gold + 1 + rng.IntN(len(classes)-1)) % len(classes)
				}
				loss[a] = math.Exp(0.8*skill - 2*shift[a] - 2*s.shift[a]*s.shift[a]) // a mean factor of 1
				if a == 1 {
					loss[a] *= s.loss
				}
			}
			out.Gold, out.A, out.B = append(out.Gold, r.gold), append(out.A, answer[0]), append(out.B, answer[1])
			for a := range loss {
				out.loss[a] = append(out.loss[a], loss[a])
			}
		}
	}
	out.Clusters, out.Trainings = clusters.Repeat(trainings)
	return out
}

// asOne is a sample whose trainings are taken as given.
func (s sample) asOne() sample {
	s.Trainings = inference.Trainings{}
	return s
}

func (s *simulator) seeds(ctx context.Context) (out []SeedCoverage, err error) {
	names := []string{"accuracy, B − A", "accuracy of one arm", "log loss, B − A", "accuracy, B − A / trainings as given", "macro-F1, B − A"}
	for _, trainings := range []int{2, 3, 5} {
		for _, n := range []int{20, 50, 200, 1000} {
			for _, k := range []int{1, 2, 5} {
				c := SeedCoverage{Trainings: trainings, Rows: n, ClusterSize: k, Of: map[string]Share{}}
				times := max(20, s.Simulations*50/(50+n*trainings/2))
				sums, err := s.each(ctx, times, len(names)+3, func(rng *rand.Rand, counts []float64) {
					t := drawnSeeded(rng, false)
					x := t.sampleOf(rng, n, k, trainings)
					delta := t.accuracy[1] - t.accuracy[0]
					right, given := x.right(), x.asOne().right().Score(level)
					i := right.Difference(level, 1).Interval
					_, one := inference.Rate(right.B, right.Clusters, right.Trainings, level)
					_, _, loss := inference.Mean(differences(x.loss), x.Clusters, x.Trainings, level)
					for j, holds := range []bool{
						i.Has(delta), one.Has(t.accuracy[1]), loss.Has(t.lossDifference()), given.Has(delta),
						n <= 200 && x.MacroF1().Estimate(level).Interval.Has(t.macroF1()), // dear
					} {
						if holds {
							counts[j]++
						}
					}
					counts[len(names)] += i.High - i.Low
					counts[len(names)+1] += given.High - given.Low
					null := drawnSeeded(rng, true).sampleOf(rng, n, k, trainings)
					if null.right().Difference(level, 1).P < alpha {
						counts[len(names)+2]++
					}
				})
				if err != nil {
					return nil, err
				}
				for j, name := range names {
					if n > 200 && name == "macro-F1, B − A" {
						continue
					}
					c.Of[name] = shareOf(int64(sums[j]), times)
				}
				c.Width, c.RowsWidth = sums[len(names)]/float64(times), sums[len(names)+1]/float64(times)
				c.FalseWins = shareOf(int64(sums[len(names)+2]), times)
				out = append(out, c)
			}
		}
	}
	return out, nil
}
