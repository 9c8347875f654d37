package metricabi

import (
	"fmt"
	"math"
	"slices"
)

// CheckResults reports the first result that the description does not declare,
// or that breaks what it declares: its kind, its range. A bound may be passed
// by one part in 1e9, which rounding explains.
func (d *Description) CheckResults(results []Result) error {
	for i := range results {
		r := &results[i]
		o := d.Output(r.Name)
		if o == nil {
			return fmt.Errorf("metric results: %q is not among the outputs the description names", r.Name)
		}
		if o.Kind != r.Kind {
			return fmt.Errorf("metric results: %q is a %s, the description says %s", r.Name, r.Kind, o.Kind)
		}
		low, high := math.Inf(-1), math.Inf(1)
		if o.Min != nil {
			low = *o.Min - 1e-9*math.Max(1, math.Abs(*o.Min))
		}
		if o.Max != nil {
			high = *o.Max + 1e-9*math.Max(1, math.Abs(*o.Max))
		}
		if within(r.Values, low, high) {
			continue // undefined values are zero; where that is outside, they are looked at below
		}
		for j, v := range r.Values {
			switch {
			case v >= low && v <= high || !r.Defined(j):
			case v < low:
				return fmt.Errorf("metric results: %q: value %d is %v, below its minimum %v", r.Name, j, v, *o.Min)
			case v > high:
				return fmt.Errorf("metric results: %q: value %d is %v, above its maximum %v", r.Name, j, v, *o.Max)
			default:
				return fmt.Errorf("metric results: %q: value %d is %v", r.Name, j, v)
			}
		}
	}
	return nil
}

// within reports whether every value is.
func within(values []float64, low, high float64) bool {
	for _, v := range values {
		if !(v >= low && v <= high) {
			return false
		}
	}
	return true
}

// Output returns the output of that name, or nil.
func (d *Description) Output(name string) *Output {
	for i := range d.Outputs {
		if d.Outputs[i].Name == name {
			return &d.Outputs[i]
		}
	}
	return nil
}

// Select returns the table a metric is handed: the columns its description
// names and the classes. A column it needs and t lacks is an error.
func (d *Description) Select(t Table) (Table, error) {
	out := Table{Rows: t.Rows}
	for _, c := range t.Columns {
		if c.Role == RoleClass {
			out.Columns = append(out.Columns, c)
		}
	}
	for _, n := range d.Columns {
		found := false
		for i := range t.Columns {
			c := &t.Columns[i]
			if !n.names(c) {
				continue
			}
			if c.DType != n.dtype() {
				return Table{}, fmt.Errorf("metric %s needs %s as %s, the table has %s", d.Name, n, n.dtype(), c.DType)
			}
			out.Columns = append(out.Columns, *c)
			found = true
		}
		if !found && !n.Optional {
			return Table{}, fmt.Errorf("metric %s needs %s, which the table lacks", d.Name, n)
		}
	}
	return out, nil
}

// Has reports whether the table has a column that the need names, of whatever dtype.
func (t Table) Has(n Need) bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool { return n.names(&c) })
}

// names reports whether the need is for the column.
func (n Need) names(c *Column) bool {
	return c.Role == n.Role && c.Arm == n.Arm && (n.Role != RoleExtra || c.Name == n.Name)
}

func (n Need) String() string {
	s := fmt.Sprintf("the %s column", n.Role)
	if n.Arm != ArmShared {
		s += fmt.Sprintf(" of arm %s", n.Arm)
	}
	if n.Name != "" {
		s += fmt.Sprintf(" %q", n.Name)
	}
	return s
}
