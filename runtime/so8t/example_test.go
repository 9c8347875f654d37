package so8t_test

import (
	"fmt"

	"triality/runtime/so8t"
)

// The exponential of a skew-symmetric matrix is a rotation of eight dimensions; two of them do not commute.
func ExampleMatrix_Exp() {
	var safe, cmd [so8t.Generators]float64
	safe[0], cmd[7] = 0.3, 0.2
	a, b := so8t.Skew(safe).Exp(), so8t.Skew(cmd).Exp()
	fmt.Printf("orthogonal: %t, determinant %.6f\n", a.OrthogonalityError() < 1e-12, a.Determinant())
	fmt.Printf("commute: %t\n", so8t.CommutatorNorm(a, b) < 1e-12)
	// Output:
	// orthogonal: true, determinant 1.000000
	// commute: false
}

// The four classes are the products of two questions: is it safe, and may it be handled here?
func ExampleParseClass() {
	for _, name := range []string{"ALLOW", "ESCALATION", "DENY", "REFUSE"} {
		c, err := so8t.ParseClass(name)
		fmt.Println(int(c), c, err)
	}
	// Output:
	// 0 ALLOW <nil>
	// 1 ESCALATION <nil>
	// 2 DENY <nil>
	// 3 REFUSE <nil>
}
