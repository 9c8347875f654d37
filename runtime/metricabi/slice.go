package metricabi

import "slices"

// Slice returns the table of some of the rows, in the order given: what a metric is handed for a slice of
// the rows. Constant columns stay as they are; a column in which every one of the rows has a value has no
// validity. Columns share nothing with t's, but for the constant ones.
func (t Table) Slice(rows []int) Table {
	out := Table{Rows: len(rows), Columns: slices.Clone(t.Columns)}
	for i := range out.Columns {
		if c := &out.Columns[i]; !c.Role.constant() {
			*c = c.slice(rows)
		}
	}
	return out
}

func (c *Column) slice(rows []int) Column {
	out := Column{Role: c.Role, Arm: c.Arm, DType: c.DType, Name: c.Name}
	valid, all := make([]bool, len(rows)), true
	if c.DType.offset() {
		out.Offsets = make([]int32, 1, len(rows)+1)
	}
	for i, row := range rows {
		valid[i] = c.Valid(row)
		all = all && valid[i]
		switch c.DType {
		case I32:
			out.Int32 = append(out.Int32, c.Int32[row])
		case I64:
			out.Int64 = append(out.Int64, c.Int64[row])
		case F64:
			out.Float64 = append(out.Float64, c.Float64[row])
		case UTF8:
			out.Bytes = append(out.Bytes, c.Bytes[c.Offsets[row]:c.Offsets[row+1]]...)
			out.Offsets = append(out.Offsets, int32(len(out.Bytes)))
		case F64List:
			out.Float64 = append(out.Float64, c.List(row)...)
			out.Offsets = append(out.Offsets, int32(len(out.Float64)))
		}
	}
	if !all {
		out.SetValid(valid)
	}
	return out
}
