// Package naivebayes is a character n-gram multinomial naive Bayes classifier: the floor that a
// fine-tuned model has to beat on the same split.
package naivebayes

import (
	"math"
	"strings"
)

// minGram and maxGram are the n-gram lengths, in characters.
const (
	minGram = 2
	maxGram = 4
)

// Model is a trained classifier over K classes.
type Model struct {
	classes int
	prior   []float64
	counts  map[string][]float64 // n-gram → count per class
	totals  []float64
}

// Train counts the 2- to 4-grams of the texts; labels are in [0, classes).
func Train(texts []string, labels []int, classes int) *Model {
	m := &Model{classes: classes, prior: make([]float64, classes), counts: map[string][]float64{}, totals: make([]float64, classes)}
	for i, text := range texts {
		l := labels[i]
		m.prior[l]++
		grams(text, func(g string) {
			row := m.counts[g]
			if row == nil {
				row = make([]float64, classes)
				m.counts[g] = row
			}
			row[l]++
			m.totals[l]++
		})
	}
	for l := range m.prior {
		m.prior[l] = math.Log((m.prior[l] + 1) / float64(len(texts)+classes))
	}
	return m
}

// Predict gives the most probable class, with add-one smoothing; n-grams never seen in training are
// left out.
func (m *Model) Predict(text string) int {
	score := m.scores(text)
	best := 0
	for l := range score {
		if score[l] > score[best] {
			best = l
		}
	}
	return best
}

// scores are the logarithms of the classes' probabilities together with the text's.
func (m *Model) scores(text string) []float64 {
	score := append([]float64(nil), m.prior...)
	vocabulary := float64(len(m.counts))
	grams(text, func(g string) {
		row, ok := m.counts[g]
		if !ok {
			return
		}
		for l := range score {
			score[l] += math.Log((row[l] + 1) / (m.totals[l] + vocabulary))
		}
	})
	return score
}

func grams(text string, visit func(string)) {
	runes := []rune(strings.ToLower(text))
	for n := minGram; n <= maxGram; n++ {
		for i := 0; i+n <= len(runes); i++ {
			visit(string(runes[i : i+n]))
		}
	}
}
