package hfdataset

import (
	"fmt"
	"unicode/utf8"
)

// Batches is a split that is written while it is made, so that it need not be in memory.
type Batches struct {
	Name    string
	Columns []Column // names and kinds; values are not looked at
	// Next gives the next rows as columns of those names and kinds, in their order, and nothing at the end. It is
	// called from one goroutine.
	Next func() ([]Column, error)
}

// WriteBatches is Write of splits that are made meanwhile. An error of Next is returned as it is, and nothing is
// left of the folder.
func WriteBatches(dir string, splits []Batches) error {
	if err := write(dir, splits, shardBytes); err != nil {
		return fmt.Errorf("write dataset %s: %w", dir, err)
	}
	return nil
}

// batches cuts a split that is in memory.
func (s *Split) batches() Batches {
	at := 0
	return Batches{Name: s.Name, Columns: s.Columns, Next: func() ([]Column, error) {
		from := at
		at = min(at+batchRows, s.Rows())
		if from == at {
			return nil, nil
		}
		return slice(s.Columns, from, at), nil
	}}
}

// slice is the rows [from, to) of columns.
func slice(columns []Column, from, to int) []Column {
	out := make([]Column, len(columns))
	for i := range columns {
		c := columns[i]
		cut(&c.Strings, from, to)
		cut(&c.Ints, from, to)
		cut(&c.Floats, from, to)
		cut(&c.Bools, from, to)
		cut(&c.Lists, from, to)
		cut(&c.Valid, from, to)
		out[i] = c
	}
	return out
}

func cut[T any](s *[]T, from, to int) {
	if *s != nil {
		*s = (*s)[from:to]
	}
}

// fits says what keeps a batch from being rows of the split; at is the number of its first row.
func (b *Batches) fits(batch []Column, at int) error {
	if len(batch) != len(b.Columns) {
		return fmt.Errorf("rows from %d have %d columns, want %d", at, len(batch), len(b.Columns))
	}
	for i := range batch {
		c, want := &batch[i], &b.Columns[i]
		switch {
		case c.Name != want.Name || c.Kind != want.Kind:
			return fmt.Errorf("rows from %d have the column %q of %s, want %q of %s", at, c.Name, c.Kind, want.Name, want.Kind)
		case c.Len() != batch[0].Len():
			return fmt.Errorf("column %q has %d rows, column %q has %d", c.Name, c.Len(), batch[0].Name, batch[0].Len())
		case c.Valid != nil && len(c.Valid) != c.Len():
			return fmt.Errorf("column %q has %d rows and says of %d whether they have a value", c.Name, c.Len(), len(c.Valid))
		}
		for row, v := range c.Strings {
			if !utf8.ValidString(v) {
				return fmt.Errorf("column %q, row %d is not UTF-8", c.Name, at+row)
			}
		}
	}
	return nil
}

// rowBytes is about what one row takes in Arrow's layout.
func rowBytes(columns []Column, row int) int64 {
	var n int64
	for i := range columns {
		switch c := &columns[i]; c.Kind {
		case String:
			n += 4 + int64(len(c.Strings[row]))
		case ListInt32:
			n += 4 + 4*int64(len(c.Lists[row]))
		default:
			n += 8
		}
	}
	return n
}
