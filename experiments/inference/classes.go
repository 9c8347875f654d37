package inference

import "math"

// Answers are two arms' answers to the same rows, of classes 0 to Classes−1.
type Answers struct {
	Gold, A, B []int
	Classes    int
	Clusters   Clusters
	Trainings  Trainings
}

// MacroF1 compares the mean F1 over the classes that occur as label or answer, as scikit-learn has it.
func (a Answers) MacroF1() *Figures {
	k := a.Classes
	f := a.figures(func(shared, arm []float64) float64 {
		sum, there := 0.0, 0.0
		for c := range k {
			if n := shared[c] + arm[c]; n > equalWithin {
				sum += 2 * arm[k+c] / n
				there++
			}
		}
		if there == 0 {
			return math.NaN()
		}
		return sum / there
	})
	for c := range k {
		f.Half = append(f.Half, a.half(c, 0.5/float64(k)))
	}
	return f
}

// Precision compares how often an answer of class c is right.
func (a Answers) Precision(c int) *Figures {
	k := a.Classes
	f := a.figures(func(_, arm []float64) float64 {
		if arm[c] < equalWithin {
			return math.NaN()
		}
		return arm[k+c] / arm[c]
	})
	// One arm answers c rightly where the other answers it wrongly.
	right, wrong := make([]float64, 2*k), make([]float64, 2*k)
	right[c], right[k+c], wrong[c] = 0.5, 0.5, 0.5
	f.Half = []HalfRow{{make([]float64, k), right, wrong}}
	return f
}

// figures lays answers out: of each row its label in Shared; of each arm its answers, then its right ones, by class.
func (a Answers) figures(of func(shared, arm []float64) float64) *Figures {
	f := &Figures{Clusters: a.Clusters, Trainings: a.Trainings, Of: of, Low: 0, High: 1}
	one := func(answer, gold int) []float64 {
		v := make([]float64, 2*a.Classes)
		v[answer] = 1
		if answer == gold {
			v[a.Classes+gold] = 1
		}
		return v
	}
	for i, g := range a.Gold {
		label := make([]float64, a.Classes)
		label[g] = 1
		f.Shared, f.A, f.B = append(f.Shared, label), append(f.A, one(a.A[i], g)), append(f.B, one(a.B[i], g))
	}
	return f
}

// half is a part of a row of class c that one arm has right, and the other gives the other classes equally.
func (a Answers) half(c int, weight float64) HalfRow {
	k := a.Classes
	h := HalfRow{make([]float64, k), make([]float64, 2*k), make([]float64, 2*k)}
	h.Shared[c], h.For[c], h.For[k+c] = weight, weight, weight
	for o := range k {
		if o != c {
			h.Against[o] = weight / float64(k-1)
		}
	}
	return h
}
