package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"triality/runtime/ordered"
)

// writeParts writes the tensors' bytes, made on all processors a few rows at a time.
func writeParts(w io.Writer, plan []Tensor) error {
	type part struct {
		*Tensor
		at, n int
	}
	var parts []part
	for i := range plan {
		for at, n := range Parts(plan[i].Shape) {
			parts = append(parts, part{&plan[i], at, n})
		}
	}
	type room struct {
		values []float32
		bytes  []byte
	}
	return ordered.Run(len(parts), func(i int, r *room) (err error) {
		p := parts[i]
		if r.bytes, r.values, err = p.bytes(r.bytes, r.values, p.at, p.n); err != nil {
			return fmt.Errorf("tensor %q: %w", p.Name, err)
		}
		return nil
	}, func(_ int, r *room) error {
		_, err := w.Write(r.bytes)
		return err
	})
}

// bytes gives n elements from at on as they are stored, in room for bytes and for values that it may
// have made larger.
func (t *Tensor) bytes(room []byte, values []float32, at, n int) ([]byte, []float32, error) {
	size := t.DType.Size()
	room = slices.Grow(room[:0], n*size)[:n*size]
	switch {
	case t.Raw != nil:
		copy(room, t.Raw[at*size:])
	case t.Float32 != nil:
		narrow(room, t.DType, t.Float32[at:at+n])
	default:
		values = slices.Grow(values[:0], n)[:n]
		if err := t.Read(values, at); err != nil {
			return room, values, err
		}
		narrow(room, t.DType, values)
	}
	return room, values, nil
}

// partElements is the size of a part: enough that handing it on costs nothing beside making it.
const partElements = 1 << 20

// Parts cuts a tensor of a shape into whole rows, as many together as have at most 2²⁰ elements: it gives
// each part's first element and their number. A row is what the first dimension counts; one that is
// longer is a part of its own.
func Parts(shape []int) iter.Seq2[int, int] {
	row, total := 1, 1
	for i, d := range shape {
		if total *= d; i > 0 {
			row *= d
		}
	}
	size := max(1, partElements/max(1, row)) * row
	return func(yield func(at, n int) bool) {
		for at := 0; at < total; at += size {
			if !yield(at, min(size, total-at)) {
				return
			}
		}
	}
}

// narrow stores v as d, which is F32, F16 or BF16, in b.
func narrow(b []byte, d DType, v []float32) {
	switch d {
	case F16:
		for i, f := range v {
			binary.LittleEndian.PutUint16(b[2*i:], Float32ToF16(f))
		}
	case BF16:
		for i, f := range v {
			binary.LittleEndian.PutUint16(b[2*i:], Float32ToBF16(f))
		}
	default:
		for i, f := range v {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(f))
		}
	}
}
