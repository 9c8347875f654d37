package tablefile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// level is how deep a node lies: in nodes that may be missing or repeated, and in those that are repeated.
type level struct{ defined, repeated int }

// assemble puts a node's value of one row together from the values of its leaves ("Dremel", section 4): nil, a text, a number, a bool, a
// list or an object.
func assemble(n parquet.Node, at level, columns [][]parquet.Value) any {
	if len(columns) == 0 {
		return nil
	}
	switch {
	case n.Optional():
		at.defined++
		if columns[0][0].DefinitionLevel() < at.defined {
			return nil
		}
	case n.Repeated():
		at.defined++
		at.repeated++
		list := []any{}
		if columns[0][0].DefinitionLevel() < at.defined {
			return list
		}
		for _, part := range split(columns, at.repeated) {
			list = append(list, present(n, at, part))
		}
		return list
	}
	return present(n, at, columns)
}

// present is the value of a node that is there.
func present(n parquet.Node, at level, columns [][]parquet.Value) any {
	if n.Leaf() {
		return leaf(n.Type(), columns[0][0])
	}
	fields := n.Fields()
	if elem, ok := element(n); ok {
		list, _ := assemble(fields[0], at, columns).([]any)
		if elem != parquet.Node(fields[0]) { // each element in a group of its own
			for i, item := range list {
				list[i] = item.(object)[0].value
			}
		}
		return list
	}
	if isMap(n) {
		out := object{}
		pairs, _ := assemble(fields[0], at, columns).([]any)
		for _, p := range pairs {
			kv := p.(object)
			out = append(out, member{*text(kv[0].value), kv[1].value})
		}
		return out
	}
	out := object{}
	for _, f := range fields {
		k := leaves(f)
		out = append(out, member{f.Name(), assemble(f, at, columns[:k])})
		columns = columns[k:]
	}
	return out
}

// split cuts columns where the elements of a list begin.
func split(columns [][]parquet.Value, repeated int) (out [][][]parquet.Value) {
	for j, c := range columns {
		i := -1
		for from := 0; from < len(c); {
			to := from + 1
			for to < len(c) && c[to].RepetitionLevel() > repeated {
				to++
			}
			if i++; j == 0 {
				out = append(out, make([][]parquet.Value, len(columns)))
			}
			out[i][j] = c[from:to]
			from = to
		}
	}
	return out
}

// element is the node of a list's elements: that within its repeated group, or, as older writers have it, the repeated node itself.
func element(n parquet.Node) (parquet.Node, bool) {
	if n.Leaf() || logical(n.Type()) == nil || len(n.Fields()) != 1 || !n.Fields()[0].Repeated() {
		return nil, false
	}
	if _, ok := logical(n.Type()).(*format.ListType); !ok {
		return nil, false
	}
	group := n.Fields()[0]
	if !group.Leaf() && len(group.Fields()) == 1 {
		return group.Fields()[0], true
	}
	return group, true
}

func isMap(n parquet.Node) bool {
	if n.Leaf() || len(n.Fields()) != 1 || !n.Fields()[0].Repeated() || n.Fields()[0].Leaf() || len(n.Fields()[0].Fields()) != 2 {
		return false
	}
	_, ok := logical(n.Type()).(*format.MapType)
	return ok
}

func logical(t parquet.Type) format.LogicalTypeValue {
	if l := t.LogicalType(); l != nil {
		return l.Value
	}
	return nil
}

// leaf is a single value, by its type.
func leaf(t parquet.Type, v parquet.Value) any {
	if v.IsNull() {
		return nil
	}
	kind := logical(t)
	switch l := kind.(type) {
	case *format.DecimalType:
		return decimal(v, int(l.Scale))
	case *format.DateType:
		return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)
	case *format.TimestampType:
		unit := time.Nanosecond
		switch l.Unit.Value.(type) {
		case *format.MilliSeconds:
			unit = time.Millisecond
		case *format.MicroSeconds:
			unit = time.Microsecond
		}
		per := int64(time.Second / unit)
		s := v.Int64() / per
		return time.Unix(s, (v.Int64()-s*per)*int64(unit)).UTC().Format(time.RFC3339Nano)
	case *format.UUIDType:
		if id, err := uuid.FromBytes(v.ByteArray()); err == nil {
			return id.String()
		}
	case *format.IntType:
		if !l.IsSigned && v.Kind() == parquet.Int64 {
			return uint64(v.Int64())
		}
		if !l.IsSigned && v.Kind() == parquet.Int32 {
			return uint32(v.Int32())
		}
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		return v.Int32()
	case parquet.Int64:
		return v.Int64()
	case parquet.Float:
		return real(float64(v.Float()), v.Float())
	case parquet.Double:
		return real(v.Double(), v.Double())
	case parquet.Int96: // a time, as older writers have it: nanoseconds of a Julian day
		i := v.Int96()
		day := int64(i[2]) - 2440588
		return time.Unix(day*86400, int64(uint64(i[0])|uint64(i[1])<<32)).UTC().Format(time.RFC3339Nano)
	}
	b := v.ByteArray()
	// Many writers leave out that bytes are a text.
	if utf8.Valid(b) && (kind != nil || readable(b)) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// real is a number as JSON has it, or where it has none, its name.
func real(wide float64, v any) any {
	if math.IsNaN(wide) || math.IsInf(wide, 0) {
		return fmt.Sprint(wide)
	}
	return v
}

func readable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return true
}

// decimal writes an unscaled integer, big-endian two's complement where it is bytes, with a point.
func decimal(v parquet.Value, scale int) any {
	n := new(big.Int)
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		b := v.ByteArray()
		if n.SetBytes(b); len(b) > 0 && b[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	if scale <= 0 || scale > 1000 || n.BitLen() > 4096 {
		return json.Number(n.String())
	}
	digits := new(big.Int).Abs(n).String()
	for len(digits) <= scale {
		digits = "0" + digits
	}
	out := digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	if n.Sign() < 0 {
		out = "-" + out
	}
	return json.Number(out)
}

// object is a group with its members in the file's order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := marshal(m.value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}
