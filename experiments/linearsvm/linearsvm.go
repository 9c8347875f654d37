// Package linearsvm is a linear support vector machine on character n-grams weighted by tf-idf: the strongest of the
// floors that a fine-tuned model has to beat on the same split.
package linearsvm

import (
	"context"
	"math"
	"math/rand/v2"
)

const (
	cost      = 1.0  // of a row's squared hinge loss, beside half the squared length of the weights
	tolerance = 1e-3 // largest projected gradient at which the weights are taken as found
	mostTurns = 1000 // over the rows
)

// Model is a trained classifier.
type Model struct {
	features *features
	weights  [][]float64 // of each class, by n-gram; the last is the bias
}

// Train fits one class against the others, each with squared hinge loss by dual coordinate descent (Hsieh et al. 2008,
// algorithm 1, as LIBLINEAR's solver 1). The order of the rows is drawn by a fixed seed. labels are in [0, classes).
func Train(ctx context.Context, texts []string, labels []int, classes int) (*Model, error) {
	f, rows := newFeatures(texts)
	m := &Model{features: f}
	for c := range classes {
		w, err := separate(ctx, rows, len(f.idf), func(row int) bool { return labels[row] == c })
		if err != nil {
			return nil, err
		}
		m.weights = append(m.weights, w)
	}
	return m, nil
}

// separate finds the weights of one class against the others.
func separate(ctx context.Context, rows [][]feature, features int, is func(row int) bool) ([]float64, error) {
	w := make([]float64, features+1)
	dual, square, order := make([]float64, len(rows)), make([]float64, len(rows)), make([]int, len(rows))
	for i, row := range rows {
		order[i] = i
		square[i] = 1 + 0.5/cost // of the bias, and of the loss
		for _, x := range row {
			square[i] += x.weight * x.weight
		}
	}
	rng := rand.New(rand.NewPCG(1, 0x6c696e65)) // "line"
	for range mostTurns {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		worst := 0.0
		for _, i := range order {
			side := -1.0
			if is(i) {
				side = 1
			}
			gradient := side*dot(w, rows[i]) - 1 + dual[i]*0.5/cost
			if dual[i] == 0 && gradient > 0 {
				continue
			}
			worst = math.Max(worst, math.Abs(gradient))
			before := dual[i]
			dual[i] = math.Max(0, before-gradient/square[i])
			step := (dual[i] - before) * side
			for _, x := range rows[i] {
				w[x.of] += step * x.weight
			}
			w[features] += step
		}
		if worst < tolerance {
			break
		}
	}
	return w, nil
}

func dot(w []float64, row []feature) float64 {
	sum := w[len(w)-1]
	for _, x := range row {
		sum += w[x.of] * x.weight
	}
	return sum
}

// Margins are how far a text is on each class's side, in units of the margin.
func (m *Model) Margins(text string) []float64 {
	v, out := m.features.vector(text), make([]float64, len(m.weights))
	for c, w := range m.weights {
		out[c] = dot(w, v)
	}
	return out
}

// Predict gives the class with the largest margin; of equals the first.
func (m *Model) Predict(text string) int {
	best, margins := 0, m.Margins(text)
	for c, v := range margins {
		if v > margins[best] {
			best = c
		}
	}
	return best
}
