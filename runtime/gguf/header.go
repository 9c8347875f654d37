package gguf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// The most entries a file may have: far beyond real ones, few enough for the tables.
const (
	maxPairs   = 1 << 16
	maxTensors = 1 << 20
	minPair    = 8 + 1 + 4 + 1     // bytes of the shortest entry: key length, key, type, value
	minTensor  = 8 + 1 + 4 + 4 + 8 // name length, name, dimensions, type, offset
)

// Info describes one tensor of a file.
type Info struct {
	Type   Type
	Shape  []int // row-major
	Offset int64 // of the first byte within the tensors' bytes
	Size   int64 // in bytes
}

// Elements is the product of Shape.
func (i Info) Elements() int { return elements(i.Shape) }

// Array is a metadata value that is a list; it stays in the file until asked for.
type Array struct {
	elem valueType
	Len  int
	at   int64 // file offset of the first element
	size int64 // bytes
}

type header struct {
	keys   []string // in the file's order
	values map[string]any
	names  []string // in the order of their bytes
	infos  map[string]Info
	dataAt int64 // file offset of the first tensor byte
}

// readHeader reads and checks everything before the tensors' bytes, and that these lie within the
// file. What it allocates is bounded by size.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	c := &cursor{r: r, size: size}
	if got := string(c.take(4)); c.err == nil && got != magic {
		c.fail("%w: it begins with %q, not %q", ErrFormat, got, magic)
	}
	if v := c.u32(); c.err == nil && v != version {
		if v&0xffff == 0 {
			c.fail("%w: it is big-endian; convert it with llama.cpp's gguf_convert_endian.py", ErrFormat)
		}
		c.fail("%w: version %d, this reads %d", ErrFormat, v, version)
	}
	tensors, pairs := c.u64(), c.u64()
	if c.err == nil && (tensors > maxTensors || pairs > maxPairs) {
		c.fail("%w: %d tensors and %d metadata entries, at most %d and %d are read", ErrFormat, tensors, pairs, maxTensors, maxPairs)
	}
	if !c.has(pairs, minPair) || !c.has(tensors, minTensor) {
		return nil, c.err
	}
	h := &header{values: make(map[string]any, pairs), infos: make(map[string]Info, tensors)}
	for range pairs {
		if h.readPair(c); c.err != nil {
			return nil, c.err
		}
	}
	align, err := h.alignment()
	if err != nil {
		return nil, err
	}
	for range tensors {
		if h.readInfo(c, align); c.err != nil {
			return nil, c.err
		}
	}
	h.dataAt = c.at + (-c.at & (align - 1))
	return h, h.checkExtent(size)
}

func (h *header) readPair(c *cursor) {
	key := c.text("a metadata key", maxKey)
	if c.err != nil {
		return
	}
	if _, twice := h.values[key]; twice || key == "" || !utf8.ValidString(key) {
		c.fail("%w: metadata key %q is empty, no UTF-8 or given twice", ErrFormat, key)
		return
	}
	v := readValue(c, valueType(c.u32()))
	if c.err != nil {
		c.err = fmt.Errorf("metadata %q: %w", key, c.err)
		return
	}
	h.keys = append(h.keys, key)
	h.values[key] = v
}

func readValue(c *cursor, t valueType) any {
	le := binary.LittleEndian
	switch t {
	case typeUint8:
		return c.take(1)[0]
	case typeInt8:
		return int8(c.take(1)[0])
	case typeBool:
		return c.take(1)[0] != 0
	case typeUint16:
		return le.Uint16(c.take(2))
	case typeInt16:
		return int16(le.Uint16(c.take(2)))
	case typeUint32:
		return c.u32()
	case typeInt32:
		return int32(c.u32())
	case typeFloat32:
		return math.Float32frombits(c.u32())
	case typeUint64:
		return c.u64()
	case typeInt64:
		return int64(c.u64())
	case typeFloat64:
		return math.Float64frombits(c.u64())
	case typeString:
		return c.text("a string", 0)
	case typeArray:
		return readArray(c)
	}
	c.fail("%w: value type %d is not known", ErrFormat, t)
	return nil
}

// readArray passes over a list, so that its length alone costs no memory.
func readArray(c *cursor) Array {
	elem, n := valueType(c.u32()), c.u64()
	if c.err != nil {
		return Array{}
	}
	if elem == typeString {
		if !c.has(n, 8) {
			return Array{}
		}
		a := Array{elem, int(n), c.at, 0}
		for range n {
			if c.skip(c.u64()); c.err != nil {
				return Array{}
			}
		}
		a.size = c.at - a.at
		return a
	}
	each := elem.fixed()
	if each == 0 {
		c.fail("%w: a list of value type %d is not read", ErrFormat, elem)
		return Array{}
	}
	if !c.has(n, int64(each)) {
		return Array{}
	}
	a := Array{elem, int(n), c.at, int64(n) * int64(each)}
	c.skip(uint64(a.size))
	return a
}

func (h *header) alignment() (int64, error) {
	v, ok := h.values["general.alignment"]
	if !ok {
		return alignment, nil
	}
	if n, ok := v.(uint32); ok && n >= 8 && n <= 1<<20 && n&(n-1) == 0 {
		return int64(n), nil
	}
	return 0, fmt.Errorf("%w: general.alignment is %v, want a power of two of 8 to 1 MiB as uint32", ErrFormat, v)
}

func (h *header) readInfo(c *cursor, align int64) {
	name := c.text("a tensor's name", maxName)
	dims := c.u32()
	if c.err != nil {
		return
	}
	if _, twice := h.infos[name]; twice || name == "" || !utf8.ValidString(name) {
		c.fail("%w: tensor %q: the name is empty, no UTF-8 or given twice", ErrFormat, name)
		return
	}
	if dims == 0 || dims > maxDims {
		c.fail("%w: tensor %q has %d dimensions, want 1 to %d", ErrFormat, name, dims, maxDims)
		return
	}
	shape := make([]int, dims)
	for i := range shape {
		d := c.u64()
		if d > math.MaxInt64 {
			c.fail("%w: tensor %q has dimension %d", ErrFormat, name, d)
			return
		}
		shape[len(shape)-1-i] = int(d)
	}
	info := Info{Type: Type(c.u32()), Shape: shape}
	offset := c.u64()
	if c.err != nil {
		return
	}
	var err error
	if info.Size, err = info.Type.size(shape); err != nil {
		c.fail("%w: tensor %q: %w", ErrFormat, name, err)
		return
	}
	if offset > math.MaxInt64 || int64(offset)%align != 0 {
		c.fail("%w: tensor %q: offset %d is no multiple of the alignment %d", ErrFormat, name, offset, align)
		return
	}
	info.Offset = int64(offset)
	h.names = append(h.names, name)
	h.infos[name] = info
}

// checkExtent sorts the names by offset and checks that the tensors lie within the file and not in
// one another.
func (h *header) checkExtent(size int64) error {
	slices.SortFunc(h.names, func(a, b string) int {
		x, y := h.infos[a], h.infos[b]
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Size, y.Size), strings.Compare(a, b))
	})
	var at int64
	for _, name := range h.names {
		info := h.infos[name]
		if info.Offset < at {
			return fmt.Errorf("%w: tensor %q begins at %d, within the one before, which ends at %d", ErrFormat, name, info.Offset, at)
		}
		if room := size - h.dataAt - info.Offset; info.Size > room {
			return fmt.Errorf("%w: tensor %q takes %d bytes from %d on, the file is short by %d", ErrTruncated, name, info.Size, h.dataAt+info.Offset, info.Size-room)
		}
		at = info.Offset + info.Size
	}
	return nil
}
