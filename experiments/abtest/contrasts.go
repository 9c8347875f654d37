package abtest

import (
	"slices"

	"triality/experiments"
	"triality/experiments/inference"
)

// Other is an arm beside A and B: its answers in each training of the arms.
type Other struct {
	Name    string
	Answers []experiments.Answers
}

// Contrasts say how other arms stand to A and B: each of them against A, and B against each. The metrics are the design's, and
// those that a pipeline always tells; readings are corrected for all contrasts together (Holm).
func Contrasts(trainings [][]experiments.Sample, others []Other, units []string, d experiments.Design, seed uint64) []experiments.Contrast {
	d.Looks = experiments.LooksOnce // the other arms are looked at when all rows are there
	var out []experiments.Contrast
	for _, o := range others {
		for _, c := range []struct{ from, to string }{{"A", o.Name}, {o.Name, "B"}} {
			out = append(out, experiments.Contrast{From: c.from, To: c.to, Comparisons: contrast(newTable(beside(trainings, o, c.from), units), d, seed)})
		}
	}
	correct(out, d)
	return out
}

func contrast(t *table, d experiments.Design, seed uint64) (out []experiments.Comparison) {
	metrics := []string{d.Primary}
	for _, g := range d.Guardrails {
		metrics = append(metrics, g.Metric)
	}
	for _, metric := range append(metrics, experiments.InferenceMetrics()[:5]...) {
		if metric == "log_loss" && !t.probabilities || slices.ContainsFunc(out, func(c experiments.Comparison) bool { return c.Metric == metric }) {
			continue
		}
		c, _ := t.compare(metric, d, seed)
		c.Role = experiments.RoleSecondary
		out = append(out, c)
	}
	return out
}

// correct gives the readings of contrasts.
func correct(of []experiments.Contrast, d experiments.Design) {
	var all []*experiments.Comparison
	var p []float64
	for i := range of {
		for k := range of[i].Comparisons {
			c := &of[i].Comparisons[k]
			all, p = append(all, c), append(p, c.P)
		}
	}
	whole := &experiments.Inference{Design: d, Level: d.Level()}
	for i, v := range inference.Holm(p) {
		all[i].Adjusted = v
		settle(all[i], nil, whole, false)
	}
}

// beside are the samples of trainings with another arm's answers: in the place of B's where they are compared with A's, else of
// A's.
func beside(trainings [][]experiments.Sample, o Other, from string) [][]experiments.Sample {
	out := make([][]experiments.Sample, len(trainings))
	for k, samples := range trainings {
		out[k] = slices.Clone(samples)
		for i := range out[k] {
			s, answer := &out[k][i], experiments.Labels[o.Answers[k].Predictions[i]]
			var p []float64
			if i < len(o.Answers[k].Probabilities) {
				p = o.Answers[k].Probabilities[i]
			}
			if from == "A" {
				s.PredictionB, s.ProbabilityB = answer, p
			} else {
				s.PredictionA, s.ProbabilityA = answer, p
			}
		}
	}
	return out
}
