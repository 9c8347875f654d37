package safetensors

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestEveryF16SurvivesTheRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		f := F16ToFloat32(uint16(h))
		got := Float32ToF16(f)
		if f != f {
			if got&0x7c00 != 0x7c00 || got&0x3ff == 0 || got&0x8000 != uint16(h)&0x8000 {
				t.Fatalf("NaN %#04x became %#04x", h, got)
			}
			continue
		}
		if got != uint16(h) {
			t.Fatalf("%#04x → %g → %#04x", h, f, got)
		}
	}
}

func TestEveryBF16SurvivesTheRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		f := BF16ToFloat32(uint16(h))
		got := Float32ToBF16(f)
		if f != f {
			if got&0x7f80 != 0x7f80 || got&0x7f == 0 || got&0x8000 != uint16(h)&0x8000 {
				t.Fatalf("NaN %#04x became %#04x", h, got)
			}
			continue
		}
		if got != uint16(h) {
			t.Fatalf("%#04x → %g → %#04x", h, f, got)
		}
	}
}

func TestRoundingIsToNearestEven(t *testing.T) {
	tests := []struct {
		name      string
		in        float32
		f16, bf16 uint16
	}{
		{"one is exact", 1, 0x3c00, 0x3f80},
		{"minus zero keeps its sign", float32(math.Copysign(0, -1)), 0x8000, 0x8000},
		{"a tie above an even f16 goes down", 1 + 0x1p-11, 0x3c00, 0x3f80},
		{"a tie above an odd f16 goes up", 1 + 3*0x1p-11, 0x3c02, 0x3f80},
		{"just over a tie goes up", 1 + 0x1p-11 + 0x1p-20, 0x3c01, 0x3f80},
		{"a tie above an even bf16 goes down", 1 + 0x1p-8, 0x3c04, 0x3f80},
		{"a tie above an odd bf16 goes up", 1 + 3*0x1p-8, 0x3c0c, 0x3f82},
		{"the largest f16", 65504, 0x7bff, 0x4780},
		{"just under the tie to infinity stays finite", 65519.996, 0x7bff, 0x4780},
		{"the tie to infinity goes to infinity", 65520, 0x7c00, 0x4780},
		{"infinity stays", float32(math.Inf(-1)), 0xfc00, 0xff80},
		{"the largest float32 is infinite in both", math.MaxFloat32, 0x7c00, 0x7f80},
		{"the smallest f16 subnormal", 0x1p-24, 0x0001, 0x3380},
		{"half of it ties to zero", 0x1p-25, 0x0000, 0x3300},
		{"just over half of it goes up", 0x1.000002p-25, 0x0001, 0x3300},
		{"a subnormal tie above an odd one goes up", 3 * 0x1p-25, 0x0002, 0x33c0},
		{"the largest subnormal rounds up to the smallest normal", 0x1p-14 - 0x1p-26, 0x0400, 0x3880},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Float32ToF16(tt.in); got != tt.f16 {
				t.Errorf("f16 %#04x, want %#04x", got, tt.f16)
			}
			if got := Float32ToBF16(tt.in); got != tt.bf16 {
				t.Errorf("bf16 %#04x, want %#04x", got, tt.bf16)
			}
		})
	}
}

// TestF16IsTheNearest compares with a search for the nearest neighbour.
func TestF16IsTheNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		f := math.Float32frombits(rng.Uint32())
		if f != f || math.Abs(float64(f)) >= 65504 {
			continue
		}
		h := Float32ToF16(f)
		d := math.Abs(float64(F16ToFloat32(h)) - float64(f))
		for _, n := range []uint16{h - 1, h + 1} {
			g := F16ToFloat32(n)
			if math.Signbit(float64(g)) != math.Signbit(float64(f)) || g != g {
				continue
			}
			e := math.Abs(float64(g) - float64(f))
			if e < d || e == d && h&1 == 1 {
				t.Fatalf("%g became %#04x, %#04x is nearer or even", f, h, n)
			}
		}
	}
}
