package device

import (
	"math"
	"testing"
)

func TestE4M3HasTheValuesOfTheSpecification(t *testing.T) {
	for code, want := range map[uint8]float32{0: 0, 1: 0x1p-9, 7: 7 * 0x1p-9, 8: 0x1p-6, 0x38: 1, 0x39: 1.125, 0x7e: 448, 0xfe: -448, 0xb8: -1, 0x81: -0x1p-9} {
		if E4M3[code] != want {
			t.Errorf("code %#x is %g, want %g", code, E4M3[code], want)
		}
	}
	if math.Float32bits(E4M3[0x80]) != 1<<31 || E4M3[0x7f] == E4M3[0x7f] || E4M3[0xff] == E4M3[0xff] {
		t.Error("0x80 is no negative zero, or 0x7f and 0xff are numbers")
	}
}

func TestRoundingToE4M3TakesTheNearestAndOfTwoTheEven(t *testing.T) {
	nearest := func(x float32) uint8 {
		best, at := math.Inf(1), 0
		for c := range 0x7f {
			d := math.Abs(math.Abs(float64(x)) - float64(E4M3[c]))
			if d < best || d == best && c%2 == 0 {
				best, at = d, c
			}
		}
		if math.Signbit(float64(x)) {
			at |= 0x80
		}
		return uint8(at)
	}
	check := func(x float32) {
		if got, want := ToE4M3(x), nearest(x); got != want {
			t.Errorf("%g is %#x (%g), want %#x (%g)", x, got, E4M3[got], want, E4M3[want])
		}
	}
	for c := range 0x7e {
		middle := (E4M3[c] + E4M3[c+1]) / 2
		for _, x := range []float32{E4M3[c], middle, math.Nextafter32(middle, 0), math.Nextafter32(middle, 1000)} {
			check(x)
			check(-x)
		}
	}
	for _, x := range []float32{448, 449, 464, 1e9, float32(math.Inf(1)), 1e-30, 0} {
		check(x)
		check(-x)
	}
	if c := ToE4M3(float32(math.NaN())); c&0x7f != 0x7f {
		t.Errorf("NaN is %#x", c)
	}
}

func TestAScaleBringsARowToTheWholeRange(t *testing.T) {
	for _, most := range []float32{0x1p-96, 1e-20, 1, 447.3, 1e30, math.MaxFloat32} {
		scale, factor := E4M3Scale(most)
		if ToE4M3(most*factor) != 0x7e || math.Abs(float64(scale*448/most)-1) > 1e-6 {
			t.Errorf("a row of at most %g has scale %g and factor %g", most, scale, factor)
		}
	}
	for _, most := range []float32{0, 1e-30} {
		if scale, factor := E4M3Scale(most); scale != 0 || factor != 0 {
			t.Errorf("a row of at most %g has scale %g and factor %g", most, scale, factor)
		}
	}
}
