package hfdataset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"triality/runtime/disk"
)

// ErrStream marks a data file that is no whole Arrow IPC stream.
var ErrStream = errors.New("not a whole arrow stream")

// readStream reads the columns named, or all, from one Arrow IPC stream file.
func readStream(path string, columns []string) ([]Column, error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return decode(bufio.NewReaderSize(f, 1<<20), st.Size(), columns)
}

// decode is readStream over a reader of size bytes.
func decode(r io.Reader, size int64, columns []string) (cols []Column, err error) {
	// arrow-go panics on some corrupt buffers that it does not check.
	defer func() {
		if p := recover(); p != nil {
			cols, err = nil, fmt.Errorf("%w: %v", ErrStream, p)
		}
	}()
	sr, err := ipc.NewReaderFromMessageReader(&messages{r: r, left: size})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStream, err)
	}
	defer sr.Release()
	cols, at, err := pick(sr.Schema(), columns)
	if err != nil {
		return nil, err
	}
	row := 0
	for sr.Next() {
		rec := sr.RecordBatch()
		for i := range cols {
			if err := cols[i].appendArray(rec.Column(at[i]), row); err != nil {
				return nil, fmt.Errorf("column %q, %w", cols[i].Name, err)
			}
		}
		row += int(rec.NumRows())
	}
	if err := sr.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStream, err)
	}
	return cols, nil
}

// pick returns the empty columns to fill and their places in the schema.
func pick(schema *arrow.Schema, columns []string) (cols []Column, at []int, err error) {
	if len(columns) == 0 {
		for _, f := range schema.Fields() {
			columns = append(columns, f.Name)
		}
	}
	for _, name := range columns {
		found := schema.FieldIndices(name)
		if len(found) != 1 {
			return nil, nil, fmt.Errorf("there are %d columns %q, want one", len(found), name)
		}
		typ := schema.Field(found[0]).Type
		kind, ok := kindOf(typ)
		if !ok {
			return nil, nil, fmt.Errorf("column %q has type %s, which is not read", name, typ)
		}
		cols, at = append(cols, Column{Name: name, Kind: kind}), append(at, found[0])
	}
	return cols, at, nil
}

func kindOf(t arrow.DataType) (Kind, bool) {
	switch t := t.(type) {
	case *arrow.StringType, *arrow.LargeStringType:
		return String, true
	case *arrow.ListType:
		return ListInt32, arrow.IsInteger(t.Elem().ID())
	case *arrow.LargeListType:
		return ListInt32, arrow.IsInteger(t.Elem().ID())
	case *arrow.Float32Type, *arrow.Float64Type:
		return Float64, true
	case *arrow.BooleanType:
		return Bool, true
	}
	return Int64, arrow.IsInteger(t.ID())
}

// appendArray appends the rows of a; row is the number of its first, for errors.
func (c *Column) appendArray(a arrow.Array, row int) error {
	if v, ok := a.(interface{ ValidateFull() error }); ok {
		if err := v.ValidateFull(); err != nil {
			return fmt.Errorf("rows from %d: %w: %w", row, ErrStream, err)
		}
	}
	if err := c.appendValid(a, row); err != nil {
		return err
	}
	switch c.Kind {
	case String:
		values := a.(interface{ Value(int) string })
		for i := range a.Len() {
			// Cloned: the batch's memory would be kept alive whole.
			c.Strings = append(c.Strings, strings.Clone(values.Value(i)))
		}
	case Int64:
		value := integers(a)
		for i := range a.Len() {
			v, ok := value(i)
			if !ok && !a.IsNull(i) {
				return fmt.Errorf("row %d does not fit int64", row+i)
			}
			c.Ints = append(c.Ints, v)
		}
	case Float64:
		switch a := a.(type) {
		case *array.Float64:
			c.Floats = append(c.Floats, a.Float64Values()...)
		case *array.Float32:
			for _, v := range a.Float32Values() {
				c.Floats = append(c.Floats, float64(v))
			}
		}
	case Bool:
		for i := range a.Len() {
			c.Bools = append(c.Bools, a.(*array.Boolean).Value(i))
		}
	case ListInt32:
		return c.appendLists(a.(array.ListLike), row)
	}
	return nil
}

// appendValid notes which rows have a value; those that have not get their kind's zero.
func (c *Column) appendValid(a arrow.Array, row int) error {
	if a.NullN() == 0 && c.Valid == nil {
		return nil
	}
	for len(c.Valid) < row { // the batches before had every value
		c.Valid = append(c.Valid, true)
	}
	for i := range a.Len() {
		if a.IsNull(i) && c.Kind == ListInt32 {
			return fmt.Errorf("row %d is null", row+i)
		}
		c.Valid = append(c.Valid, !a.IsNull(i))
	}
	return nil
}

func (c *Column) appendLists(a array.ListLike, row int) error {
	inner := a.ListValues()
	value := integers(inner)
	for i := range a.Len() {
		from, to := a.ValueOffsets(i)
		list := make([]int32, 0, to-from)
		for j := from; j < to; j++ {
			v, ok := value(int(j))
			if inner.IsNull(int(j)) || !ok || v < math.MinInt32 || v > math.MaxInt32 {
				return fmt.Errorf("row %d: value %d is null or does not fit int32", row+i, j-from)
			}
			list = append(list, int32(v))
		}
		c.Lists = append(c.Lists, list)
	}
	return nil
}

// integers reads the values of an array of any integer type; ok is false where
// one does not fit int64.
func integers(a arrow.Array) func(i int) (v int64, ok bool) {
	switch a := a.(type) {
	case *array.Int8:
		return func(i int) (int64, bool) { return int64(a.Value(i)), true }
	case *array.Int16:
		return func(i int) (int64, bool) { return int64(a.Value(i)), true }
	case *array.Int32:
		return func(i int) (int64, bool) { return int64(a.Value(i)), true }
	case *array.Int64:
		return func(i int) (int64, bool) { return a.Value(i), true }
	case *array.Uint8:
		return func(i int) (int64, bool) { return int64(a.Value(i)), true }
	case *array.Uint16:
		return func(i int) (int64, bool) { return int64(a.Value(i)), true }
	case *array.Uint32:
		return func(i int) (int64, bool) { return int64(a.Value(i)), true }
	case *array.Uint64:
		return func(i int) (int64, bool) { v := a.Value(i); return int64(v), v <= math.MaxInt64 }
	}
	return func(int) (int64, bool) { return 0, false }
}
