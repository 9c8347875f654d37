package so8t

import "math"

// N is the width of a block, and Generators the number of entries above the diagonal of an N×N
// matrix: the dimension of the Lie algebra so(8).
const (
	N          = 8
	Generators = N * (N - 1) / 2
)

// Matrix is a row-major 8×8 matrix.
type Matrix [N * N]float64

// Identity is the matrix that changes nothing.
func Identity() Matrix {
	var m Matrix
	for i := range N {
		m[i*N+i] = 1
	}
	return m
}

// Skew is the skew-symmetric matrix with the given entries above the diagonal, row by row.
func Skew(a [Generators]float64) Matrix {
	var m Matrix
	k := 0
	for i := range N {
		for j := i + 1; j < N; j++ {
			m[i*N+j], m[j*N+i] = a[k], -a[k]
			k++
		}
	}
	return m
}

// Mul is the product m·o.
func (m Matrix) Mul(o Matrix) Matrix {
	var p Matrix
	for i := range N {
		for k := range N {
			for j := range N {
				p[i*N+j] += m[i*N+k] * o[k*N+j]
			}
		}
	}
	return p
}

// Scale is s·m.
func (m Matrix) Scale(s float64) Matrix {
	for i := range m {
		m[i] *= s
	}
	return m
}

// Sub is m − o.
func (m Matrix) Sub(o Matrix) Matrix {
	for i := range m {
		m[i] -= o[i]
	}
	return m
}

// Transpose is mᵀ.
func (m Matrix) Transpose() Matrix {
	var t Matrix
	for i := range N {
		for j := range N {
			t[j*N+i] = m[i*N+j]
		}
	}
	return t
}

// Frobenius is the norm √(Σ mᵢⱼ²).
func (m Matrix) Frobenius() float64 {
	sum := 0.0
	for _, v := range m {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// Exp is the matrix exponential by scaling and squaring of its Taylor series: with the norm brought
// to at most 1/2, fourteen terms leave a remainder under 2⁻¹⁵/15! ≈ 2·10⁻¹⁷.
func (m Matrix) Exp() Matrix {
	squarings := 0
	for norm := m.Frobenius(); norm > 0.5 && !math.IsInf(norm, 0); norm /= 2 {
		squarings++
	}
	m = m.Scale(math.Ldexp(1, -squarings))
	sum, term := Identity(), Identity()
	for k := 1; k <= 14; k++ {
		term = term.Mul(m).Scale(1 / float64(k))
		for i := range sum {
			sum[i] += term[i]
		}
	}
	for range squarings {
		sum = sum.Mul(sum)
	}
	return sum
}

// Determinant is by elimination with row pivots.
func (m Matrix) Determinant() float64 {
	det := 1.0
	for c := range N {
		pivot := c
		for r := c + 1; r < N; r++ {
			if math.Abs(m[r*N+c]) > math.Abs(m[pivot*N+c]) {
				pivot = r
			}
		}
		if m[pivot*N+c] == 0 {
			return 0
		}
		if pivot != c {
			det = -det
			for j := range N {
				m[pivot*N+j], m[c*N+j] = m[c*N+j], m[pivot*N+j]
			}
		}
		det *= m[c*N+c]
		for r := c + 1; r < N; r++ {
			f := m[r*N+c] / m[c*N+c]
			for j := c; j < N; j++ {
				m[r*N+j] -= f * m[c*N+j]
			}
		}
	}
	return det
}

// OrthogonalityError is ‖mᵀ·m − I‖ in the Frobenius norm: 0 for a rotation.
func (m Matrix) OrthogonalityError() float64 {
	return m.Transpose().Mul(m).Sub(Identity()).Frobenius()
}

// CommutatorNorm is ‖a·b − b·a‖ in the Frobenius norm: 0 where the order does not matter.
func CommutatorNorm(a, b Matrix) float64 { return a.Mul(b).Sub(b.Mul(a)).Frobenius() }
