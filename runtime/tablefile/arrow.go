package tablefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	flatbuffers "github.com/google/flatbuffers/go"
)

var le = binary.LittleEndian

const (
	continuation = 0xffffffff
	maxMessages  = 1 << 20
	maxMeta      = 16 << 20  // bytes of a message's header
	maxBody      = 256 << 20 // bytes of a batch, packed
)

// Kinds of messages in Message.fbs, and where its fields and those of RecordBatch stand in their tables.
const (
	schemaMessage, dictionaryMessage, batchMessage      = 1, 2, 3
	messageKind, messageHeader, messageBody, batchCount = 6, 8, 10, 4
)

// message is where a message of an Arrow stream lies.
type message struct {
	at, size int64 // the whole of it
	rows     int64 // of a batch
	first    int64 // row of the file
}

// arrow reads rows of an Arrow stream that begins at a place, as one does in an Arrow file: first the headers of all its messages,
// then the batches that hold the rows.
func (f file) arrow(ctx context.Context, start int64, ask Ask) (Page, error) {
	page := Page{Format: "Arrow", Rows: [][]*string{}}
	var before, batches []message // what any batch needs, and those that are wanted
	marked, err := f.walk(ctx, start, func(m message, kind byte) {
		switch kind {
		case batchMessage:
			m.first = page.Total
			page.Total += m.rows
			if m.first < ask.Offset+int64(ask.Limit) && page.Total > ask.Offset {
				batches = append(batches, m)
			}
		default:
			before = append(before, m)
		}
	})
	if err != nil {
		return page, err
	}
	if !marked && start > 0 { // a stream may go without the mark
		return page, fmt.Errorf("it is cut after %d rows: the mark that ends them is missing", page.Total)
	}
	if len(before) == 0 {
		return page, errors.New("it has no schema")
	}
	var parts []io.Reader
	for _, m := range append(before, batches...) {
		if m.size > maxBody {
			return page, fmt.Errorf("a part of it takes %d bytes, at most %d are read", m.size, maxBody)
		}
		parts = append(parts, io.NewSectionReader(f, m.at, m.size))
	}
	r, err := ipc.NewReader(io.MultiReader(append(parts, endOfStream())...))
	if err != nil {
		return page, err
	}
	defer r.Release()
	fields := r.Schema().Fields()
	page.shape(len(fields), func(i int) Column { return Column{fields[i].Name, fields[i].Type.String()} })
	taken := 0
	for _, m := range batches {
		if !r.Next() {
			return page, errors.Join(short(page.Total, m.first), r.Err())
		}
		batch := r.RecordBatch()
		if batch.NumRows() != m.rows {
			return page, fmt.Errorf("a batch says that it has %d rows, and has %d", m.rows, batch.NumRows())
		}
		for i := max(0, ask.Offset-m.first); i < min(m.rows, ask.Offset+int64(ask.Limit)-m.first); i++ {
			page.Rows = append(page.Rows, make([]*string, len(page.Columns)))
			for j := range page.Columns {
				var v any
				if c := batch.Column(j); !c.IsNull(int(i)) {
					v = c.ValueStr(int(i))
				}
				if err := page.set(len(page.Rows)-1, j, v, &taken); err != nil {
					return page, err
				}
			}
		}
	}
	return page, nil
}

// walk reads the headers of messages; marked says that the mark which ends them is there.
func (f file) walk(ctx context.Context, at int64, each func(message, byte)) (marked bool, err error) {
	var head [8]byte
	for n := 0; at < f.size; n++ {
		if at+8 > f.size {
			return false, fmt.Errorf("it is cut at byte %d", f.size)
		}
		if n == maxMessages {
			return false, fmt.Errorf("it has more than %d parts", maxMessages)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if _, err := f.ReadAt(head[:], at); err != nil {
			return false, err
		}
		if le.Uint32(head[:]) != continuation {
			return false, fmt.Errorf("at byte %d it does not go on as an Arrow stream does", at)
		}
		size := int64(le.Uint32(head[4:]))
		if size == 0 {
			return true, nil
		}
		if size > maxMeta || size < 8 || at+8+size > f.size {
			return false, fmt.Errorf("at byte %d it says that a header has %d bytes", at, size)
		}
		meta := make([]byte, size)
		if _, err := f.ReadAt(meta, at+8); err != nil {
			return false, err
		}
		kind, rows, body := header(meta)
		if body < 0 || rows < 0 || body > f.size-(at+8+size) {
			return false, fmt.Errorf("at byte %d it says that a part has %d rows in %d bytes, and ends before", at, rows, body)
		}
		if kind == schemaMessage || kind == dictionaryMessage || kind == batchMessage {
			each(message{at: at, size: 8 + size + body, rows: rows}, kind)
		}
		at += 8 + size + body
	}
	return false, nil
}

// header reads a message's kind, its rows where it is a batch, and the bytes that follow it. Offsets that lead out of it panic.
func header(meta []byte) (kind byte, rows, body int64) {
	t := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
	at := func(t flatbuffers.Table, slot flatbuffers.VOffsetT) (flatbuffers.UOffsetT, bool) {
		o := t.Offset(slot)
		return t.Pos + flatbuffers.UOffsetT(o), o != 0
	}
	if o, ok := at(t, messageKind); ok {
		kind = t.GetByte(o)
	}
	if o, ok := at(t, messageBody); ok {
		body = t.GetInt64(o)
	}
	if o := t.Offset(messageHeader); kind == batchMessage && o != 0 {
		batch := flatbuffers.Table{Bytes: meta}
		t.Union(&batch, flatbuffers.UOffsetT(o))
		if o, ok := at(batch, batchCount); ok {
			rows = batch.GetInt64(o)
		}
	}
	return kind, rows, body
}

// endOfStream is the mark that ends a stream.
func endOfStream() io.Reader {
	var mark [8]byte
	le.PutUint32(mark[:], continuation)
	return bytes.NewReader(mark[:])
}
