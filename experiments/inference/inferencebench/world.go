package inferencebench

import (
	"math"
	"math/rand/v2"

	"triality/experiments/inference"
)

// classes are how often each label occurs, as in a test set of the four classes.
var classes = []float64{0.46, 0.22, 0.19, 0.13}

// truth is what a simulated comparison is drawn from: the accuracy of each arm, how alike their errors are, how alike the
// rows of a cluster, and how the losses differ.
type truth struct {
	accuracy [2]float64
	alike    float64 // correlation of what makes the two right
	copied   float64 // chance that a cluster's rows are all the same
	loss     float64 // B's loss over A's, in the mean
}

// drawn is an ordinary comparison: accuracies of 0.4 to 0.9, differences of up to 20 points.
func drawn(rng *rand.Rand, copied float64) truth {
	a := 0.45 + 0.4*rng.Float64()
	b := min(0.95, max(0.3, a+0.4*(rng.Float64()-0.5)))
	return truth{accuracy: [2]float64{a, b}, alike: 0.8 * rng.Float64(), copied: copied, loss: 0.8 + 0.4*rng.Float64()}
}

// equal is one in which the arms do not differ.
func equal(rng *rand.Rand, copied float64) truth {
	t := drawn(rng, copied)
	t.accuracy[1], t.loss = t.accuracy[0], 1
	return t
}

// outcome is one row.
type outcome struct {
	gold   int
	answer [2]int
	loss   [2]float64
}

// row draws a row: two correlated normal variables say how well each arm does.
func (t truth) row(rng *rand.Rand) (o outcome) {
	for u := rng.Float64(); u > classes[o.gold] && o.gold < len(classes)-1; o.gold++ {
		u -= classes[o.gold]
	}
	both := rng.NormFloat64()
	for a := range 2 {
		skill := math.Sqrt(t.alike)*both + math.Sqrt(1-t.alike)*rng.NormFloat64()
		o.answer[a] = o.gold
		if 0.5*math.Erfc(-skill/math.Sqrt2) > t.accuracy[a] {
			o.answer[a] = (o.gold + 1 + rng.IntN(len(classes)-1)) % len(classes)
		}
		o.loss[a] = math.Exp(0.8 * skill)
		if a == 1 {
			o.loss[a] *= t.loss
		}
	}
	return o
}

// sample is what is drawn of a truth.
type sample struct {
	inference.Answers
	loss [2][]float64
}

func (t truth) sample(rng *rand.Rand, n, k int) sample {
	s := sample{Answers: inference.Answers{Classes: len(classes), Clusters: inference.Clusters{Count: n / k}}}
	for c := range n / k {
		same := rng.Float64() < t.copied
		var o outcome
		for j := range k {
			if j == 0 || !same {
				o = t.row(rng)
			}
			s.Clusters.Of = append(s.Clusters.Of, c)
			s.Gold, s.A, s.B = append(s.Gold, o.gold), append(s.A, o.answer[0]), append(s.B, o.answer[1])
			for a := range 2 {
				s.loss[a] = append(s.loss[a], o.loss[a])
			}
		}
	}
	return s
}

// right compares how often each arm has its rows right.
func (s sample) right() inference.Shares {
	return s.shares(func(int) bool { return true }, func(gold, answer int) bool { return gold == answer })
}

// shares compares a condition on some of the rows.
func (s sample) shares(of func(gold int) bool, meets func(gold, answer int) bool) inference.Shares {
	var rows []int
	var out inference.Shares
	for i, g := range s.Gold {
		if of(g) {
			rows = append(rows, i)
			out.A, out.B = append(out.A, meets(g, s.A[i])), append(out.B, meets(g, s.B[i]))
		}
	}
	out.Clusters, out.Trainings = s.Clusters.Select(rows), s.Trainings.Select(rows)
	return out
}

// unsafe are the classes whose requests must not be let through; they are let through as class 0.
func unsafe(class int) bool { return class >= 2 }

func (s sample) falseAllow() inference.Shares {
	return s.shares(unsafe, func(_, answer int) bool { return answer == 0 })
}

// Of the whole population: what intervals should hold.

func (t truth) falseAllow() float64 {
	return (t.accuracy[0] - t.accuracy[1]) / float64(len(classes)-1)
}

func (t truth) macroF1() float64 {
	f1 := func(accuracy float64) (sum float64) {
		for c, p := range classes {
			sum += 2 * p * accuracy / (p + t.guesses(c, accuracy)) / float64(len(classes))
		}
		return sum
	}
	return f1(t.accuracy[1]) - f1(t.accuracy[0])
}

// guesses is how often an arm answers class c.
func (t truth) guesses(c int, accuracy float64) float64 {
	return classes[c]*accuracy + (1-classes[c])*(1-accuracy)/float64(len(classes)-1)
}

func (t truth) precision(c int) float64 {
	of := func(accuracy float64) float64 { return classes[c] * accuracy / t.guesses(c, accuracy) }
	return of(t.accuracy[1]) - of(t.accuracy[0])
}

func (t truth) lossDifference() float64 { return (t.loss - 1) * math.Exp(0.32) }
