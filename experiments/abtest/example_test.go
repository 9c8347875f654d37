package abtest_test

import (
	"fmt"

	"triality/experiments/abtest"
)

// Score two sets of answers against the right ones, and test whether they differ by chance.
func Example() {
	gold := []int{0, 0, 1, 1, 2, 2, 3, 3}
	a := []int{0, 1, 1, 0, 2, 0, 3, 0}
	b := []int{0, 0, 1, 1, 2, 2, 3, 0}
	fmt.Printf("A %.3f, B %.3f\n", abtest.Score(gold, a, 4).Accuracy, abtest.Score(gold, b, 4).Accuracy)
	test := abtest.McNemar(gold, a, b)
	fmt.Printf("only A right %d, only B %d, p = %.3f\n", test.OnlyA, test.OnlyB, test.PValue)
	// Output:
	// A 0.500, B 0.875
	// only A right 0, only B 3, p = 0.250
}
