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

// writeStream writes rows [from, to) of s as an Arrow IPC stream.
func writeStream(path string, s *Split, from, to int, feats json.RawMessage) error {
	hf, err := json.Marshal(map[string]any{"info": map[string]any{"features": feats}})
	if err != nil {
		return err
	}
	meta := arrow.NewMetadata([]string{schemaKey}, []string{string(hf)})
	fields := make([]arrow.Field, len(s.Columns))
	for i, c := range s.Columns {
		fields[i] = arrow.Field{Name: c.Name, Type: arrowType(c.Kind), Nullable: true}
	}
	schema := arrow.NewSchema(fields, &meta)
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<20)
		sw := ipc.NewWriter(bw, ipc.WithSchema(schema))
		for at := from; at < to; at += batchRows {
			rec, err := batch(schema, s, at, min(at+batchRows, to))
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
	}
	return arrow.ListOf(arrow.PrimitiveTypes.Int32)
}

// batch builds rows [from, to). Arrow's offsets are 32-bit, which bounds what one
// column may hold in a batch.
func batch(schema *arrow.Schema, s *Split, from, to int) (arrow.RecordBatch, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Reserve(to - from)
	for i := range s.Columns {
		c := &s.Columns[i]
		var total int64
		switch fb := b.Field(i).(type) {
		case *array.StringBuilder:
			for _, v := range c.Strings[from:to] {
				if total += int64(len(v)); total > math.MaxInt32 {
					return nil, fmt.Errorf("column %q: rows %d to %d hold more than 2 GiB", c.Name, from, to)
				}
				fb.Append(v)
			}
		case *array.Int64Builder:
			fb.AppendValues(c.Ints[from:to], nil)
		case *array.ListBuilder:
			values := fb.ValueBuilder().(*array.Int32Builder)
			for _, v := range c.Lists[from:to] {
				if total += int64(len(v)); total > math.MaxInt32/4 {
					return nil, fmt.Errorf("column %q: rows %d to %d hold more than 2 GiB", c.Name, from, to)
				}
				fb.Append(true)
				values.AppendValues(v, nil)
			}
		}
	}
	return b.NewRecordBatch(), nil
}
