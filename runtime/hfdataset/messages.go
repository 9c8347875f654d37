package hfdataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// messages reads the messages of an Arrow IPC stream (Arrow Columnar Format,
// "Encapsulated message format"). arrow-go's own reader allocates by counts that
// it does not check and takes a file cut between two batches for a whole one;
// this one holds every count to the bytes that are there.
type messages struct {
	r    io.Reader
	left int64 // bytes not read yet
}

// Retain and Release count references, of which messages needs none.
func (m *messages) Retain()  {}
func (m *messages) Release() {}

const (
	continuation = 0xffffffff
	// Message.header's types in the format's Message.fbs.
	schemaHeader      = 1
	recordBatchHeader = 3
)

// Vtable offsets of the fields used, from Message.fbs and Schema.fbs.
const (
	messageHeaderType, messageHeader, messageBody = 6, 8, 10
	messageMetadata                               = 12
	schemaFields, schemaMetadata                  = 6, 8
	fieldChildren, fieldMetadata                  = 14, 16
	batchBuffers, batchCompression, batchVariadic = 8, 10, 12
)

// Message returns the next message, io.EOF at the mark that ends the stream.
func (m *messages) Message() (*ipc.Message, error) {
	var head [8]byte
	if err := m.fill(head[:]); err != nil {
		return nil, fmt.Errorf("the mark that ends the stream is missing: %w", err)
	}
	if binary.LittleEndian.Uint32(head[:]) != continuation {
		return nil, errors.New("a message does not begin with the continuation mark")
	}
	n := binary.LittleEndian.Uint32(head[4:])
	if n == 0 {
		return nil, io.EOF
	}
	if int64(n) > m.left || n < 8 {
		return nil, fmt.Errorf("a message's metadata takes %d bytes, %d are left", n, m.left)
	}
	meta := make([]byte, n)
	if err := m.fill(meta); err != nil {
		return nil, err
	}
	bodyLen, err := checkMessage(meta)
	if err != nil {
		return nil, err
	}
	if bodyLen < 0 || bodyLen > m.left {
		return nil, fmt.Errorf("a message's body takes %d bytes, %d are left", bodyLen, m.left)
	}
	body := make([]byte, bodyLen)
	if err := m.fill(body); err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

func (m *messages) fill(b []byte) error {
	n, err := io.ReadFull(m.r, b)
	m.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// checkMessage returns the length of a message's body. Offsets outside meta
// panic, which decode turns into an error.
func checkMessage(meta []byte) (bodyLen int64, err error) {
	msg := root(meta)
	kind := byte(0)
	if o := msg.Offset(messageHeaderType); o != 0 {
		kind = msg.GetByte(msg.Pos + flatbuffers.UOffsetT(o))
	}
	o := msg.Offset(messageHeader)
	if o == 0 {
		return 0, errors.New("a message has no header")
	}
	header := flatbuffers.Table{Bytes: meta}
	msg.Union(&header, flatbuffers.UOffsetT(o))
	// Each element takes at least four bytes, so more cannot be there.
	budget := len(meta) / 4
	if _, _, err := count(msg, messageMetadata, &budget); err != nil {
		return 0, err
	}
	switch kind {
	case schemaHeader:
		err = checkFields(header, schemaFields, schemaMetadata, &budget)
	case recordBatchHeader:
		if header.Offset(batchCompression) != 0 {
			err = errors.New("compressed batches are not read")
		} else {
			err = checkVariadic(header)
		}
	default:
		err = fmt.Errorf("messages of type %d are not read", kind)
	}
	if o := msg.Offset(messageBody); o != 0 {
		bodyLen = msg.GetInt64(msg.Pos + flatbuffers.UOffsetT(o))
	}
	return bodyLen, err
}

// checkVariadic holds the counts of buffers that columns of views have to the buffers of the batch.
func checkVariadic(batch flatbuffers.Table) error {
	left := int64(0)
	if o := flatbuffers.UOffsetT(batch.Offset(batchBuffers)); o != 0 {
		left = int64(batch.VectorLen(o))
	}
	budget := len(batch.Bytes) / 8
	n, at, err := count(batch, batchVariadic, &budget)
	for i := range n {
		v := batch.GetInt64(at + flatbuffers.UOffsetT(8*i))
		if left -= v; v < 0 || left < 0 {
			return errors.New("a batch counts more buffers than it has")
		}
	}
	return err
}

func root(b []byte) flatbuffers.Table {
	return flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
}

// count takes the length of the vector in a slot from the budget, and gives it with where the vector
// begins.
func count(t flatbuffers.Table, slot flatbuffers.VOffsetT, budget *int) (n int, at flatbuffers.UOffsetT, err error) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return 0, 0, nil
	}
	n = t.VectorLen(o)
	if *budget -= n; n < 0 || *budget < 0 {
		return 0, 0, errors.New("a message counts more fields than it holds")
	}
	return n, t.Vector(o), nil
}

// checkFields holds the number of fields and metadata below t to the budget.
func checkFields(t flatbuffers.Table, children, metadata flatbuffers.VOffsetT, budget *int) error {
	if _, _, err := count(t, metadata, budget); err != nil {
		return err
	}
	n, at, err := count(t, children, budget)
	if err != nil {
		return err
	}
	for i := range n {
		child := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(4*i))}
		if err := checkFields(child, fieldChildren, fieldMetadata, budget); err != nil {
			return err
		}
	}
	return nil
}
