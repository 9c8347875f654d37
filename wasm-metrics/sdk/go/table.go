// Package metric is the Go SDK of triality_metric_v1. A metric module is a
// program that calls Register in an init function and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o metric.wasm
//
// It has no dependencies, and reads the table where the host put it, without
// copying numbers.
package metric

import (
	"encoding/binary"
	"errors"
	"math"
)

// Roles, arms and dtypes of version 1.
const (
	Label, Prediction, Probability, Text, Output = 1, 2, 3, 4, 5
	Latency, Group, Extra, Class, Parameter      = 6, 7, 8, 9, 10

	Shared, A, B = 0, 1, 2

	i32, i64, f64, utf8 = 1, 2, 3, 4
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
	offsets          []byte
	validity         []byte
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

func word(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

func (t *Table) column(i int) *Column {
	r := t.b[16+32*i:]
	c := &Column{Role: word(r, 0), Arm: word(r, 4), dtype: word(r, 8)}
	flags, data, size := word(r, 12), word(r, 16), word(r, 20)
	c.data = t.b[data : data+size]
	if name := flags &^ 15; name != 0 {
		c.Name = string(t.b[name+4 : name+4+word(t.b, int(name))])
	}
	if off := word(r, 24); off != 0 {
		c.offsets = t.b[off : off+4*uint32(t.Rows+1)]
	}
	if off := word(r, 28); off != 0 {
		c.validity = t.b[off : off+uint32(t.Rows+7)/8]
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
	c := t.named(Parameter, name, Shared)
	out := make([]float64, len(c.data)/8)
	for i := range out {
		out[i] = c.Float64(i)
	}
	return out
}

// Valid reports whether row i has a value.
func (c *Column) Valid(i int) bool { return c.validity == nil || c.validity[i/8]>>(i%8)&1 == 1 }

// Int32 returns row i of an i32 column.
func (c *Column) Int32(i int) int32 { return int32(binary.LittleEndian.Uint32(c.data[4*i:])) }

// Int64 returns row i of an i64 column.
func (c *Column) Int64(i int) int64 { return int64(binary.LittleEndian.Uint64(c.data[8*i:])) }

// Float64 returns row i of an f64 column.
func (c *Column) Float64(i int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(c.data[8*i:]))
}

// String returns row i of a utf8 column.
func (c *Column) String(i int) string {
	return string(c.data[word(c.offsets, 4*i):word(c.offsets, 4*i+4)])
}
