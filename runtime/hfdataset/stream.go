package hfdataset

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"triality/runtime/atomicfile"
)

// batchRows is the number of rows in a record batch, the reference's default.
const batchRows = 1000

// rest is the rows of a split that are not written yet.
type rest struct {
	*Batches
	prints *prints
	batch  []Column // taken and not written
	rows   int      // taken
}

// take gives the next rows, as many as fit into room and at least one; none at the end of the split.
func (r *rest) take(room int64) ([]Column, error) {
	if len(r.batch) == 0 {
		if err := r.more(); err != nil || len(r.batch) == 0 {
			return nil, err
		}
	}
	n := 1
	for room -= rowBytes(r.batch, 0); n < min(batchRows, r.batch[0].Len()); n++ {
		if room -= rowBytes(r.batch, n); room < 0 {
			break
		}
	}
	out := slice(r.batch, 0, n)
	if n == r.batch[0].Len() {
		return out, r.more()
	}
	r.batch = slice(r.batch, n, r.batch[0].Len())
	return out, nil
}

// more gets the next batch that has rows, so that the end is known before another file is begun.
func (r *rest) more() error {
	for {
		batch, err := r.Next()
		if r.batch = nil; err != nil || len(batch) == 0 {
			return err
		}
		if err := r.fits(batch, r.rows); err != nil {
			return err
		}
		if n := batch[0].Len(); n > 0 {
			r.prints.add(batch)
			r.batch, r.rows = batch, r.rows+n
			return nil
		}
	}
}

// writeStream writes the next rows of a split, about shardBytes of them, as an Arrow IPC stream.
func writeStream(path string, r *rest, shardBytes int64, feats json.RawMessage) error {
	hf, err := json.Marshal(map[string]any{"info": map[string]any{"features": feats}})
	if err != nil {
		return err
	}
	meta := arrow.NewMetadata([]string{schemaKey}, []string{string(hf)})
	fields := make([]arrow.Field, len(r.Columns))
	for i, c := range r.Columns {
		fields[i] = arrow.Field{Name: c.Name, Type: arrowType(c.Kind), Nullable: true}
	}
	schema := arrow.NewSchema(fields, &meta)
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<20)
		sw := ipc.NewWriter(bw, ipc.WithSchema(schema))
		for left := shardBytes; left > 0; {
			columns, err := r.take(left)
			if err != nil {
				return err
			}
			if len(columns) == 0 {
				break
			}
			for row := range columns[0].Len() {
				left -= rowBytes(columns, row)
			}
			rec, err := record(schema, columns)
			if err != nil {
				return err
			}
			err = sw.Write(rec)
			rec.Release()
			if err != nil {
				return err
			}
		}
		if err := sw.Close(); err != nil {
			return err
		}
		return bw.Flush()
	})
}

func arrowType(k Kind) arrow.DataType {
	switch k {
	case String:
		return arrow.BinaryTypes.String
	case Int64:
		return arrow.PrimitiveTypes.Int64
	case Float64:
		return arrow.PrimitiveTypes.Float64
	case Bool:
		return arrow.FixedWidthTypes.Boolean
	}
	return arrow.ListOf(arrow.PrimitiveTypes.Int32)
}

// record makes columns a record batch. Arrow's offsets are 32-bit, which bounds what one column may hold
// in it.
func record(schema *arrow.Schema, columns []Column) (arrow.RecordBatch, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Reserve(columns[0].Len())
	for i := range columns {
		c := &columns[i]
		var total int64
		switch fb := b.Field(i).(type) {
		case *array.StringBuilder:
			for _, v := range c.Strings {
				if total += int64(len(v)); total > math.MaxInt32 {
					return nil, fmt.Errorf("column %q: %d rows hold more than 2 GiB", c.Name, c.Len())
				}
			}
			fb.AppendValues(c.Strings, c.Valid)
		case *array.Int64Builder:
			fb.AppendValues(c.Ints, c.Valid)
		case *array.Float64Builder:
			fb.AppendValues(c.Floats, c.Valid)
		case *array.BooleanBuilder:
			fb.AppendValues(c.Bools, c.Valid)
		case *array.ListBuilder:
			values := fb.ValueBuilder().(*array.Int32Builder)
			for _, v := range c.Lists {
				if total += int64(len(v)); total > math.MaxInt32/4 {
					return nil, fmt.Errorf("column %q: %d rows hold more than 2 GiB", c.Name, c.Len())
				}
				fb.Append(true)
				values.AppendValues(v, nil)
			}
		}
	}
	return b.NewRecordBatch(), nil
}
