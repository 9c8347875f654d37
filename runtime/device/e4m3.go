package device

import "math"

// E4M3Max is the largest number of e4m3: the 8-bit float with four bits of exponent and three of mantissa of
// the OCP's specification, which has no infinities.
const E4M3Max = 448

// ToE4M3 is x rounded to e4m3, to nearest even; what is larger than E4M3Max becomes it. NaN stays NaN.
func ToE4M3(x float32) uint8 {
	bits := math.Float32bits(x)
	sign, a := uint8(bits>>24)&0x80, bits&0x7fffffff
	switch {
	case a > 0x7f800000:
		return sign | 0x7f
	case a < 0x3c800000: // below 2⁻⁶ in steps of 2⁻⁹: a sum with 2¹⁴ rounds to them
		return sign | uint8(math.Float32bits(math.Float32frombits(a)+16384))
	}
	rounded := a + 0x7ffff + a>>20&1
	return sign | uint8(min(rounded>>20-120<<3, 0x7e))
}

// E4M3 are the values of the 256 codes.
var E4M3 = func() (values [256]float32) {
	for c := range values {
		exponent, mantissa := c>>3&15, float64(c&7)
		v := math.Ldexp(8+mantissa, exponent-10)
		switch {
		case c&0x7f == 0x7f:
			v = math.NaN()
		case exponent == 0:
			v = math.Ldexp(mantissa, -9)
		}
		values[c] = float32(math.Copysign(v, float64(0x40-c&0x80)))
	}
	return values
}()

// leastE4M3Row is the magnitude, 2⁻⁹⁶, that the largest element of a row must have for the row to be more
// than zeros in e4m3.
const leastE4M3Row = 0x1p-96

// E4M3Scale is the scale of a row whose largest magnitude is most, and the factor that brings the row to codes.
func E4M3Scale(most float32) (scale, factor float32) {
	if most < leastE4M3Row {
		return 0, 0
	}
	return most / E4M3Max, E4M3Max / most
}
