package hfdataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// Read reads every split of the dataset at dir. With columns only those are
// read, in that order, and each split must have them; otherwise all are, and
// each must be of a type that fits a Kind: string or large_string; any integer
// type (as int64); float32 or float64; bool; a list or large_list of integers (as int32). A value
// that does not fit, or is null in or for a list, is an error that names the file, the column and the row.
func Read(dir string, columns ...string) ([]Split, error) {
	var d dict
	path := filepath.Join(dir, dictName)
	if err := readJSON(dir, dictName, &d); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read dataset: %s is not a dataset folder: %w", dir, err)
		}
		return nil, fmt.Errorf("read dataset: %w", err)
	}
	if len(d.Splits) == 0 {
		return nil, fmt.Errorf("read dataset: %s: splits is missing or empty", path)
	}
	splits := make([]Split, 0, len(d.Splits))
	for _, name := range d.Splits {
		if !splitName.MatchString(name) {
			return nil, fmt.Errorf("read dataset: %s: split %q: a name is letters, digits, _ and single dots", path, name)
		}
		s, err := readSplit(filepath.Join(dir, name), name, columns)
		if err != nil {
			return nil, fmt.Errorf("read dataset: split %q: %w", name, err)
		}
		splits = append(splits, s)
	}
	return splits, nil
}

func readSplit(dir, name string, columns []string) (Split, error) {
	if _, err := disk.Stat(dir); err != nil {
		return Split{}, fmt.Errorf("its folder is missing: %w", err)
	}
	var st state
	path := filepath.Join(dir, stateName)
	if err := readJSON(dir, stateName, &st); err != nil {
		return Split{}, err
	}
	if len(st.DataFiles) == 0 {
		return Split{}, fmt.Errorf("%s: _data_files is missing or empty", path)
	}
	s := Split{Name: name}
	for i, f := range st.DataFiles {
		if !filepath.IsLocal(f.Filename) || filepath.Base(f.Filename) != f.Filename {
			return Split{}, fmt.Errorf("%s: %q is not a file name", path, f.Filename)
		}
		file := filepath.Join(dir, f.Filename)
		cols, err := readStream(file, columns)
		if err != nil {
			return Split{}, fmt.Errorf("%s: %w", file, err)
		}
		if i == 0 {
			s.Columns = cols
			continue
		}
		if err := s.extend(cols); err != nil {
			return Split{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	return s, nil
}

// extend appends the rows of another file.
func (s *Split) extend(cols []Column) error {
	same := func(a, b Column) bool { return a.Name == b.Name && a.Kind == b.Kind }
	if !slices.EqualFunc(s.Columns, cols, same) {
		return errors.New("the columns differ from those of the split's first file")
	}
	for i := range cols {
		c := &s.Columns[i]
		if had := c.Len(); c.Valid != nil || cols[i].Valid != nil {
			c.Valid = append(c.allValid(had), cols[i].allValid(cols[i].Len())...)
		}
		c.Floats = append(c.Floats, cols[i].Floats...)
		c.Bools = append(c.Bools, cols[i].Bools...)
		c.Strings = append(c.Strings, cols[i].Strings...)
		c.Ints = append(c.Ints, cols[i].Ints...)
		c.Lists = append(c.Lists, cols[i].Lists...)
	}
	return nil
}

// allValid is Valid of n rows, written out.
func (c *Column) allValid(n int) []bool {
	for len(c.Valid) < n {
		c.Valid = append(c.Valid, true)
	}
	return c.Valid
}

func readJSON(dir, name string, v any) error {
	raw, err := atomicfile.ReadFile(dir, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
	}
	return nil
}
