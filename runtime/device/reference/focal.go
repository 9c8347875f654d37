package reference

import (
	"math"

	"triality/runtime/device"
)

// Focal: dst = (1 − e^−nll)^gamma · nll.
func (d *Device) Focal(dst, nll device.Buffer, gamma float64) {
	d.zip("focal", dst, nll, nll, func(n, _ float64) float64 {
		if !(n > 0) {
			return n * 0 // NaN stays
		}
		return math.Pow(-math.Expm1(-n), gamma) * n
	})
}

// FocalGrad is its gradient times dy.
func (d *Device) FocalGrad(dst, nll, dy device.Buffer, gamma float64) {
	d.zip("focal grad", dst, nll, dy, func(n, y float64) float64 {
		if !(n > 0) {
			return n * 0 * y
		}
		miss := -math.Expm1(-n)
		return y * math.Pow(miss, gamma) * (1 + gamma*math.Exp(-n)*n/miss)
	})
}
