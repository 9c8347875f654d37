package calibration

import (
	"math"
	"slices"
)

// Even are the thresholds by which the likeliest class is answered.
func Even(classes int) []float64 {
	out := make([]float64, classes)
	for i := range out {
		out[i] = 1 / float64(classes)
	}
	return out
}

// Decide answers the class whose probability is the largest multiple of its threshold; of equals the first. Thresholds sum to
// 1, so that of two classes it is the rule that a class is answered from its threshold on.
func Decide(p, thresholds []float64) int {
	best, at := math.Inf(-1), 0
	for c := range p {
		if v := p[c] / thresholds[c]; v > best {
			best, at = v, c
		}
	}
	return at
}

// Thresholds are those by which value, of every row's answer, is the greatest, found from the even ones on by going through
// the classes in turn until no single one of them gains anything; of equals, those nearest to the even ones. They are tried
// at the places where some row's answer changes, and there alone, so that the result is exact along each class, and it is
// deterministic. With few rows they are as uncertain as the rows are few.
func Thresholds(probability [][]float64, value func(answers []int) float64) []float64 {
	k := len(probability[0])
	weight := make([]float64, k) // the inverse of a threshold, up to a common factor
	for c := range weight {
		weight[c] = 1
	}
	answers := make([]int, len(probability))
	of := func(w []float64) float64 {
		for i, p := range probability {
			best := math.Inf(-1)
			for c := range p {
				if v := p[c] * w[c]; v > best {
					best, answers[i] = v, c
				}
			}
		}
		return value(answers)
	}
	best := of(weight)
	for range 8 {
		before := best
		for c := range weight {
			trial := slices.Clone(weight)
			for _, w := range places(probability, weight, c) {
				trial[c] = w
				v := of(trial)
				near := math.Abs(math.Log(w)) < math.Abs(math.Log(weight[c]))
				if v > best || v == best && near {
					best = v
					weight[c] = w
				}
			}
		}
		if best <= before {
			break
		}
	}
	sum := 0.0
	for c := range weight {
		weight[c] = 1 / weight[c]
		sum += weight[c]
	}
	for c := range weight {
		weight[c] /= sum
	}
	return weight
}

// maxPlaces bounds the places that are tried of a class in one turn.
const maxPlaces = 256

// places are weights of class c, one between each two at which some row's answer changes, and one beyond either end; of
// many, some spread evenly.
func places(probability [][]float64, weight []float64, c int) []float64 {
	var at []float64
	for _, p := range probability {
		other := 0.0
		for j := range p {
			if j != c {
				other = max(other, p[j]*weight[j])
			}
		}
		if w := other / p[c]; w > 0 && !math.IsInf(w, 0) {
			at = append(at, w)
		}
	}
	slices.Sort(at)
	at = slices.Compact(at)
	if len(at) == 0 {
		return nil
	}
	out := []float64{at[0] / 2}
	for i := 1; i < len(at); i++ {
		out = append(out, math.Sqrt(at[i-1])*math.Sqrt(at[i]))
	}
	out = append(out, 2*at[len(at)-1])
	if len(out) <= maxPlaces {
		return out
	}
	var some []float64
	for i := range maxPlaces {
		some = append(some, out[i*(len(out)-1)/(maxPlaces-1)])
	}
	return some
}
