// Package abtest compares two classifiers on the same rows: scores, paired bootstrap intervals,
// McNemar's test and latency.
package abtest

import (
	"slices"

	"triality/experiments"
)

// Confusion counts [gold][predicted] over classes 0..k-1.
func Confusion(gold, predicted []int, k int) [][]int {
	m := make([][]int, k)
	for i := range m {
		m[i] = make([]int, k)
	}
	for i, g := range gold {
		m[g][predicted[i]]++
	}
	return m
}

// PerClass gives precision, recall and F1 of each class; a figure without a denominator is 0.
func PerClass(confusion [][]int, labels []string) []experiments.ClassScore {
	out := make([]experiments.ClassScore, len(labels))
	for c, label := range labels {
		var support, predicted int
		for o := range labels {
			support += confusion[c][o]
			predicted += confusion[o][c]
		}
		hit := confusion[c][c]
		out[c] = experiments.ClassScore{
			Label: label, Support: support,
			Precision: ratio(hit, predicted), Recall: ratio(hit, support),
			F1: ratio(2*hit, predicted+support),
		}
	}
	return out
}

// Score gives accuracy and macro-F1: the mean F1 of the classes that occur as gold or as prediction,
// as scikit-learn does.
func Score(gold, predicted []int, k int) experiments.Scores {
	var hit, support, guesses [16]int
	for i, g := range gold {
		p := predicted[i]
		support[g]++
		guesses[p]++
		if g == p {
			hit[g]++
		}
	}
	hits, classes, sum := 0, 0, 0.0
	for c := range k {
		hits += hit[c]
		if support[c]+guesses[c] > 0 {
			classes++
			sum += ratio(2*hit[c], support[c]+guesses[c])
		}
	}
	s := experiments.Scores{Accuracy: ratio(hits, len(gold))}
	if classes > 0 {
		s.MacroF1 = sum / float64(classes)
	}
	return s
}

// Commonest is the commonest of some labels, which the baseline answers that always says the same.
func Commonest(labels []int, k int) int {
	counts := make([]int, k)
	for _, l := range labels {
		counts[l]++
	}
	return slices.Index(counts, slices.Max(counts))
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
