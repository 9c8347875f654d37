package metricabi

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// Flags of a column record; the upper 28 bits are the name's offset, which is a
// multiple of 16.
const (
	flagConstant = 1
	flagMask     = 15
)

// Encode lays the table out as a metric reads it: header, one record a column,
// names, then the buffers, each on a multiple of 16 bytes. It fails where
// Check does, and above MaxTableBytes.
func Encode(t Table) ([]byte, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	size := t.EncodedSize()
	if size > MaxTableBytes {
		return nil, fmt.Errorf("metric table: %d bytes, at most %d", size, MaxTableBytes)
	}
	return EncodeTo(make([]byte, 0, size), t), nil
}

// EncodeTo is Encode for a table that passes Check, into the memory of b from
// its start where that has EncodedSize bytes, whatever they hold.
func EncodeTo(b []byte, t Table) []byte {
	if size := t.EncodedSize(); int64(cap(b)) < size {
		b = make([]byte, 0, size)
	}
	w := tableWriter{b: b[:0]}
	w.b = w.b[:headerSize+recordSize*len(t.Columns)]
	le := binary.LittleEndian
	le.PutUint32(w.b[0:], tableMagic)
	le.PutUint32(w.b[4:], Version)
	le.PutUint32(w.b[8:], uint32(t.Rows))
	le.PutUint32(w.b[12:], uint32(len(t.Columns)))
	for i := range t.Columns {
		w.column(headerSize+recordSize*i, &t.Columns[i])
	}
	w.pad()
	inParallel(w.copies, len(w.b)) // copying cannot fail
	return w.b
}

// EncodedSize is the length of the encoding in bytes, at most a little more.
func (t Table) EncodedSize() int64 {
	size := int64(headerSize + recordSize*len(t.Columns))
	up := func(n int) { size += (int64(n) + alignment - 1) &^ (alignment - 1) }
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Name != "" {
			up(4 + len(c.Name))
		}
		up(4*len(c.Int32) + 8*len(c.Int64) + 8*len(c.Float64) + len(c.Bytes))
		up(4 * len(c.Offsets))
		up(len(c.Validity))
	}
	return size
}

// tableWriter lays out small things at once and notes down the buffers, whose
// places are known before any is copied. b never grows beyond its capacity.
type tableWriter struct {
	b      []byte
	copies []func() error
}

// maxCopy is how many bytes one goroutine copies at a time.
const maxCopy = 4 << 20

// pad moves the end to the next multiple of 16 and returns it.
func (w *tableWriter) pad() uint32 {
	for len(w.b)%alignment != 0 {
		w.b = append(w.b, 0)
	}
	return uint32(len(w.b))
}

// copy leaves room for bytes that are copied later.
func (w *tableWriter) copy(from []byte) {
	for len(from) > 0 {
		n := min(len(from), maxCopy)
		part := from[:n]
		to := w.b[len(w.b) : len(w.b)+n]
		w.copies = append(w.copies, func() error { copy(to, part); return nil })
		w.b, from = w.b[:len(w.b)+n], from[n:]
	}
}

func (w *tableWriter) column(record int, c *Column) {
	le := binary.LittleEndian
	var flags, offsets, validity uint32
	if c.Role.constant() {
		flags |= flagConstant
	}
	if c.Name != "" {
		flags |= w.pad()
		w.b = le.AppendUint32(w.b, uint32(len(c.Name)))
		w.b = append(w.b, c.Name...)
	}
	if c.Validity != nil {
		validity = w.pad()
		w.copy(c.Validity)
	}
	if c.DType.offset() && !c.Role.constant() {
		offsets = w.pad()
		w.copy(bytesOf(c.Offsets))
	}
	data := w.pad()
	w.copy(bytesOf(c.Int32))
	w.copy(bytesOf(c.Int64))
	w.copy(bytesOf(c.Float64))
	w.copy(c.Bytes)
	for i, v := range []uint32{uint32(c.Role), uint32(c.Arm), uint32(c.DType), flags,
		data, uint32(len(w.b)) - data, offsets, validity} {
		le.PutUint32(w.b[record+4*i:], v)
	}
}

// littleEndian says that numbers lie in this machine's memory as in a table.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf returns values as a table holds them, little-endian: the same memory
// where that is this machine's order.
func bytesOf[T int32 | int64 | float64](values []T) []byte {
	if len(values) == 0 {
		return nil
	}
	if littleEndian {
		return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
	}
	b, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err) // only for types without a fixed size
	}
	return b
}
