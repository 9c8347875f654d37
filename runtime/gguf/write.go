package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"triality/runtime/atomicfile"
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
	// Read fills dst with the elements from at on, row-major. It is asked for whole rows, in order.
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
		for i, t := range tensors {
			if err := t.writeTo(bw); err != nil {
				return fmt.Errorf("tensor %q: %w", t.Name, err)
			}
			bw.Write(make([]byte, padding(sizes[i])))
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

// rowsAtOnce is how many elements a tensor is read in, at least one row.
const rowsAtOnce = 1 << 18

func (t Tensor) writeTo(w io.Writer) error {
	total, row := elements(t.Shape), t.Shape[len(t.Shape)-1]
	if total == 0 {
		return nil
	}
	v := make([]float32, min(total, max(1, rowsAtOnce/row)*row))
	var b []byte
	for at := 0; at < total; at += len(v) {
		v = v[:min(len(v), total-at)]
		err := t.Read(v, at)
		if err != nil {
			return err
		}
		if b, err = encode(b[:0], t.Type, v); err != nil {
			return fmt.Errorf("from element %d: %w", at, err)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// padding is how many bytes bring n to the alignment.
func padding(n int64) int { return int(-n & (alignment - 1)) }
