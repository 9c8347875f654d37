package abtest

import (
	"math"

	"triality/experiments"
	"triality/experiments/inference"
)

// noise says what the trainings of a comparison show: each one's figures, and the parts of the error.
func (t *table) noise(metric string, d inference.Difference) *experiments.Trainings {
	n := d.Noise
	out := &experiments.Trainings{
		SeedError: experiments.Real(math.Sqrt(n.Seeds)), RowError: experiments.Real(math.Sqrt(math.Max(0, d.SE*d.SE-n.Seeds))), SeedShare: experiments.Real(n.SeedShare()),
	}
	for k, delta := range n.Values {
		a, b := t.training(k).values(metric)
		out.A, out.B, out.Delta = append(out.A, experiments.Real(a)), append(out.B, experiments.Real(b)), append(out.Delta, experiments.Real(delta))
	}
	return out
}

// training is the rows of one training.
func (t *table) training(k int) *table {
	rows := len(t.gold) / t.trainings.Count
	from, to := k*rows, (k+1)*rows
	out := &table{gold: t.gold[from:to], a: t.a[from:to], b: t.b[from:to], probabilities: t.probabilities, clusters: inference.Rows(rows)}
	if t.probabilities {
		out.lossA, out.lossB = t.lossA[from:to], t.lossB[from:to]
	}
	return out
}

// values are a metric of both arms.
func (t *table) values(metric string) (a, b float64) {
	if s, ok := shareOf(metric); ok {
		shares, _ := t.shares(s)
		return portion(shares.A), portion(shares.B)
	}
	if metric == "log_loss" {
		return mean(t.lossA), mean(t.lossB)
	}
	return t.figure(metric).Values()
}

func portion(of []bool) float64 {
	n := 0
	for _, v := range of {
		if v {
			n++
		}
	}
	return float64(n) / float64(len(of))
}

func mean(of []float64) (m float64) {
	for _, v := range of {
		m += v / float64(len(of))
	}
	return m
}
