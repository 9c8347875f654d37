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
	w := tableWriter{b: b[:0]}
	w.b = append(w.b, make([]byte, headerSize+recordSize*len(t.Columns))...)
	le := binary.LittleEndian
	le.PutUint32(w.b[0:], tableMagic)
	le.PutUint32(w.b[4:], Version)
	le.PutUint32(w.b[8:], uint32(t.Rows))
	le.PutUint32(w.b[12:], uint32(len(t.Columns)))
	for i := range t.Columns {
		w.column(headerSize+recordSize*i, &t.Columns[i])
	}
	w.pad()
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

type tableWriter struct{ b []byte }

// pad moves the end to the next multiple of 16 and returns it.
func (w *tableWriter) pad() uint32 {
	for len(w.b)%alignment != 0 {
		w.b = append(w.b, 0)
	}
	return uint32(len(w.b))
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
		w.b = append(w.b, c.Validity...)
	}
	if c.DType == UTF8 && !c.Role.constant() {
		offsets = w.pad()
		w.b = appendNumbers(w.b, c.Offsets)
	}
	data := w.pad()
	w.b = appendNumbers(w.b, c.Int32)
	w.b = appendNumbers(w.b, c.Int64)
	w.b = appendNumbers(w.b, c.Float64)
	w.b = append(w.b, c.Bytes...)
	for i, v := range []uint32{uint32(c.Role), uint32(c.Arm), uint32(c.DType), flags,
		data, uint32(len(w.b)) - data, offsets, validity} {
		le.PutUint32(w.b[record+4*i:], v)
	}
}

// littleEndian says that numbers lie in this machine's memory as in a table.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// appendNumbers appends values, little-endian.
func appendNumbers[T int32 | int64 | float64](b []byte, values []T) []byte {
	if len(values) == 0 {
		return b
	}
	if littleEndian {
		return append(b, unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))...)
	}
	b, err := binary.Append(b, binary.LittleEndian, values)
	if err != nil {
		panic(err) // only for types without a fixed size
	}
	return b
}
