package calibration

import (
	"fmt"
	"math"
)

// The temperatures that are looked at: beyond them the rows say no more than that the scores are worthless, or always right.
const (
	coolest = 1.0 / 32
	hottest = 32
)

// Temperature is the one that makes the log loss of the rows least (Guo et al. 2017). scores are log-probabilities,
// [row][class], up to a constant of each row; gold is the right class of each row. The log loss is convex in 1/T, so that its
// derivative, the mean of E[score] − score of the right class, has one root. Rows that do not have it between 1/32 and 32,
// such as rows that are all answered right, are an error: no temperature is to be learned from them.
func Temperature(scores [][]float64, gold []int) (float64, error) {
	if len(scores) == 0 {
		return 0, fmt.Errorf("no rows to fit a temperature on")
	}
	slope := func(inverse float64) float64 {
		sum := 0.0
		for i, s := range scores {
			for c, p := range Softmax(s, 1/inverse) {
				if p > 0 { // a class of no probability may have a score of −Inf
					sum += p * (s[c] - s[gold[i]])
				}
			}
		}
		return sum
	}
	low, high := 1.0/hottest, 1.0/coolest
	if at := slope(low); !(at < 0) {
		return 0, fmt.Errorf("the scores of %d rows say nothing of their classes", len(scores))
	}
	if at := slope(high); !(at > 0) {
		return 0, fmt.Errorf("of %d rows hardly one is answered wrongly", len(scores))
	}
	for range 100 { // halvings of the logarithm: to the last bit
		middle := math.Sqrt(low * high)
		if middle <= low || middle >= high {
			break
		}
		if slope(middle) < 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return 1 / math.Sqrt(low*high), nil
}
