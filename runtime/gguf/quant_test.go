package gguf

import (
	"math"
	"slices"
	"strings"
	"testing"

	"triality/runtime/safetensors"
)

func TestAQ8BlockIsRoundedHalfAwayFromZero(t *testing.T) {
	v := make([]float32, blockQ8)
	copy(v, []float32{127, 0.5, -0.5, 1.5, -1.5, 2.5, 126.4, -127, 0.49})
	got, err := encode(nil, Q8_0, v)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 2+blockQ8)
	want[0], want[1] = 0x00, 0x3c // the scale is 1
	for i, q := range []int8{127, 1, -1, 2, -2, 3, 126, -127, 0} {
		want[2+i] = byte(q)
	}
	if !slices.Equal(got, want) {
		t.Errorf("stored as %v, want %v", got, want)
	}
}

func TestTheQuotientsUseTheScaleBeforeItIsRounded(t *testing.T) {
	// d = 1000.3/127 = 7.87638; as a float16 it is 7.875, by which 66.95 would be 8.5016 and go to 9.
	v := make([]float32, blockQ8)
	v[0], v[1] = 1000.3, 66.945
	got, err := encode(nil, Q8_0, v)
	if err != nil {
		t.Fatal(err)
	}
	if h := uint16(got[0]) | uint16(got[1])<<8; safetensors.F16ToFloat32(h) != 7.875 || int8(got[2]) != 127 || int8(got[3]) != 8 {
		t.Errorf("scale %g, values %d and %d; want 7.875, 127 and 8", safetensors.F16ToFloat32(h), int8(got[2]), int8(got[3]))
	}
}

func TestBlocksWithoutAUsableScaleAreZeros(t *testing.T) {
	for _, most := range []float32{0, 1e-45, 1e-38, 1e-8} {
		v := make([]float32, blockQ8)
		v[3], v[4] = most, -most
		b, err := encode(nil, Q8_0, v)
		if err != nil {
			t.Fatal(err)
		}
		back := make([]float32, blockQ8)
		decode(back, Q8_0, b)
		for i, x := range back {
			if math.Abs(float64(x-v[i])) > float64(most) || x != x {
				t.Errorf("largest %g: element %d comes back as %g", most, i, x)
			}
		}
	}
}

func TestStoredValuesComeBackWithinTheirTypesPrecision(t *testing.T) {
	v := make([]float32, 4*blockQ8)
	for i := range v {
		v[i] = float32(math.Sin(float64(i)) * math.Pow(4, float64(i/blockQ8)))
	}
	for _, c := range []struct {
		t    Type
		most float64 // relative to the block's largest
	}{{F32, 0}, {F16, 1.0 / 2048}, {Q8_0, 0.5/127 + 1.0/2048}} {
		b, err := encode(nil, c.t, v)
		if err != nil {
			t.Fatal(err)
		}
		back := make([]float32, len(v))
		decode(back, c.t, b)
		for i, x := range back {
			largest := math.Pow(4, float64(i/blockQ8))
			if off := math.Abs(float64(x - v[i])); off > c.most*largest {
				t.Errorf("%v: element %d is off by %g", c.t, i, off)
			}
		}
	}
}

func TestValuesThatATypeCannotHoldAreNamed(t *testing.T) {
	block := func(at int, x float32) []float32 {
		v := make([]float32, 2*blockQ8)
		v[at] = x
		return v
	}
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		t    Type
		v    []float32
		want string
	}{
		{F32, block(3, inf), "element 3 is +Inf"},
		{F16, block(5, float32(math.NaN())), "element 5 is NaN"},
		{F16, block(7, 65520), "element 7 is 65520, beyond float16's largest 65504"},
		{Q8_0, block(40, -inf), "element 40 is -Inf"},
		{Q8_0, block(40, 9e6), "elements 32 to 63: the largest, 9e+06, needs a scale beyond"},
	} {
		if _, err := encode(nil, c.t, c.v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.t, err, c.want)
		}
	}
	if _, err := encode(nil, F16, block(0, 65519)); err != nil {
		t.Errorf("65519 rounds to 65504: %v", err)
	}
}
