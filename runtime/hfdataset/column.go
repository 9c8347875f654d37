// Package hfdataset writes and reads the folder that Hugging Face's
// DatasetDict.save_to_disk makes: dataset_dict.json, and for each split
// state.json, dataset_info.json and Arrow IPC streams (huggingface/datasets,
// arrow_dataset.py, Dataset.save_to_disk).
package hfdataset

import (
	"fmt"
	"regexp"
	"unicode/utf8"
)

// Kind is the type of a column's values.
type Kind uint8

// The kinds of column.
const (
	String    Kind = iota // Column.Strings
	Int64                 // Column.Ints
	ListInt32             // Column.Lists, such as token ids
	Float64               // Column.Floats
	Bool                  // Column.Bools
)

func (k Kind) String() string {
	switch k {
	case String:
		return "string"
	case Int64:
		return "int64"
	case ListInt32:
		return "list<int32>"
	case Float64:
		return "float64"
	case Bool:
		return "bool"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Column is one named column; the field that Kind names holds a value for each
// row, the others are nil.
type Column struct {
	Name    string
	Kind    Kind
	Strings []string
	Ints    []int64
	Lists   [][]int32
	Floats  []float64
	Bools   []bool
	// Valid says which rows have a value, where not all have; nil: all. Lists always have one.
	Valid []bool
}

// Strings makes a column of text.
func Strings(name string, v []string) Column { return Column{Name: name, Kind: String, Strings: v} }

// Ints makes a column of integers.
func Ints(name string, v []int64) Column { return Column{Name: name, Kind: Int64, Ints: v} }

// Floats makes a column of numbers.
func Floats(name string, v []float64) Column { return Column{Name: name, Kind: Float64, Floats: v} }

// Bools makes a column of truth values.
func Bools(name string, v []bool) Column { return Column{Name: name, Kind: Bool, Bools: v} }

// Lists makes a column of integer lists.
func Lists(name string, v [][]int32) Column { return Column{Name: name, Kind: ListInt32, Lists: v} }

// Len is the number of rows.
func (c *Column) Len() int {
	switch c.Kind {
	case String:
		return len(c.Strings)
	case Int64:
		return len(c.Ints)
	case Float64:
		return len(c.Floats)
	case Bool:
		return len(c.Bools)
	}
	return len(c.Lists)
}

// Split is one part of a dataset, such as train; its columns have equal lengths.
type Split struct {
	Name    string
	Columns []Column
}

// Rows is the number of rows.
func (s *Split) Rows() int {
	if len(s.Columns) == 0 {
		return 0
	}
	return s.Columns[0].Len()
}

// Column returns the column of that name, nil where there is none.
func (s *Split) Column(name string) *Column {
	for i := range s.Columns {
		if s.Columns[i].Name == name {
			return &s.Columns[i]
		}
	}
	return nil
}

// splitName is what the reference accepts as a split's name, in ASCII since it
// names a folder too.
var splitName = regexp.MustCompile(`^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$`)

// check reports what keeps splits from being written.
func check(splits []Split) error {
	for i := range splits {
		s := &splits[i]
		b := s.batches()
		if err := b.fits(s.Columns, 0); err != nil {
			return fmt.Errorf("split %q: %w", s.Name, err)
		}
	}
	return nil
}

// checkNames reports what is wrong with the names and kinds of splits and columns.
func checkNames(splits []Batches) error {
	if len(splits) == 0 {
		return fmt.Errorf("there are no splits")
	}
	names := map[string]bool{}
	for _, s := range splits {
		if !splitName.MatchString(s.Name) {
			return fmt.Errorf("split %q: a name is letters, digits, _ and single dots", s.Name)
		}
		if names[s.Name] {
			return fmt.Errorf("split %q is given twice", s.Name)
		}
		names[s.Name] = true
		if err := checkColumns(s.Columns); err != nil {
			return fmt.Errorf("split %q: %w", s.Name, err)
		}
	}
	return nil
}

func checkColumns(columns []Column) error {
	if len(columns) == 0 {
		return fmt.Errorf("there are no columns")
	}
	names := map[string]bool{}
	for i := range columns {
		c := &columns[i]
		switch {
		case c.Name == "" || !utf8.ValidString(c.Name):
			return fmt.Errorf("column %q: the name is empty or not UTF-8", c.Name)
		case names[c.Name]:
			return fmt.Errorf("column %q is given twice", c.Name)
		case c.Kind > Bool:
			return fmt.Errorf("column %q: unknown %s", c.Name, c.Kind)
		case c.Kind == ListInt32 && c.Valid != nil:
			return fmt.Errorf("column %q: lists cannot be without a value", c.Name)
		}
		names[c.Name] = true
	}
	return nil
}
