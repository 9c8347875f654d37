package metric

import (
	"encoding/binary"
	"math"
)

const resultMagic = 0x31524D54

// Kinds of results.
const (
	scalar, vector, column = 1, 2, 3
)

// Results collects what a metric returns. A value that is NaN or infinite is
// sent as undefined, which is how a rate over no rows is said.
type Results struct {
	kinds  []uint32
	names  []string
	values [][]float64
}

// Scalar adds one value.
func (r *Results) Scalar(name string, v float64) { r.add(scalar, name, []float64{v}) }

// Vector adds any number of values.
func (r *Results) Vector(name string, v []float64) { r.add(vector, name, v) }

// Column adds one value a row of the table.
func (r *Results) Column(name string, v []float64) { r.add(column, name, v) }

func (r *Results) add(kind uint32, name string, v []float64) {
	r.kinds, r.names, r.values = append(r.kinds, kind), append(r.names, name), append(r.values, v)
}

// Block returns the results as the host reads them.
func (r *Results) Block() []byte {
	le := binary.LittleEndian
	b := header(0, len(r.names))
	b = append(b, make([]byte, 32*len(r.names))...)
	for i, name := range r.names {
		rec := 16 + 32*i
		le.PutUint32(b[rec:], r.kinds[i])
		le.PutUint32(b[rec+4:], f64)
		le.PutUint32(b[rec+8:], uint32(len(b)))
		le.PutUint32(b[rec+12:], uint32(len(name)))
		b = append(b, name...)
		valid, all := make([]byte, (len(r.values[i])+7)/8), true
		le.PutUint32(b[rec+16:], uint32(len(b)))
		le.PutUint32(b[rec+20:], uint32(8*len(r.values[i])))
		for j, v := range r.values[i] {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				v, all = 0, false
			} else {
				valid[j/8] |= 1 << (j % 8)
			}
			b = le.AppendUint64(b, math.Float64bits(v))
		}
		if !all {
			le.PutUint32(b[rec+24:], uint32(len(b)))
			b = append(b, valid...)
		}
	}
	return b
}

// errorBlock returns an error text as the host reads it.
func errorBlock(text string) []byte { return append(header(1, len(text)), text...) }

func header(status uint32, n int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, resultMagic)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, status)
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}
