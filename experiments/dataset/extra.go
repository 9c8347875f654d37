package dataset

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"triality/runtime/hfdataset"
)

// extraColumn is a field that the schema does not know as a column of the dataset.
type extraColumn struct {
	field string // in the rows
	name  string // in the dataset
	kind  hfdataset.Kind
}

// census counts what a field holds over all rows.
type census struct {
	kinds [len(kindNames)]int
	exact bool // every integer is one as float64 too
}

// extraColumns lists the fields that the schema does not know, by name, with the one type that holds all values of
// each; notes says what became something else than it was.
func extraColumns(rows []Row) (columns []extraColumn, notes []string) {
	counts := map[string]*census{}
	for i := range rows {
		for _, f := range rows[i].Extra {
			c := counts[f.Name]
			if c == nil {
				c = &census{exact: true}
				counts[f.Name] = c
			}
			c.kinds[f.Kind]++
			if f.Kind == Int {
				v, err := strconv.ParseInt(f.Text, 10, 64)
				c.exact = c.exact && err == nil && v >= -1<<53 && v <= 1<<53
			}
		}
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	taken := ownColumns()
	for _, name := range names {
		c := extraColumn{field: name, name: name}
		for taken[c.name] {
			c.name = "extra_" + c.name // the dataset's own columns have these names
		}
		taken[c.name] = true
		if c.name != name {
			notes = append(notes, fmt.Sprintf("column %s: is %s in the dataset, which has a column of that name", shown(name), shown(c.name)))
		}
		var note string
		if c.kind, note = counts[name].kind(); note != "" {
			notes = append(notes, fmt.Sprintf("column %s: %s", shown(name), note))
		}
		columns = append(columns, c)
	}
	return columns, notes
}

// kind is the type of a column, and what is to be said about it.
func (c *census) kind() (hfdataset.Kind, string) {
	var held []ValueKind
	var parts []string
	for k, n := range c.kinds {
		if n > 0 && ValueKind(k) != Null {
			held = append(held, ValueKind(k))
			parts = append(parts, fmt.Sprintf("%d %s", n, kindNames[k]))
		}
	}
	what := strings.Join(parts, " and ")
	switch {
	case len(held) == 0:
		return hfdataset.String, "has no value in any row"
	case slices.Equal(held, []ValueKind{String}):
		return hfdataset.String, ""
	case slices.Equal(held, []ValueKind{Int}):
		return hfdataset.Int64, ""
	case slices.Equal(held, []ValueKind{Float}):
		return hfdataset.Float64, ""
	case slices.Equal(held, []ValueKind{Bool}):
		return hfdataset.Bool, ""
	case slices.Equal(held, []ValueKind{Int, Float}) && c.exact:
		return hfdataset.Float64, what + " become float64"
	case len(held) == 1:
		return hfdataset.String, what + " become their JSON text"
	}
	return hfdataset.String, what + " become text, as JSON writes them"
}

// values is the column over rows; a row without the field, or with null, has no value.
func (c *extraColumn) values(rows []*Row) hfdataset.Column {
	out := hfdataset.Column{Name: c.name, Kind: c.kind, Valid: make([]bool, len(rows))}
	for i, r := range rows {
		v, _ := r.Get(c.field)
		out.Valid[i] = v.Kind != Null
		switch c.kind {
		case hfdataset.Int64:
			n, _ := strconv.ParseInt(v.Text, 10, 64) // 0 of no value; all others were parsed before
			out.Ints = append(out.Ints, n)
		case hfdataset.Float64:
			x, _ := strconv.ParseFloat(v.Text, 64)
			out.Floats = append(out.Floats, x)
		case hfdataset.Bool:
			out.Bools = append(out.Bools, v.Text == "true")
		default:
			out.Strings = append(out.Strings, v.Text)
		}
	}
	return out
}

// valueAt is a row's value in a column of a dataset.
func valueAt(c *hfdataset.Column, row int) Value {
	if c.Valid != nil && !c.Valid[row] {
		return Value{}
	}
	switch c.Kind {
	case hfdataset.String:
		return Value{String, c.Strings[row]}
	case hfdataset.Int64:
		return Value{Int, strconv.FormatInt(c.Ints[row], 10)}
	case hfdataset.Float64:
		v := c.Floats[row]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Value{} // JSON has no such number
		}
		return Value{Float, strconv.FormatFloat(v, 'g', -1, 64)}
	case hfdataset.Bool:
		return Value{Bool, strconv.FormatBool(c.Bools[row])}
	}
	return Value{}
}
