package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"triality/runtime/safetensors"
)

const (
	blockQ8    = 32
	maxFloat16 = 65504 // the largest float16
)

// encode appends v to b as t, which is F32, F16 or Q8_0; for Q8_0 v is whole blocks. A value that t
// cannot hold is an error that says at which index of v it is.
func encode(b []byte, t Type, v []float32) ([]byte, error) {
	for i, x := range v {
		if x != x || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("element %d is %g", i, x)
		}
	}
	switch t {
	case F32:
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	case F16:
		for i, x := range v {
			h := safetensors.Float32ToF16(x)
			if h&0x7fff == 0x7c00 {
				return nil, fmt.Errorf("element %d is %g, beyond float16's largest %d", i, x, maxFloat16)
			}
			b = binary.LittleEndian.AppendUint16(b, h)
		}
	case Q8_0:
		for i := 0; i < len(v); i += blockQ8 {
			var err error
			if b, err = encodeQ8(b, v[i:i+blockQ8]); err != nil {
				return nil, fmt.Errorf("elements %d to %d: %w", i, i+blockQ8-1, err)
			}
		}
	default:
		return nil, fmt.Errorf("%v is not written", t)
	}
	return b, nil
}

// encodeQ8 stores 32 values as round(x/d), halves away from zero, with d = max|x|/127 as a float16.
// The quotients use d before it is rounded, as ggml's quantize_row_q8_0_ref does, each operation in
// float32.
func encodeQ8(b []byte, v []float32) ([]byte, error) {
	var most float32
	for _, x := range v {
		most = max(most, float32(math.Abs(float64(x))))
	}
	d := most / 127
	h := safetensors.Float32ToF16(d)
	if h&0x7fff == 0x7c00 {
		return nil, fmt.Errorf("the largest, %g, needs a scale beyond float16's largest %d", most, maxFloat16)
	}
	var inverse float32
	if d > 0x1p-128 { // below, 1/d is beyond float32; the scale is 0 then, and so is every value
		inverse = 1 / d
	}
	b = binary.LittleEndian.AppendUint16(b, h)
	for _, x := range v {
		b = append(b, byte(int8(math.Round(float64(float32(x*inverse))))))
	}
	return b, nil
}

// decode fills dst from the bytes of t, which must be readable; for Q8_0 dst is whole blocks.
func decode(dst []float32, t Type, b []byte) {
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = safetensors.F16ToFloat32(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = safetensors.BF16ToFloat32(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case Q8_0:
		for i := 0; i < len(dst); i += blockQ8 {
			d := safetensors.F16ToFloat32(binary.LittleEndian.Uint16(b))
			for j, q := range b[2 : 2+blockQ8] {
				dst[i+j] = d * float32(int8(q))
			}
			b = b[2+blockQ8:]
		}
	}
}
