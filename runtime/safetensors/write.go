package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"triality/runtime/atomicfile"
)

// Tensor is one tensor to write. Exactly one of Float32, Read and Raw
// gives its content.
type Tensor struct {
	Name  string
	DType DType // empty means F32
	Shape []int // row-major; empty for a scalar

	// Float32 is stored as F32, or rounded to nearest even as F16 or BF16.
	Float32 []float32
	// Read is Float32 made a part at a time, for tensors too large to be in memory whole: it fills dst
	// with the elements from at on. It is asked for the Parts of Shape, from several goroutines.
	Read func(dst []float32, at int) error
	// Raw is stored as it is: little-endian, any DType.
	Raw []byte
}

// Write makes a safetensors file at path, whole or not at all. The same tensors
// and metadata give the same bytes whatever their order: tensors are laid out by
// falling element size, then by name, so that each is aligned to its element;
// the header is padded so that the data begins at a multiple of eight. metadata
// may be nil.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	plan, err := layOut(tensors)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	head, err := formatHeader(plan, metadata)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<20)
		bw.Write(head) // a bufio.Writer keeps its first error for Flush
		if err := writeParts(bw, plan); err != nil {
			return err
		}
		return bw.Flush()
	})
}

// layOut checks the tensors and returns them in the order they are stored.
func layOut(tensors []Tensor) ([]Tensor, error) {
	plan := slices.Clone(tensors)
	for i := range plan {
		if err := plan[i].check(); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", plan[i].Name, err)
		}
	}
	slices.SortStableFunc(plan, func(a, b Tensor) int {
		if c := b.DType.Size() - a.DType.Size(); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	seen := make(map[string]bool, len(plan))
	for _, t := range plan {
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q is given twice", t.Name)
		}
		seen[t.Name] = true
	}
	return plan, nil
}

func (t *Tensor) check() error {
	if t.DType == "" {
		t.DType = F32
	}
	if t.Name == "" || t.Name == metadataKey || !utf8.ValidString(t.Name) {
		return errors.New("not a name a tensor can have")
	}
	if t.DType.Size() == 0 {
		return fmt.Errorf("unknown dtype %q", t.DType)
	}
	size, ok := byteSize(t.DType, t.Shape)
	if !ok {
		return fmt.Errorf("shape %v is negative or too large", t.Shape)
	}
	given := 0
	for _, have := range []bool{t.Float32 != nil, t.Read != nil, t.Raw != nil} {
		if have {
			given++
		}
	}
	if given > 1 || given == 0 && size > 0 {
		return fmt.Errorf("%d of Float32, Read and Raw are given, want one", given)
	}
	if t.Raw != nil && int64(len(t.Raw)) != size {
		return fmt.Errorf("shape %v of %s takes %d bytes, Raw has %d", t.Shape, t.DType, size, len(t.Raw))
	}
	if t.Float32 == nil && t.Read == nil {
		return nil
	}
	if t.DType != F32 && t.DType != F16 && t.DType != BF16 {
		return fmt.Errorf("float32 values cannot be stored as %s (F32, F16 and BF16 can)", t.DType)
	}
	if want := size / int64(t.DType.Size()); t.Float32 != nil && int64(len(t.Float32)) != want {
		return fmt.Errorf("shape %v has %d elements, %d are given", t.Shape, want, len(t.Float32))
	}
	return nil
}

// formatHeader returns the length prefix and the padded JSON header.
func formatHeader(plan []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	sep := ""
	if len(metadata) > 0 {
		b.WriteString(quote(metadataKey) + ":{")
		for _, k := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
				return nil, fmt.Errorf("metadata %q is not UTF-8", k)
			}
			b.WriteString(sep + quote(k) + ":" + quote(metadata[k]))
			sep = ","
		}
		b.WriteByte('}')
		sep = ","
	}
	var at int64
	for _, t := range plan {
		size, _ := byteSize(t.DType, t.Shape)
		if at > math.MaxInt64-size {
			return nil, errors.New("the tensors take more than 2⁶³ bytes")
		}
		fmt.Fprintf(&b, `%s%s:{"dtype":"%s","shape":[`, sep, quote(t.Name), t.DType)
		for i, d := range t.Shape {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprint(&b, d)
		}
		fmt.Fprintf(&b, `],"data_offsets":[%d,%d]}`, at, at+size)
		at += size
		sep = ","
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > maxHeader {
		return nil, fmt.Errorf("the header takes %d bytes, the format's limit is %d", b.Len()-8, maxHeader)
	}
	head := b.Bytes()
	binary.LittleEndian.PutUint64(head, uint64(len(head)-8))
	return head, nil
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}
