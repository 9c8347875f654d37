package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"triality/runtime/atomicfile"
	"triality/runtime/ordered"
	"triality/runtime/safetensors"
)

const (
	magic     = "GGUF"
	version   = 3
	alignment = 32 // of every tensor, where the metadata has no general.alignment
	maxDims   = 4
	maxName   = 63 // ggml keeps names in 64 bytes, the last a zero
	maxKey    = 1<<16 - 1
)

// Tensor is one tensor to write.
type Tensor struct {
	Name  string
	Type  Type  // F32, F16 or Q8_0
	Shape []int // row-major, as Hugging Face has it; the file lists it backwards
	// Read fills dst with the elements from at on, row-major. It is asked for whole rows, from several
	// goroutines.
	Read func(dst []float32, at int) error
}

// Write makes a GGUF file at path, whole or not at all; the tensors come in the order given and are
// read a few rows at a time. A value that a tensor's type cannot hold is an error.
func Write(path string, metadata []Pair, tensors []Tensor) error {
	head, sizes, err := format(metadata, tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<20)
		bw.Write(head) // a bufio.Writer keeps its first error for Flush
		if err := writeParts(bw, tensors, sizes); err != nil {
			return err
		}
		return bw.Flush()
	})
}

// format gives everything before the first tensor's bytes, and each tensor's size.
func format(metadata []Pair, tensors []Tensor) (head []byte, sizes []int64, err error) {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(magic), version)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(metadata)))
	seen := map[string]bool{}
	for _, p := range metadata {
		if p.Key == "" || len(p.Key) > maxKey || seen[p.Key] {
			return nil, nil, fmt.Errorf("metadata key %q is empty, too long or given twice", p.Key)
		}
		seen[p.Key] = true
		if b, err = appendPair(b, p); err != nil {
			return nil, nil, err
		}
	}
	clear(seen)
	var at int64
	for _, t := range tensors {
		size, err := t.check()
		if err == nil && seen[t.Name] {
			err = errors.New("is given twice")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		seen[t.Name] = true
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Shape)))
		for i := len(t.Shape) - 1; i >= 0; i-- {
			b = le.AppendUint64(b, uint64(t.Shape[i]))
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, uint64(at))
		sizes = append(sizes, size)
		if at += size + int64(padding(size)); at < 0 {
			return nil, nil, errors.New("the tensors take more than 2⁶³ bytes")
		}
	}
	return append(b, make([]byte, padding(int64(len(b))))...), sizes, nil
}

func (t Tensor) check() (size int64, err error) {
	switch {
	case t.Name == "" || len(t.Name) > maxName || !utf8.ValidString(t.Name):
		return 0, fmt.Errorf("not a name of 1 to %d bytes", maxName)
	case len(t.Shape) == 0 || len(t.Shape) > maxDims:
		return 0, fmt.Errorf("shape %v has not 1 to %d dimensions", t.Shape, maxDims)
	case t.Type != F32 && t.Type != F16 && t.Type != Q8_0:
		return 0, fmt.Errorf("%v is not written", t.Type)
	case t.Read == nil:
		return 0, errors.New("has no content")
	}
	return t.Type.size(t.Shape)
}

// writeParts writes the tensors' bytes, made on all processors a few rows at a time.
func writeParts(w io.Writer, tensors []Tensor, sizes []int64) error {
	type part struct {
		Tensor
		at, n, padding int
	}
	var parts []part
	for i, t := range tensors {
		for at, n := range safetensors.Parts(t.Shape) {
			p := part{t, at, n, 0}
			if at+n == elements(t.Shape) {
				p.padding = padding(sizes[i])
			}
			parts = append(parts, p)
		}
	}
	type room struct {
		values []float32
		bytes  []byte
	}
	return ordered.Run(len(parts), func(i int, r *room) (err error) {
		p := parts[i]
		r.values = slices.Grow(r.values[:0], p.n)[:p.n]
		if err := p.Read(r.values, p.at); err != nil {
			return fmt.Errorf("tensor %q: %w", p.Name, err)
		}
		if r.bytes, err = encode(r.bytes[:0], p.Type, r.values); err != nil {
			return fmt.Errorf("tensor %q: from element %d: %w", p.Name, p.at, err)
		}
		r.bytes = append(r.bytes, make([]byte, p.padding)...)
		return nil
	}, func(_ int, r *room) error {
		_, err := w.Write(r.bytes)
		return err
	})
}

// padding is how many bytes bring n to the alignment.
func padding(n int64) int { return int(-n & (alignment - 1)) }
