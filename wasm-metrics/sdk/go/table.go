// Package metric is the Go SDK of triality_metric_v1. A metric module is a
// program that calls Register in an init function and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o metric.wasm
//
// It depends on nothing but unsafe and errors, so that a module's start has
// nothing to set up, and reads the table where the host put it, without copying
// numbers.
package metric

import (
	"errors"
	"unsafe"
)

// Roles, arms and dtypes of version 1; TokenLogProb, the names of arms and lists
// are of version 1.1, which a description asks for by "abi": "1.1".
const (
	Label, Prediction, Probability, Text, Output = 1, 2, 3, 4, 5
	Latency, Group, Extra, Class, Parameter      = 6, 7, 8, 9, 10
	TokenLogProb, armName                        = 11, 12

	Shared, A, B = 0, 1, 2

	i32, i64, f64, utf8, f64List = 1, 2, 3, 4, 5
)

const tableMagic = 0x31544D54

// Table is the table a metric reads. It is valid during one Eval.
type Table struct {
	Rows int
	b    []byte
	n    int
}

// Column is one column of a table.
type Column struct {
	Role, Arm, dtype uint32
	Name             string
	data             []byte
	offsets          []uint32
	validity         []byte

	// Views of data: the one of the column's dtype is set.
	int32s   []int32
	int64s   []int64
	float64s []float64
}

var errTable = errors.New("the table is malformed")

// Open reads a table's header.
func Open(b []byte) (*Table, error) {
	if len(b) < 16 || word(b, 0) != tableMagic || word(b, 4) != 1 {
		return nil, errTable
	}
	t := &Table{Rows: int(word(b, 8)), b: b, n: int(word(b, 12))}
	if t.n > (len(b)-16)/32 {
		return nil, errTable
	}
	return t, nil
}

// word reads little-endian.
func word(b []byte, at int) uint32 {
	b = b[at : at+4]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// view is the same memory as numbers, which WebAssembly keeps as the table
// does: little-endian. Buffers lie on multiples of 16 bytes.
func view[T int32 | uint32 | int64 | float64](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var one T
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(one)))
}

func (t *Table) column(i int) *Column {
	r := t.b[16+32*i:]
	c := &Column{Role: word(r, 0), Arm: word(r, 4), dtype: word(r, 8)}
	flags, data, size := word(r, 12), word(r, 16), word(r, 20)
	c.data = t.b[data : data+size]
	if name := flags &^ 15; name != 0 {
		c.Name = string(t.b[name+4 : name+4+word(t.b, int(name))])
	}
	if off := word(r, 24); off != 0 {
		c.offsets = view[uint32](t.b[off : off+4*uint32(t.Rows+1)])
	}
	if off := word(r, 28); off != 0 {
		c.validity = t.b[off : off+uint32(t.Rows+7)/8]
	}
	switch c.dtype {
	case i32:
		c.int32s = view[int32](c.data)
	case i64:
		c.int64s = view[int64](c.data)
	case f64, f64List:
		c.float64s = view[float64](c.data)
	}
	return c
}

// Column returns the first column of a role and arm, or nil.
func (t *Table) Column(role, arm uint32) *Column {
	for i := range t.n {
		if c := t.column(i); c.Role == role && c.Arm == arm {
			return c
		}
	}
	return nil
}

// Columns returns every column of a role and arm, in order: the probabilities
// of the classes, say.
func (t *Table) Columns(role, arm uint32) []*Column {
	var out []*Column
	for i := range t.n {
		if c := t.column(i); c.Role == role && c.Arm == arm {
			out = append(out, c)
		}
	}
	return out
}

// Named returns the extra column of that name, or nil.
func (t *Table) Named(name string, arm uint32) *Column { return t.named(Extra, name, arm) }

func (t *Table) named(role uint32, name string, arm uint32) *Column {
	for i := range t.n {
		if c := t.column(i); c.Role == role && c.Arm == arm && c.Name == name {
			return c
		}
	}
	return nil
}

// Classes returns the names of the classes; class id i is the i-th.
func (t *Table) Classes() []string {
	var out []string
	for _, c := range t.Columns(Class, Shared) {
		out = append(out, string(c.data))
	}
	return out
}

// Arms returns the names of the arms, in version 1.1; arm i + 1 is the i-th.
func (t *Table) Arms() []string {
	var out []string
	for {
		c := t.Column(armName, uint32(len(out)+1))
		if c == nil {
			return out
		}
		out = append(out, string(c.data))
	}
}

// OfArm is what an arm's result is called of an output that each arm has.
func OfArm(name string, arm uint32) string { return name + "." + string(rune('A'+arm-1)) }

// Number returns a parameter of type number; the host has filled in defaults
// and checked the type and range the description gives.
func (t *Table) Number(name string) float64 { return t.named(Parameter, name, Shared).Float64(0) }

// Integer returns a parameter of type integer.
func (t *Table) Integer(name string) int64 { return t.named(Parameter, name, Shared).Int64(0) }

// Boolean returns a parameter of type boolean.
func (t *Table) Boolean(name string) bool { return t.named(Parameter, name, Shared).Int32(0) != 0 }

// Text returns a parameter of type string.
func (t *Table) Text(name string) string { return string(t.named(Parameter, name, Shared).data) }

// Numbers returns a parameter of type numbers.
func (t *Table) Numbers(name string) []float64 {
	return append([]float64(nil), t.named(Parameter, name, Shared).float64s...)
}

// Valid reports whether row i has a value.
func (c *Column) Valid(i int) bool { return c.validity == nil || c.validity[i>>3]>>(i&7)&1 == 1 }

// Complete returns a bitmap of the rows in which every one of the columns has a
// value, bit i%8 of byte i/8; nil where that is every row.
func (t *Table) Complete(columns ...*Column) []byte {
	var out []byte
	for _, c := range columns {
		if c.validity == nil {
			continue
		}
		if out == nil {
			out = append([]byte(nil), c.validity...)
			continue
		}
		for i, b := range c.validity {
			out[i] &= b
		}
	}
	return out
}

// Int32 returns row i of an i32 column.
func (c *Column) Int32(i int) int32 { return c.int32s[i] }

// Int64 returns row i of an i64 column.
func (c *Column) Int64(i int) int64 { return c.int64s[i] }

// Float64 returns row i of an f64 column.
func (c *Column) Float64(i int) float64 { return c.float64s[i] }

// Int32s returns all rows of an i32 column, in the table's memory.
func (c *Column) Int32s() []int32 { return c.int32s }

// Int64s returns all rows of an i64 column, in the table's memory.
func (c *Column) Int64s() []int64 { return c.int64s }

// Float64s returns all rows of an f64 column, in the table's memory.
func (c *Column) Float64s() []float64 { return c.float64s }

// List returns row i of a f64_list column, in the table's memory.
func (c *Column) List(i int) []float64 { return c.float64s[c.offsets[i]:c.offsets[i+1]] }

// String returns row i of a utf8 column.
func (c *Column) String(i int) string { return string(c.data[c.offsets[i]:c.offsets[i+1]]) }
