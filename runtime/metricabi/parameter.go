package metricabi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// Parameter is a value the user may set. It reaches the metric as a constant
// column, so that no module needs a JSON parser.
type Parameter struct {
	Name        string          `json:"name"`
	Type        ParameterType   `json:"type"`
	Default     json.RawMessage `json:"default,omitempty"` // absent: the user must set it
	Min         *float64        `json:"min,omitempty"`     // of number, integer and each of numbers
	Max         *float64        `json:"max,omitempty"`
	Description string          `json:"description,omitempty"`
}

// ParameterType is the type of a parameter.
type ParameterType string

// The types, and the dtype of the constant column each becomes.
const (
	Number  ParameterType = "number"  // f64
	Integer ParameterType = "integer" // i64
	Boolean ParameterType = "boolean" // i32, 0 or 1
	String  ParameterType = "string"  // utf8
	Numbers ParameterType = "numbers" // f64, any number of values
)

// MaxParameterValues bounds a parameter of numbers, and the bytes of a string.
const MaxParameterValues = 1 << 16

func (p Parameter) check() error {
	if err := checkName(p.Name); err != nil {
		return err
	}
	if !slices.Contains([]ParameterType{Number, Integer, Boolean, String, Numbers}, p.Type) {
		return fmt.Errorf("type %q: want number, integer, boolean, string or numbers", p.Type)
	}
	if p.Default == nil {
		return nil
	}
	if _, err := p.column(p.Default); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	return nil
}

// ParameterColumns returns the constant columns for the values set, defaults
// standing in for those that are not. Values are what JSON or YAML decode to:
// numbers of any Go type, strings, booleans, lists of numbers.
func (d *Description) ParameterColumns(values map[string]any) ([]Column, error) {
	for name := range values {
		if !slices.ContainsFunc(d.Parameters, func(p Parameter) bool { return p.Name == name }) {
			var names []string
			for _, p := range d.Parameters {
				names = append(names, p.Name)
			}
			return nil, fmt.Errorf("metric %s has no parameter %q, it has %q", d.Name, name, names)
		}
	}
	var out []Column
	for _, p := range d.Parameters {
		var raw json.RawMessage
		if v, set := values[p.Name]; set {
			b, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("metric %s: parameter %s: %w", d.Name, p.Name, err)
			}
			raw = b
		} else if raw = p.Default; raw == nil {
			return nil, fmt.Errorf("metric %s: parameter %s has no default and must be set", d.Name, p.Name)
		}
		c, err := p.column(raw)
		if err != nil {
			return nil, fmt.Errorf("metric %s: parameter %s: %w", d.Name, p.Name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// CanonicalParameters returns the values as JSON in one form: every parameter, defaults filled in, in
// order of name, each as the metric is handed it, so that 5, 5.0 and a default of 5 are the same bytes.
func (d *Description) CanonicalParameters(values map[string]any) ([]byte, error) {
	columns, err := d.ParameterColumns(values)
	if err != nil {
		return nil, err
	}
	all := make(map[string]any, len(columns))
	for i, c := range columns {
		switch d.Parameters[i].Type {
		case Number:
			all[c.Name] = c.Float64[0]
		case Integer:
			all[c.Name] = c.Int64[0]
		case Boolean:
			all[c.Name] = c.Int32[0] != 0
		case String:
			all[c.Name] = string(c.Bytes)
		case Numbers:
			all[c.Name] = c.Float64
		}
	}
	return json.Marshal(all)
}

// column turns a JSON value into the parameter's column.
func (p Parameter) column(raw json.RawMessage) (Column, error) {
	c := Column{Role: RoleParameter, Name: p.Name}
	if string(raw) == "null" {
		return c, fmt.Errorf("null is no %s", p.Type)
	}
	var err error
	switch p.Type {
	case Number:
		var v float64
		err = json.Unmarshal(raw, &v)
		c.DType, c.Float64 = F64, []float64{v}
	case Integer:
		var v float64
		if err = json.Unmarshal(raw, &v); err == nil && (v != math.Trunc(v) || math.Abs(v) > 1<<53) {
			err = fmt.Errorf("%s is no integer that a float64 holds exactly", raw)
		}
		c.DType, c.Int64 = I64, []int64{int64(v)}
	case Boolean:
		var v bool
		err = json.Unmarshal(raw, &v)
		c.DType, c.Int32 = I32, []int32{0}
		if v {
			c.Int32[0] = 1
		}
	case String:
		var v string
		if err = json.Unmarshal(raw, &v); err == nil && (len(v) > MaxParameterValues || !utf8.ValidString(v)) {
			err = fmt.Errorf("string of %d bytes: want UTF-8, at most %d bytes", len(v), MaxParameterValues)
		}
		c.DType, c.Bytes = UTF8, []byte(v)
	case Numbers:
		var list []*float64 // pointers, so that a null in the list is seen
		if err = json.Unmarshal(raw, &list); err == nil && len(list) > MaxParameterValues {
			err = fmt.Errorf("%d numbers, at most %d", len(list), MaxParameterValues)
		}
		c.DType, c.Float64 = F64, []float64{}
		for _, v := range list {
			if v == nil {
				return c, errors.New("null is no number")
			}
			c.Float64 = append(c.Float64, *v)
		}
	}
	if err != nil {
		return c, fmt.Errorf("want %s: %w", p.Type, err)
	}
	for _, v := range append(slices.Clone(c.Float64), asFloats(c.Int64)...) {
		if p.Min != nil && v < *p.Min || p.Max != nil && v > *p.Max {
			return c, fmt.Errorf("%v is outside its range", v)
		}
	}
	return c, nil
}

func asFloats(v []int64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
