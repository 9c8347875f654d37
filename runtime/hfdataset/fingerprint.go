package hfdataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
)

// prints makes a split's fingerprint while its rows pass.
type prints struct {
	columns []hash.Hash
	buffer  []byte
}

func newPrints(columns int) *prints {
	p := &prints{columns: make([]hash.Hash, columns)}
	for i := range p.columns {
		p.columns[i] = sha256.New()
	}
	return p
}

// add takes the next rows.
func (p *prints) add(batch []Column) {
	for i := range batch {
		c, b := &batch[i], p.buffer[:0]
		for row := range c.Len() {
			if c.Valid != nil && !c.Valid[row] {
				b = append(b, 0)
				continue
			}
			b = append(b, 1)
			switch c.Kind {
			case String:
				b = binary.LittleEndian.AppendUint64(b, uint64(len(c.Strings[row])))
				b = append(b, c.Strings[row]...)
			case Int64:
				b = binary.LittleEndian.AppendUint64(b, uint64(c.Ints[row]))
			case Float64:
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(c.Floats[row]))
			case Bool:
				if c.Bools[row] {
					b[len(b)-1] = 2
				}
			case ListInt32:
				b = binary.LittleEndian.AppendUint64(b, uint64(len(c.Lists[row])))
				for _, x := range c.Lists[row] {
					b = binary.LittleEndian.AppendUint32(b, uint32(x))
				}
			}
		}
		p.columns[i].Write(b)
		p.buffer = b
	}
}

// sum is 16 hexadecimal digits that depend on the split's name, columns and values alone, and not on how the rows
// were cut into batches.
func (p *prints) sum(name string, columns []Column, rows int) string {
	h := sha256.New()
	number := func(n int) { h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	text := func(v string) {
		number(len(v))
		h.Write([]byte(v))
	}
	text(name)
	number(len(columns))
	number(rows)
	for i := range columns {
		text(columns[i].Name)
		number(int(columns[i].Kind))
		h.Write(p.columns[i].Sum(nil))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
