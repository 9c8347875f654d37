package safetensors

import "math"

// BF16ToFloat32 widens a bfloat16; every value is exact.
func BF16ToFloat32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// Float32ToBF16 rounds to the nearest bfloat16, ties to even, as PyTorch does.
// Values beyond the largest bfloat16 become infinite; a NaN stays a (quiet) NaN
// of the same sign.
func Float32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16(b>>16) | 0x0040
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// F16ToFloat32 widens an IEEE 754 binary16; every value is exact.
func F16ToFloat32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h >> 10 & 0x1f)
	frac := uint32(h & 0x3ff)
	switch {
	case exp == 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
	// Subnormal: frac · 2⁻²⁴, exact in float32.
	v := float32(frac) * 0x1p-24
	return math.Float32frombits(sign | math.Float32bits(v))
}

// Float32ToF16 rounds to the nearest IEEE 754 binary16, ties to even. Values
// that round beyond 65504 become infinite; a NaN stays a (quiet) NaN of the same
// sign.
func Float32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	abs := b & 0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00 | uint16(abs>>13&0x3ff)
	case abs >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case abs >= 0x38800000: // 2⁻¹⁴ and above are normal
		abs -= 112 << 23
		return sign | uint16((abs+0xfff+abs>>13&1)>>13)
	case abs < 0x33000000: // below 2⁻²⁵ rounds to zero
		return sign
	}
	// Subnormal: shift the significand, hidden bit included, to units of 2⁻²⁴.
	shift := 126 - abs>>23
	frac := abs&0x7fffff | 0x800000
	half := uint32(1) << (shift - 1)
	return sign | uint16((frac+half-1+frac>>shift&1)>>shift)
}
