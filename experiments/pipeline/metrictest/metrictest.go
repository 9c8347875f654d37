// Package metrictest assembles small WebAssembly metrics for tests, good and bad ones, so that tests
// need no toolchain.
package metrictest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Addresses in the modules' memory of four pages.
const (
	descriptionAt = 1024
	resultAt      = 16384
	tableAt       = 65536
	pages         = 4
)

// Good is a metric that returns the value as its only output, "value".
func Good(name string, value float64) []byte {
	return assemble(name, scalar(value), nil)
}

// WithParameter is a metric like Good that has the number "missing", 2 where it is not set, as a parameter.
func WithParameter(name string, value float64) []byte {
	m := module{name: name, result: scalar(value), resultPtr: resultAt, resultLen: len(scalar(value)),
		parameters: `,"parameters":[{"name":"missing","type":"number","default":2}]`}
	return m.bytes()
}

// CountsRows is a metric whose output "value" is the number of rows.
func CountsRows(name string) []byte {
	// i32.const of where the value is; local.get 0; i32.load of the table's rows; f64.convert_i32_u; f64.store
	before := join(constant(resultAt+56), []byte{0x20, 0x00, 0x28, 0x02, 0x08, 0xb8, 0x39, 0x03, 0x00})
	return assemble(name, scalar(0), before)
}

// NeedsTexts is a metric like Good that needs what arm A wrote and the rows' own answers.
func NeedsTexts(name string, value float64) []byte {
	return Needing(name, value, `{"role":"output","arm":"A"},{"role":"extra","name":"reference","dtype":"utf8"}`)
}

// Needing is a metric like Good that needs the columns given as JSON.
func Needing(name string, value float64, columns string) []byte {
	m := module{name: name, result: scalar(value), resultPtr: resultAt, resultLen: len(scalar(value)), columns: columns}
	return m.bytes()
}

// Loops is a metric whose evaluation never ends.
func Loops(name string) []byte {
	return assemble(name, scalar(0), []byte{0x03, 0x40, 0x0c, 0x00, 0x0b}) // loop br 0 end
}

// ExhaustsMemory is a metric that takes memory until it gets none and then traps.
func ExhaustsMemory(name string) []byte {
	// loop: memory.grow 256 pages; br_if 0 while the result is not −1; unreachable
	body := join([]byte{0x03, 0x40}, constant(256), []byte{0x40, 0x00}, constant(-1), []byte{0x47, 0x0d, 0x00, 0x0b, 0x00})
	return assemble(name, scalar(0), body)
}

// LiesAboutOutput is a metric that returns an output which its description does not name.
func LiesAboutOutput(name string) []byte {
	return assemble(name, block("secret", 1, 1), nil)
}

// PointsOutsideMemory is a metric whose result lies beyond the end of its memory.
func PointsOutsideMemory(name string) []byte {
	m := module{name: name, resultPtr: pages*65536 - 8, resultLen: 4096}
	return m.bytes()
}

// OfRows is a metric that returns one value a row for tables of that many rows, whatever the table's
// length: it works on one table and fails on every other.
func OfRows(name string, rows int) []byte {
	return assemble(name, block("rows", 3, make([]float64, rows)...), nil)
}

func scalar(v float64) []byte { return block("value", 1, v) }

// block lays out one result as metric_eval returns it: kind 1 is a scalar, 3 a value a row.
func block(name string, kind uint32, values ...float64) []byte {
	le := binary.LittleEndian
	b := append([]byte("TMR1"), 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
	valuesAt := 48 + (len(name)+7)/8*8
	for _, w := range []int{int(kind), 3, 48, len(name), valuesAt, 8 * len(values), 0, 0} {
		b = le.AppendUint32(b, uint32(w))
	}
	b = append(b, name...)
	b = append(b, make([]byte, valuesAt-len(b))...)
	for _, v := range values {
		b = le.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// module is what the assembler needs of a metric.
type module struct {
	name                 string
	result               []byte
	resultPtr, resultLen int
	columns              string // of the description; empty: the label
	parameters           string // of the description
	before               []byte // instructions of metric_eval before it returns
}

func assemble(name string, result, before []byte) []byte {
	m := module{name: name, result: result, resultPtr: resultAt, resultLen: len(result), before: before}
	return m.bytes()
}

func (m *module) bytes() []byte {
	const i32, i64 = 0x7f, 0x7e
	if m.columns == "" {
		m.columns = `{"role":"label"}`
	}
	description := []byte(fmt.Sprintf(`{"name":%q,"version":"1","description":"a metric for tests","columns":[%s],`+
		`"outputs":[{"name":"value","kind":"scalar","direction":"higher"},{"name":"rows","kind":"column","direction":"none"}]%s}`, m.name, m.columns, m.parameters))
	functions := []struct {
		name, signature string
		body            []byte
	}{
		{"triality_metric_v1", "\x60\x00\x00", nil},
		{"metric_alloc", string([]byte{0x60, 1, i32, 1, i32}), constant(tableAt)},
		{"metric_describe", string([]byte{0x60, 0, 1, i64}), region(descriptionAt, len(description))},
		{"metric_eval", string([]byte{0x60, 2, i32, i32, 1, i64}), join(m.before, region(m.resultPtr, m.resultLen))},
	}
	var types, declared, exports, bodies [][]byte
	exports = append(exports, join(text("memory"), []byte{2, 0}))
	for i, f := range functions {
		types, declared = append(types, []byte(f.signature)), append(declared, []byte{byte(i)})
		exports = append(exports, join(text(f.name), []byte{0, byte(i)}))
		bodies = append(bodies, sized(join([]byte{0}, f.body, []byte{0x0b})))
	}
	data := func(at int, b []byte) []byte { return join([]byte{0}, constant(at), []byte{0x0b}, sized(b)) }
	return join([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, list(types)), section(3, list(declared)), section(5, []byte{1, 0, pages}), section(7, list(exports)),
		section(10, list(bodies)), section(11, list([][]byte{data(descriptionAt, description), data(resultAt, m.result)})))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func unsigned(v int) []byte { return binary.AppendUvarint(nil, uint64(v)) }

func sized(b []byte) []byte { return append(unsigned(len(b)), b...) }

func text(s string) []byte { return sized([]byte(s)) }

func list(items [][]byte) []byte { return append(unsigned(len(items)), join(items...)...) }

func section(id byte, body []byte) []byte { return join([]byte{id}, sized(body)) }

// constant is i32.const v.
func constant(v int) []byte { return append([]byte{0x41}, signed(int64(v))...) }

// region is i64.const of a pointer and a length, as the interface returns them.
func region(ptr, n int) []byte { return append([]byte{0x42}, signed(int64(ptr)<<32|int64(n))...) }

// signed is the signed LEB128 form.
func signed(v int64) []byte {
	var b []byte
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
