package inference

import (
	"math"
	"slices"
)

// Holm gives p-values adjusted for having looked at all of them (Holm 1979): the chance that any true hypothesis is
// rejected at α is at most α, however they depend on each other.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case p[i] < p[j]:
			return -1
		case p[i] > p[j]:
			return 1
		}
		return 0
	})
	out, most := make([]float64, len(p)), 0.0
	for rank, i := range order {
		most = math.Max(most, math.Min(1, p[i]*float64(len(p)-rank)))
		out[i] = most
	}
	return out
}
