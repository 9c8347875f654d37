package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"sort"
	"unicode/utf8"
)

// maxHeader is the format's own limit on the header, in bytes.
const maxHeader = 100_000_000

// metadataKey is the one header entry that is not a tensor.
const metadataKey = "__metadata__"

// Errors a caller may want to tell apart; test with errors.Is.
var (
	ErrFormat    = errors.New("not a valid safetensors file")
	ErrTruncated = errors.New("truncated safetensors file")
	ErrNoTensor  = errors.New("no such tensor")
)

// Info describes one tensor of a file.
type Info struct {
	DType DType
	Shape []int // row-major; empty for a scalar
	// Begin and End bound the tensor's bytes within the data that follows the
	// header.
	Begin, End int64
}

// Elements is the number of elements: the product of Shape.
func (i Info) Elements() int { return int(i.End-i.Begin) / i.DType.Size() }

type header struct {
	names    []string // in the order of their bytes
	infos    map[string]Info
	metadata map[string]string
	dataAt   int64 // file offset of the first tensor byte
}

// readHeader reads and checks the header of a file of the given size. It reads
// no more than the file holds, so what it allocates is bounded by size.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	var prefix [8]byte
	if size < int64(len(prefix)) {
		return nil, fmt.Errorf("%w: %d bytes, the header length alone takes 8 (short by %d)", ErrTruncated, size, 8-size)
	}
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("read header length: %w", err)
	}
	var n uint64
	for i := 7; i >= 0; i-- {
		n = n<<8 | uint64(prefix[i])
	}
	if n > maxHeader {
		return nil, fmt.Errorf("%w: header length %d is over the format's limit of %d", ErrFormat, n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("%w: the header takes %d bytes, the file is short by %d", ErrTruncated, n, int64(n)-(size-8))
	}
	raw := make([]byte, n)
	if _, err := r.ReadAt(raw, 8); err != nil && n > 0 {
		return nil, fmt.Errorf("read header: %w", err)
	}
	h, err := parseHeader(raw)
	if err != nil {
		return nil, err
	}
	h.dataAt = 8 + int64(n)
	return h, h.checkExtent(size - h.dataAt)
}

func parseHeader(raw []byte) (*header, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, fmt.Errorf("%w: the header does not start with '{'", ErrFormat)
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: the header is not UTF-8", ErrFormat)
	}
	h := &header{infos: map[string]Info{}}
	// Read key by key: decoding into a map would hide a repeated name.
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
		}
		name := tok.(string) // a key: the decoder refuses anything else
		if name == metadataKey {
			if h.metadata != nil {
				return nil, fmt.Errorf("%w: %s is given twice", ErrFormat, metadataKey)
			}
			h.metadata = map[string]string{}
			if err := dec.Decode(&h.metadata); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrFormat, metadataKey, err)
			}
			continue
		}
		if _, twice := h.infos[name]; twice {
			return nil, fmt.Errorf("%w: tensor %q is given twice", ErrFormat, name)
		}
		info, err := parseInfo(dec)
		if err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrFormat, name, err)
		}
		h.infos[name] = info
		h.names = append(h.names, name)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if rest := bytes.TrimRight(raw[dec.InputOffset():], " \n\r\t"); len(rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes after the header's closing brace", ErrFormat, len(rest))
	}
	return h, nil
}

func parseInfo(dec *json.Decoder) (Info, error) {
	var e struct {
		DType   DType   `json:"dtype"`
		Shape   []int64 `json:"shape"`
		Offsets []int64 `json:"data_offsets"`
	}
	if err := dec.Decode(&e); err != nil {
		return Info{}, err
	}
	if e.DType.Size() == 0 {
		return Info{}, fmt.Errorf("unknown dtype %q", e.DType)
	}
	if e.Shape == nil {
		return Info{}, errors.New("shape is missing")
	}
	if len(e.Offsets) != 2 {
		return Info{}, fmt.Errorf("data_offsets has %d entries, want 2", len(e.Offsets))
	}
	info := Info{DType: e.DType, Shape: make([]int, len(e.Shape)), Begin: e.Offsets[0], End: e.Offsets[1]}
	if info.Begin < 0 || info.End < info.Begin {
		return Info{}, fmt.Errorf("data_offsets [%d, %d] are not a range", info.Begin, info.End)
	}
	for i, d := range e.Shape {
		if d < 0 || d > math.MaxInt {
			return Info{}, fmt.Errorf("shape %v has dimension %d", e.Shape, d)
		}
		info.Shape[i] = int(d)
	}
	want, ok := byteSize(e.DType, info.Shape)
	if !ok {
		return Info{}, fmt.Errorf("shape %v is too large", e.Shape)
	}
	if want != info.End-info.Begin {
		return Info{}, fmt.Errorf("shape %v of %s takes %d bytes, data_offsets give %d", e.Shape, e.DType, want, info.End-info.Begin)
	}
	return info, nil
}

// byteSize is the size of a tensor in bytes; ok is false where it overflows or a
// dimension is negative.
func byteSize(d DType, shape []int) (n int64, ok bool) {
	total := uint64(d.Size())
	for _, dim := range shape {
		if dim < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(total, uint64(dim))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		total = lo
	}
	return int64(total), true
}

// checkExtent sorts the names by offset and checks that the tensors fill the data
// from its first byte to its last, each beginning where the one before ends.
func (h *header) checkExtent(data int64) error {
	sort.Slice(h.names, func(i, j int) bool {
		a, b := h.infos[h.names[i]], h.infos[h.names[j]]
		if a.Begin != b.Begin {
			return a.Begin < b.Begin
		}
		if a.End != b.End {
			return a.End < b.End
		}
		return h.names[i] < h.names[j]
	})
	var at int64
	for _, name := range h.names {
		info := h.infos[name]
		if info.Begin != at {
			return fmt.Errorf("%w: tensor %q begins at %d, the one before ends at %d", ErrFormat, name, info.Begin, at)
		}
		at = info.End
	}
	switch {
	case at > data:
		return fmt.Errorf("%w: the tensors take %d bytes, the file is short by %d", ErrTruncated, at, at-data)
	case at < data:
		return fmt.Errorf("%w: %d bytes follow the last tensor", ErrFormat, data-at)
	}
	return nil
}
