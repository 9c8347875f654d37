package metricabi

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// CheckResults reports the first result that the description does not declare,
// or that breaks what it declares: its kind, its range. A bound may be passed
// by one part in 1e9, which rounding explains.
func (d *Description) CheckResults(results []Result) error {
	for i := range results {
		r := &results[i]
		o, _ := d.OutputOf(r.Name)
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

// OutputOf returns the output that a result of that name is, and the arm of one that each arm has, whose
// results are called NAME.A, NAME.B and so on; nil where there is none.
func (d *Description) OutputOf(result string) (*Output, Arm) {
	if o := d.Output(result); o != nil && o.Arm != ArmEach {
		return o, o.Arm
	}
	base, arm, ok := cutArm(result)
	if o := d.Output(base); ok && o != nil && o.Arm == ArmEach {
		return o, arm
	}
	return nil, ArmShared
}

// cutArm parts the letter of an arm from the end of a name.
func cutArm(name string) (base string, arm Arm, ok bool) {
	n := len(name) - 2
	if n < 1 || name[n] != '.' || name[n+1] < 'A' || name[n+1] > 'Z' {
		return name, ArmShared, false
	}
	return name[:n], ArmA + Arm(name[n+1]-'A'), true
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
	if d.ABI == Version11 {
		for _, c := range t.Columns {
			if c.Role == RoleArm {
				out.Columns = append(out.Columns, c)
			}
		}
	}
	arms := t.Arms()
	for _, n := range d.Columns {
		for _, n := range n.each(arms) {
			columns, err := t.selected(n)
			if err != nil {
				return Table{}, fmt.Errorf("metric %s %w", d.Name, err)
			}
			out.Columns = append(out.Columns, columns...)
		}
	}
	return out, nil
}

// selected are the columns that a need of one arm names.
func (t Table) selected(n Need) (out []Column, err error) {
	for i := range t.Columns {
		c := &t.Columns[i]
		if !n.names(c) {
			continue
		}
		if c.DType != n.dtype() {
			return nil, fmt.Errorf("needs %s as %s, the table has %s", n, n.dtype(), c.DType)
		}
		out = append(out, *c)
	}
	if len(out) == 0 && !n.Optional {
		return nil, fmt.Errorf("needs %s, which the table lacks", n)
	}
	return out, nil
}

// each is the need for every one of the arms where it says so, else itself.
func (n Need) each(arms []Arm) []Need {
	if n.Arm != ArmEach {
		return []Need{n}
	}
	out := make([]Need, len(arms))
	for i, a := range arms {
		out[i], out[i].Arm = n, a
	}
	return out
}

// Arms are the table's: those that it names, or else those that any of its columns is of.
func (t Table) Arms() []Arm {
	named, seen := map[Arm]bool{}, map[Arm]bool{}
	for _, c := range t.Columns {
		if c.Arm != ArmShared {
			seen[c.Arm] = true
			if c.Role == RoleArm {
				named[c.Arm] = true
			}
		}
	}
	if len(named) == 0 {
		named = seen
	}
	return slices.Sorted(maps.Keys(named))
}

// Has reports whether the table has a column that the need names, of each arm where it says so, of whatever
// dtype.
func (t Table) Has(n Need) bool {
	for _, n := range n.each(t.Arms()) {
		if !slices.ContainsFunc(t.Columns, func(c Column) bool { return n.names(&c) }) {
			return false
		}
	}
	return true
}

// names reports whether the need is for the column.
func (n Need) names(c *Column) bool {
	return c.Role == n.Role && c.Arm == n.Arm && (n.Role != RoleExtra || c.Name == n.Name)
}

func (n Need) String() string {
	s := fmt.Sprintf("the %s column", n.Role)
	switch n.Arm {
	case ArmShared:
	case ArmEach:
		s += " of each arm"
	default:
		s += fmt.Sprintf(" of arm %s", n.Arm)
	}
	if n.Name != "" {
		s += fmt.Sprintf(" %q", n.Name)
	}
	return s
}
