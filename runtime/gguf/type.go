// Package gguf writes and reads GGUF, the file format of llama.cpp and the tools around it: one file
// with a model's sizes, its tokenizer and its weights (github.com/ggml-org/ggml, docs/gguf.md,
// version 3, little-endian). Export makes such a file of a Hugging Face model folder.
package gguf

import (
	"fmt"
	"math"
	"math/bits"
)

// Type is a tensor's storage type, numbered as ggml_type is.
type Type uint32

// The types this package writes, and reads as float32.
const (
	F32  Type = 0
	F16  Type = 1
	Q8_0 Type = 8 // blocks of 32: a float16 scale, then 32 int8
	BF16 Type = 30
)

// layout is how a type is stored: bytes for each block of elements.
type layout struct {
	name  string
	block int
	bytes int
}

// layouts has the types of ggml.h that other tools' files hold; those beyond the four above are
// carried as bytes.
var layouts = map[Type]layout{
	F32: {"f32", 1, 4}, F16: {"f16", 1, 2}, Q8_0: {"q8_0", 32, 34}, BF16: {"bf16", 1, 2},
	2: {"q4_0", 32, 18}, 3: {"q4_1", 32, 20}, 6: {"q5_0", 32, 22}, 7: {"q5_1", 32, 24}, 9: {"q8_1", 32, 36},
	10: {"q2_K", 256, 84}, 11: {"q3_K", 256, 110}, 12: {"q4_K", 256, 144}, 13: {"q5_K", 256, 176},
	14: {"q6_K", 256, 210}, 15: {"q8_K", 256, 292},
	24: {"i8", 1, 1}, 25: {"i16", 1, 2}, 26: {"i32", 1, 4}, 27: {"i64", 1, 8}, 28: {"f64", 1, 8},
}

func (t Type) String() string {
	if l, ok := layouts[t]; ok {
		return l.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// ParseType reads the name of a type that Export can store matrices as: f16, q8_0 or f32.
func ParseType(s string) (Type, error) {
	for _, t := range []Type{F16, Q8_0, F32} {
		if s == t.String() {
			return t, nil
		}
	}
	return 0, fmt.Errorf("type %q is not one that is exported: f16, q8_0 and f32 are", s)
}

// Readable says whether the type is read as float32.
func (t Type) Readable() bool { return t == F32 || t == F16 || t == BF16 || t == Q8_0 }

// size is the number of bytes of a tensor with that shape, rows last.
func (t Type) size(shape []int) (int64, error) {
	l, ok := layouts[t]
	if !ok {
		return 0, fmt.Errorf("%v is not known", t)
	}
	row := 1
	if len(shape) > 0 {
		row = shape[len(shape)-1]
	}
	if row%l.block != 0 {
		return 0, fmt.Errorf("rows of %d elements are not in blocks of %d, as %v wants", row, l.block, t)
	}
	n := uint64(l.bytes)
	for i, d := range shape {
		if i == len(shape)-1 {
			d /= l.block
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if d < 0 || hi != 0 || lo > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v is negative or too large", shape)
		}
		n = lo
	}
	return int64(n), nil
}

// elements is the product of a shape that size has accepted.
func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
