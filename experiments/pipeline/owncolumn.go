package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"triality/experiments"
	"triality/runtime/metricabi"
)

// ownColumn is a field of the rows as a metric asks for it. A row without the field, or with null, has no
// value; ok is false where that is every row. A value that is not of the dtype is an error.
func ownColumn(samples []experiments.Sample, need metricabi.Need) (c metricabi.Column, ok bool, err error) {
	values := make([]any, len(samples))
	valid := make([]bool, len(samples))
	for i := range samples {
		v, has := samples[i].Columns[need.Name]
		if of := schemaColumns[need.Name]; of != nil {
			v, has = of(&samples[i]), of(&samples[i]) != ""
		}
		values[i], valid[i] = v, has && v != nil
		ok = ok || valid[i]
	}
	if !ok {
		return c, false, nil
	}
	fill := func(set func(i int, v any) error) error {
		for i, v := range values {
			if !valid[i] {
				continue
			}
			if err := set(i, v); err != nil {
				return fmt.Errorf("the rows' column %q: row %d: %w", need.Name, samples[i].Index, err)
			}
		}
		return nil
	}
	c = metricabi.Column{Role: metricabi.RoleExtra, DType: need.DType, Name: need.Name}
	switch need.DType {
	case metricabi.UTF8:
		texts := make([]string, len(values))
		err = fill(func(i int, v any) (err error) { texts[i], err = asText(v); return err })
		c = metricabi.StringColumn(c.Role, c.Arm, c.Name, texts)
	case metricabi.F64:
		c.Float64 = make([]float64, len(values))
		err = fill(func(i int, v any) (err error) { c.Float64[i], err = asNumber(v); return err })
	case metricabi.I64:
		c.Int64 = make([]int64, len(values))
		err = fill(func(i int, v any) (err error) { c.Int64[i], err = asInteger(v, 64); return err })
	case metricabi.I32:
		c.Int32 = make([]int32, len(values))
		err = fill(func(i int, v any) error {
			n, err := asInteger(v, 32)
			c.Int32[i] = int32(n)
			return err
		})
	case metricabi.F64List:
		lists := make([][]float64, len(values))
		err = fill(func(i int, v any) (err error) { lists[i], err = asList(v); return err })
		c = metricabi.Float64ListColumn(c.Role, c.Arm, c.Name, lists)
	default:
		err = fmt.Errorf("the rows' column %q: no column of the rows is %s", need.Name, need.DType)
	}
	if slices.Contains(valid, false) {
		c.SetValid(valid)
	}
	return c, true, err
}

// asText is a text itself, and anything else as JSON has it.
func asText(v any) (string, error) {
	switch raw := v.(type) {
	case string:
		return raw, nil
	case json.RawMessage: // in the form that it has once it was stored
		var c experiments.Columns
		if err := json.Unmarshal(fmt.Appendf(nil, `{"v":%s}`, raw), &c); err != nil {
			return "", err
		}
		v = c["v"]
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// asNumber reads a number, true and false as 1 and 0, or the text of one.
func asNumber(v any) (float64, error) {
	text, err := asText(v)
	if err != nil {
		return 0, err
	}
	switch text {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("%.60q is no number", text)
	}
	return x, nil
}

// asList reads a list of numbers, or the text of one.
func asList(v any) ([]float64, error) {
	text, err := asText(v)
	if err != nil {
		return nil, err
	}
	var items []any
	if json.Unmarshal([]byte(text), &items) != nil {
		return nil, fmt.Errorf("%.60q is no list of numbers", text)
	}
	out := make([]float64, len(items))
	for i, item := range items {
		if out[i], err = asNumber(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// asInteger is asNumber for whole numbers of so many bits.
func asInteger(v any, bits int) (int64, error) {
	text, err := asText(v)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(text, 10, bits); err == nil {
		return n, nil
	} else if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%.60q does not fit an integer of %d bits", text, bits)
	}
	x, err := asNumber(v)
	if err != nil {
		return 0, err
	}
	n := int64(x)
	if sign := n >> (bits - 1); float64(n) != x || math.Abs(x) > 1<<53 || sign != 0 && sign != -1 {
		return 0, fmt.Errorf("%.60q is no whole number of %d bits", text, bits)
	}
	return n, nil
}

// ownColumnNames are the rows' fields that a metric can ask for by name.
func ownColumnNames(samples []experiments.Sample) []string {
	names := map[string]bool{}
	for name := range hostColumns {
		names[name] = true
	}
	for name := range schemaColumns {
		names[name] = true
	}
	for i := range samples {
		for name := range samples[i].Columns {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
