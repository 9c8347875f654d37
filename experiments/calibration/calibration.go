// Package calibration says how far a classifier's probabilities are worth what they say, and mends them: a temperature and
// thresholds, both fitted on rows that are not those they are judged on.
package calibration

import (
	"math"
	"slices"
)

// bins of equal width between 0 and 1, as the metric module calibration has them.
const bins = 10

// Bin is the rows whose highest probability lies in one of the bins.
type Bin struct {
	Rows       int     `json:"rows"`
	Confidence float64 `json:"confidence"` // mean of the highest probability; 0 without rows
	Accuracy   float64 `json:"accuracy"`   // share of the rows whose likeliest class is right; 0 without rows
}

// Diagram sorts rows into bins by their highest probability. probability is [row][class], gold the right class of each row.
func Diagram(probability [][]float64, gold []int) []Bin {
	out := make([]Bin, bins)
	for i, p := range probability {
		top := Likeliest(p)
		b := &out[min(int(p[top]*bins), bins-1)]
		b.Rows++
		b.Confidence += p[top]
		if top == gold[i] {
			b.Accuracy++
		}
	}
	for i := range out {
		if n := float64(out[i].Rows); n > 0 {
			out[i].Confidence, out[i].Accuracy = out[i].Confidence/n, out[i].Accuracy/n
		}
	}
	return out
}

// ECE is the expected calibration error of a diagram: the mean over rows of |accuracy − confidence| of their bin (Naeini et
// al. 2015; Guo et al. 2017). It is 0 without rows.
func ECE(diagram []Bin) float64 {
	rows, sum := 0.0, 0.0
	for _, b := range diagram {
		rows += float64(b.Rows)
		sum += float64(b.Rows) * math.Abs(b.Accuracy-b.Confidence)
	}
	if rows == 0 {
		return 0
	}
	return sum / rows
}

// LogLoss of the right class's probability, kept off 0 as scikit-learn keeps it.
func LogLoss(p float64) float64 { return -math.Log(math.Min(1, math.Max(p, 2.220446049250313e-16))) }

// MeanLogLoss is the mean over the rows, of which there is at least one.
func MeanLogLoss(probability [][]float64, gold []int) float64 {
	sum := 0.0
	for i, p := range probability {
		sum += LogLoss(p[gold[i]])
	}
	return sum / float64(len(probability))
}

// Softmax turns log-probabilities of exclusive answers, divided by a temperature, into probabilities that sum to 1.
func Softmax(scores []float64, temperature float64) []float64 {
	top := slices.Max(scores)
	out, sum := make([]float64, len(scores)), 0.0
	for i, v := range scores {
		out[i] = math.Exp((v - top) / temperature)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// Likeliest is the index of the greatest; of equals the first.
func Likeliest(p []float64) int { return slices.Index(p, slices.Max(p)) }
