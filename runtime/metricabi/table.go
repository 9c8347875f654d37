package metricabi

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Table is what a metric reads: Rows rows of columns, plus the constant
// columns (class names, parameters) that describe them.
type Table struct {
	Rows    int
	Columns []Column
}

// Column is one column. Exactly the slice its DType names is set: Int32 for
// i32, Int64 for i64, Float64 for f64, Offsets and Bytes for utf8 (Arrow: row i
// is Bytes[Offsets[i]:Offsets[i+1]], Offsets[0] is 0), Offsets and Float64 for
// f64_list, in the same way.
//
// Class, arm and parameter columns are constant: they hold one value (a parameter of
// numbers: several) whatever the number of rows; a constant utf8 column has
// Bytes and no Offsets.
type Column struct {
	Role  Role
	Arm   Arm
	DType DType
	Name  string // probability: the class; extra and parameter: its name

	Int32   []int32
	Int64   []int64
	Float64 []float64
	Offsets []int32
	Bytes   []byte

	// Validity is Arrow's bitmap, bit i%8 of byte i/8 set where row i has a
	// value; nil where every row has one.
	Validity []byte
}

// Int32Column returns a column of i32.
func Int32Column(role Role, arm Arm, name string, values []int32) Column {
	return Column{Role: role, Arm: arm, DType: I32, Name: name, Int32: values}
}

// Int64Column returns a column of i64.
func Int64Column(role Role, arm Arm, name string, values []int64) Column {
	return Column{Role: role, Arm: arm, DType: I64, Name: name, Int64: values}
}

// Float64Column returns a column of f64.
func Float64Column(role Role, arm Arm, name string, values []float64) Column {
	return Column{Role: role, Arm: arm, DType: F64, Name: name, Float64: values}
}

// StringColumn returns a utf8 column with one string a row.
func StringColumn(role Role, arm Arm, name string, values []string) Column {
	c := Column{Role: role, Arm: arm, DType: UTF8, Name: name, Offsets: make([]int32, 1, len(values)+1)}
	for _, v := range values {
		c.Bytes = append(c.Bytes, v...)
		// A table over MaxTableBytes is refused by check, which sees the
		// saturated offset.
		c.Offsets = append(c.Offsets, int32(min(len(c.Bytes), math.MaxInt32)))
	}
	return c
}

// Float64ListColumn returns a column with a list of f64 a row.
func Float64ListColumn(role Role, arm Arm, name string, values [][]float64) Column {
	c := Column{Role: role, Arm: arm, DType: F64List, Name: name, Offsets: make([]int32, 1, len(values)+1)}
	for _, v := range values {
		c.Float64 = append(c.Float64, v...)
		c.Offsets = append(c.Offsets, int32(min(len(c.Float64), math.MaxInt32)))
	}
	return c
}

// ArmColumns returns the constant columns that name the arms, from A on.
func ArmColumns(names ...string) []Column {
	out := make([]Column, len(names))
	for i, n := range names {
		out[i] = Column{Role: RoleArm, Arm: ArmA + Arm(i), DType: UTF8, Bytes: []byte(n)}
	}
	return out
}

// ClassColumns returns the constant columns that name the classes; class id n
// is the n-th name.
func ClassColumns(names ...string) []Column {
	out := make([]Column, len(names))
	for i, n := range names {
		out[i] = Column{Role: RoleClass, DType: UTF8, Bytes: []byte(n)}
	}
	return out
}

// SetValid replaces the column's validity bitmap: row i has a value where
// valid[i] is true.
func (c *Column) SetValid(valid []bool) {
	c.Validity = make([]byte, (len(valid)+7)/8)
	for i, v := range valid {
		if v {
			c.Validity[i/8] |= 1 << (i % 8)
		}
	}
}

// Valid reports whether row i has a value.
func (c *Column) Valid(i int) bool {
	return c.Validity == nil || c.Validity[i/8]>>(i%8)&1 == 1
}

// String returns row i of a utf8 column.
func (c *Column) String(i int) string { return string(c.Bytes[c.Offsets[i]:c.Offsets[i+1]]) }

// List returns row i of a f64_list column.
func (c *Column) List(i int) []float64 { return c.Float64[c.Offsets[i]:c.Offsets[i+1]] }

// label names the column in errors.
func (c *Column) label(i int) string {
	s := fmt.Sprintf("column %d (%s %s", i, c.Role, c.Arm)
	if c.Name != "" {
		s += fmt.Sprintf(" %q", c.Name)
	}
	return s + ")"
}

// Classes returns the names of the classes in id order.
func (t Table) Classes() []string {
	var out []string
	for _, c := range t.Columns {
		if c.Role == RoleClass {
			out = append(out, string(c.Bytes))
		}
	}
	return out
}

// Check reports the first thing that keeps the table from being a valid one:
// wrong lengths, roles and dtypes that do not go together, text that is not
// UTF-8, class ids that name no class, two columns that cannot be told apart.
func (t Table) Check() error {
	if t.Rows < 0 || t.Rows > math.MaxInt32 {
		return fmt.Errorf("metric table: %d rows, want 0 to %d", t.Rows, math.MaxInt32)
	}
	if len(t.Columns) > MaxColumns {
		return fmt.Errorf("metric table: %d columns, at most %d", len(t.Columns), MaxColumns)
	}
	classes := t.Classes()
	type key struct {
		role Role
		arm  Arm
		name string
	}
	seen := make(map[key]bool, len(t.Columns))
	for i := range t.Columns {
		c := &t.Columns[i]
		k := key{c.Role, c.Arm, c.Name}
		if c.Role == RoleClass {
			k.name = string(c.Bytes)
		}
		if seen[k] {
			return fmt.Errorf("metric table: %s: there is another column of the same role, arm and name", c.label(i))
		}
		seen[k] = true
		if err := c.check(t.Rows, len(classes)); err != nil {
			return fmt.Errorf("metric table: %s: %w", c.label(i), err)
		}
	}
	return nil
}

func (c *Column) check(rows, classes int) error {
	if err := checkKind(c.Role, c.Arm, c.DType); err != nil {
		return err
	}
	if c.Role.named() != (c.Name != "") {
		if c.Name == "" {
			return fmt.Errorf("role %s needs a name", c.Role)
		}
		return fmt.Errorf("role %s takes no name", c.Role)
	}
	if c.Name != "" {
		if err := checkName(c.Name); err != nil {
			return err
		}
	}
	if len(c.Int32) > 0 && c.DType != I32 || len(c.Int64) > 0 && c.DType != I64 || len(c.Float64) > 0 && c.DType.width() != 8 ||
		len(c.Float64) > 0 && c.DType == I64 || len(c.Bytes) > 0 && c.DType != UTF8 || len(c.Offsets) > 0 && !c.DType.offset() {
		return fmt.Errorf("dtype is %s, but values of another are set too", c.DType)
	}
	if !utf8.Valid(c.Bytes) {
		return fmt.Errorf("text is not UTF-8")
	}
	if c.Role.constant() {
		if c.Validity != nil || c.Offsets != nil {
			return fmt.Errorf("a constant column has neither validity nor offsets")
		}
		if c.Role == RoleClass || c.Role == RoleArm {
			return checkName(string(c.Bytes))
		}
		return nil
	}
	if c.Validity != nil && len(c.Validity) != (rows+7)/8 {
		return fmt.Errorf("validity has %d bytes for %d rows, want %d", len(c.Validity), rows, (rows+7)/8)
	}
	if c.DType.offset() {
		return c.checkOffsets(rows)
	}
	if n := len(c.Int32) + len(c.Int64) + len(c.Float64); n != rows {
		return fmt.Errorf("%d values for %d rows", n, rows)
	}
	if (c.Role == RoleLabel || c.Role == RolePrediction) && classes > 0 {
		for row, id := range c.Int32 {
			if uint32(id) >= uint32(classes) && c.Valid(row) { // a negative id is large
				return fmt.Errorf("row %d: class id %d, but there are %d classes; mark a row without a class as invalid",
					row, id, classes)
			}
		}
	}
	return nil
}

func (c *Column) checkOffsets(rows int) error {
	if len(c.Offsets) != rows+1 {
		return fmt.Errorf("%d offsets for %d rows, want %d", len(c.Offsets), rows, rows+1)
	}
	if n := len(c.Bytes) + len(c.Float64); c.Offsets[0] != 0 || int(c.Offsets[rows]) != n {
		return fmt.Errorf("offsets run from %d to %d, want 0 to %d", c.Offsets[0], c.Offsets[rows], n)
	}
	for i := range rows {
		from, to := c.Offsets[i], c.Offsets[i+1]
		if from > to {
			return fmt.Errorf("row %d: offset %d follows %d", i, to, from)
		}
		// The whole buffer is UTF-8, so a row is too unless it starts inside
		// a character.
		if c.DType == UTF8 && int(from) < len(c.Bytes) && !utf8.RuneStart(c.Bytes[from]) {
			return fmt.Errorf("row %d: text is not UTF-8", i)
		}
	}
	return nil
}

// checkName holds for every name that crosses the interface.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case len(name) > MaxNameBytes:
		return fmt.Errorf("the name has %d bytes, at most %d", len(name), MaxNameBytes)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name %q is not UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return fmt.Errorf("the name %q has a control character", name)
	}
	return nil
}

// equal reports whether two columns hold the same bits.
func (c *Column) equal(d *Column) bool {
	return c.Role == d.Role && c.Arm == d.Arm && c.DType == d.DType && c.Name == d.Name &&
		slices.Equal(c.Int32, d.Int32) && slices.Equal(c.Int64, d.Int64) &&
		slices.EqualFunc(c.Float64, d.Float64, func(x, y float64) bool {
			return math.Float64bits(x) == math.Float64bits(y)
		}) &&
		slices.Equal(c.Offsets, d.Offsets) && slices.Equal(c.Bytes, d.Bytes) && slices.Equal(c.Validity, d.Validity)
}

// Equal reports whether two tables hold the same bits.
func (t Table) Equal(u Table) bool {
	return t.Rows == u.Rows && slices.EqualFunc(t.Columns, u.Columns, func(c, d Column) bool { return c.equal(&d) })
}
