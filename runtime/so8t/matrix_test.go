package so8t

import (
	"math"
	"math/rand/v2"
	"testing"
)

func randomGenerator(seed uint64, size float64) [Generators]float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	var a [Generators]float64
	for i := range a {
		a[i] = size * r.NormFloat64()
	}
	return a
}

func TestExpOfASkewMatrixIsARotation(t *testing.T) {
	for _, size := range []float64{0, 1e-9, 0.1, 1, 10} {
		r := Skew(randomGenerator(7, size)).Exp()
		tol := 1e-14 * (1 + 100*size)
		if e := r.OrthogonalityError(); e > tol {
			t.Errorf("size %g: orthogonality error %g", size, e)
		}
		if d := r.Determinant(); math.Abs(d-1) > tol {
			t.Errorf("size %g: determinant %g", size, d)
		}
	}
}

func TestExpInOnePlaneIsTheRotationByThatAngle(t *testing.T) {
	for _, angle := range []float64{0.3, -2, math.Pi, 25} {
		var a [Generators]float64
		a[0] = angle // entry (0,1)
		r := Skew(a).Exp()
		want := Identity()
		want[0], want[1], want[N], want[N+1] = math.Cos(angle), math.Sin(angle), -math.Sin(angle), math.Cos(angle)
		if d := r.Sub(want).Frobenius(); d > 1e-13 {
			t.Errorf("angle %g: off by %g", angle, d)
		}
	}
}

func TestExpOfTheSumOfCommutingPlanesIsTheProduct(t *testing.T) {
	var a, b, both [Generators]float64
	a[0], b[Generators-1] = 1.1, -0.7 // planes (0,1) and (6,7)
	both[0], both[Generators-1] = a[0], b[Generators-1]
	ra, rb := Skew(a).Exp(), Skew(b).Exp()
	if d := Skew(both).Exp().Sub(ra.Mul(rb)).Frobenius(); d > 1e-14 {
		t.Errorf("off by %g", d)
	}
	if c := CommutatorNorm(ra, rb); c > 1e-14 {
		t.Errorf("disjoint planes do not commute: %g", c)
	}
}

func TestRotationsOfGeneralGeneratorsDoNotCommute(t *testing.T) {
	ra, rb := Skew(randomGenerator(1, 0.5)).Exp(), Skew(randomGenerator(2, 0.5)).Exp()
	if c := CommutatorNorm(ra, rb); c < 0.1 {
		t.Errorf("commutator norm %g", c)
	}
}

func TestDeterminantTellsReflectionsAndSingularMatrices(t *testing.T) {
	m := Identity()
	m[0] = -1
	if d := m.Determinant(); d != -1 {
		t.Errorf("reflection: %g", d)
	}
	// A cyclic shift of eight rows is an odd permutation.
	var p Matrix
	for i := range N {
		p[i*N+(i+1)%N] = 2
	}
	if d := p.Determinant(); d != -256 {
		t.Errorf("scaled shift: %g", d)
	}
	m[0] = 0
	if d := m.Determinant(); d != 0 {
		t.Errorf("singular: %g", d)
	}
}
