package metricabi

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Decode reads what Encode wrote. Every offset is checked against the block;
// the table returned shares no memory with it and passes Check.
func Decode(b []byte) (Table, error) {
	if len(b) < headerSize {
		return Table{}, fmt.Errorf("metric table: %d bytes, the header alone has %d", len(b), headerSize)
	}
	le := binary.LittleEndian
	if m := le.Uint32(b); m != tableMagic {
		return Table{}, fmt.Errorf("metric table: magic is %#x, want %#x", m, tableMagic)
	}
	if v := le.Uint32(b[4:]); v != Version {
		return Table{}, fmt.Errorf("metric table: version %d, want %d", v, Version)
	}
	rows, columns := le.Uint32(b[8:]), le.Uint32(b[12:])
	if rows > math.MaxInt32 || columns > MaxColumns || int(columns) > (len(b)-headerSize)/recordSize {
		return Table{}, fmt.Errorf("metric table: %d rows and %d columns do not fit %d bytes", rows, columns, len(b))
	}
	t := Table{Rows: int(rows)}
	for i := range int(columns) {
		c, err := decodeColumn(b, b[headerSize+recordSize*i:][:recordSize], t.Rows)
		if err != nil {
			return Table{}, fmt.Errorf("metric table: column %d: %w", i, err)
		}
		t.Columns = append(t.Columns, c)
	}
	if err := t.Check(); err != nil {
		return Table{}, err
	}
	return t, nil
}

func decodeColumn(b, record []byte, rows int) (Column, error) {
	le := binary.LittleEndian
	field := func(i int) uint32 { return le.Uint32(record[4*i:]) }
	c := Column{Role: Role(field(0)), Arm: Arm(field(1)), DType: DType(field(2))}
	if err := checkKind(c.Role, c.Arm, c.DType); err != nil {
		return c, err
	}
	flags, name := field(3)&flagMask, field(3)&^flagMask
	constant := flags&flagConstant != 0
	if flags&^flagConstant != 0 || constant != c.Role.constant() {
		return c, fmt.Errorf("flags %#x do not go with role %s", flags, c.Role)
	}
	if name != 0 {
		n, err := section(b, "name", name, 4)
		if err != nil {
			return c, err
		}
		if n, err = section(b, "name", name+4, le.Uint32(n)); err != nil {
			return c, err
		}
		c.Name = string(n)
	}
	if off := field(7); off != 0 {
		v, err := aligned(b, "validity", off, uint64(rows+7)/8)
		if err != nil {
			return c, err
		}
		c.Validity = append([]byte{}, v...)
	}
	data, err := aligned(b, "data", field(4), uint64(field(5)))
	if err != nil {
		return c, err
	}
	if w := c.DType.width(); w != 0 && (len(data)%w != 0 || !constant && c.DType != F64List && len(data)/w != rows) {
		return c, fmt.Errorf("%d bytes of %s for %d rows", len(data), c.DType, rows)
	}
	if c.DType.offset() && !constant {
		offsets, err := aligned(b, "offsets", field(6), 4*(uint64(rows)+1))
		if err != nil {
			return c, err
		}
		c.Offsets = make([]int32, rows+1)
		for i := range c.Offsets {
			c.Offsets[i] = int32(le.Uint32(offsets[4*i:]))
		}
	} else if field(6) != 0 {
		return c, fmt.Errorf("a %s column has no offsets", c.DType)
	}
	c.fill(data)
	return c, nil
}

// fill copies the data buffer into the slice its dtype names.
func (c *Column) fill(data []byte) {
	le := binary.LittleEndian
	switch c.DType {
	case I32:
		c.Int32 = make([]int32, len(data)/4)
		for i := range c.Int32 {
			c.Int32[i] = int32(le.Uint32(data[4*i:]))
		}
	case I64:
		c.Int64 = make([]int64, len(data)/8)
		for i := range c.Int64 {
			c.Int64[i] = int64(le.Uint64(data[8*i:]))
		}
	case F64, F64List:
		c.Float64 = make([]float64, len(data)/8)
		for i := range c.Float64 {
			c.Float64[i] = math.Float64frombits(le.Uint64(data[8*i:]))
		}
	case UTF8:
		c.Bytes = append([]byte{}, data...)
	}
}

// aligned is section for buffers, which start on a multiple of 16.
func aligned(b []byte, what string, off uint32, n uint64) ([]byte, error) {
	if off%alignment != 0 || off < headerSize {
		return nil, fmt.Errorf("%s starts at %d, want a multiple of %d after the header", what, off, alignment)
	}
	if n > math.MaxUint32 {
		return nil, fmt.Errorf("%s has %d bytes, the block has %d", what, n, len(b))
	}
	return section(b, what, off, uint32(n))
}

// section returns b[off:off+n] where that lies inside b.
func section(b []byte, what string, off, n uint32) ([]byte, error) {
	if uint64(off)+uint64(n) > uint64(len(b)) {
		return nil, fmt.Errorf("%s is at %d to %d, the block has %d bytes", what, off, uint64(off)+uint64(n), len(b))
	}
	return b[off : uint64(off)+uint64(n)], nil
}
