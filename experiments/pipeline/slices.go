package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"triality/experiments"
	"triality/runtime/metricabi"
)

// maxSliceValues bounds the slices by one column: each is a call of the module.
const maxSliceValues = 64

// slices runs the metric on the rows of each value of a column, in order: of the classes in theirs, of
// others by name, the rows without a value last. Its columns of one value a row are left out, which the
// whole has.
func (e *Engine) slices(ctx context.Context, m Module, d *metricabi.Description, table metricabi.Table, samples []experiments.Sample, by string) []experiments.ModuleSlice {
	rows, order, err := slicesBy(samples, by)
	if err != nil {
		return []experiments.ModuleSlice{{By: by, Error: err.Error()}}
	}
	out := make([]experiments.ModuleSlice, len(order))
	for i, value := range order {
		s := experiments.ModuleSlice{By: by, Value: value, Rows: len(rows[value])}
		outputs, _, err := e.call(ctx, m, d, table.Slice(rows[value]))
		if err != nil {
			s.Error = err.Error()
		}
		s.Outputs = slices.DeleteFunc(outputs, func(o experiments.MetricOutput) bool { return o.Kind == metricabi.PerSample.String() })
		out[i] = s
	}
	return out
}

// slicesBy are the rows of each value of a column.
func slicesBy(samples []experiments.Sample, by string) (rows map[string][]int, order []string, err error) {
	of, err := sliceValue(samples, by)
	if err != nil {
		return nil, nil, fmt.Errorf("slices by %q: %w", by, err)
	}
	rows = map[string][]int{}
	for i := range samples {
		value, err := of(&samples[i])
		if err != nil {
			return nil, nil, fmt.Errorf("slices by %q: row %d: %w", by, samples[i].Index, err)
		}
		rows[value] = append(rows[value], i)
	}
	if len(rows) > maxSliceValues {
		return nil, nil, fmt.Errorf("slices by %q: it has %d values, at most %d", by, len(rows), maxSliceValues)
	}
	// A class's place is its own, which is -1 for what is none.
	rank := func(value string) int {
		switch {
		case value == "":
			return math.MaxInt
		case by == "class":
			return experiments.LabelIndex(value)
		}
		return 0
	}
	order = slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	return rows, order, nil
}

// sliceValue reads the column by which rows are sliced.
func sliceValue(samples []experiments.Sample, by string) (func(*experiments.Sample) (string, error), error) {
	own := map[string]func(*experiments.Sample) string{
		"class": func(s *experiments.Sample) string { return s.Label },
		"group": func(s *experiments.Sample) string { return s.Group },
	}
	maps.Copy(own, hostColumns)
	maps.Copy(own, schemaColumns)
	if of := own[by]; of != nil {
		return func(s *experiments.Sample) (string, error) { return of(s), nil }, nil
	}
	has := func(s experiments.Sample) bool { return s.Columns[by] != nil }
	if !slices.ContainsFunc(samples, has) {
		return nil, fmt.Errorf("no row has %q; there are class, group and %q", by, ownColumnNames(samples))
	}
	return func(s *experiments.Sample) (string, error) {
		if !has(*s) {
			return "", nil
		}
		return asText(s.Columns[by])
	}, nil
}
