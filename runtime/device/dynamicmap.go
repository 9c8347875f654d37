package device

import (
	"math"
	"slices"
)

// DynamicMap is the 256 values, ascending, that 8-bit optimizer states are codes of: the dynamic tree
// quantization of Dettmers et al. 2021 with 7 exponents. Each decade from 10⁻⁶ to 1 holds the middles
// of equal spans of [0.1, 1], twice as many as the decade below it; 0 and 1 are there besides. The
// signed map has the negatives too and half the spans.
func DynamicMap(signed bool) [256]float32 {
	values := []float64{0, 1}
	for decade := range 7 {
		spans := 2 << decade
		if signed {
			spans = 1 << decade
		}
		scale := math.Pow(10, float64(decade-6))
		for i := range spans {
			v := scale * (0.1 + 0.9*(float64(i)+0.5)/float64(spans))
			values = append(values, v)
			if signed {
				values = append(values, -v)
			}
		}
	}
	slices.Sort(values)
	var out [256]float32
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}

// MomentCode is the code of a moment under a dynamic map and its block's largest magnitude: the nearest
// value, the lower one of two as near, moved one up or down where it lacks the moment's sign.
func MomentCode(m *[256]float32, v, most float32) uint8 {
	if most > 0 {
		v /= most
	}
	low, high := 0, 255 // m[low] ≤ v < m[high]
	for high-low > 1 {
		if mid := (low + high) / 2; m[mid] <= v {
			low = mid
		} else {
			high = mid
		}
	}
	if v-m[low] > m[high]-v {
		low = high
	}
	switch {
	case v < 0 && m[low] >= 0:
		low--
	case v > 0 && m[low] < 0:
		low++
	}
	return uint8(low)
}
