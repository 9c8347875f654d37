// Package table is the kind of cell that shows rows: those of a query or of another cell's table, or what a step logged.
package table

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "table"

// Body of a step.
type Body struct {
	Of      graph.Input `yaml:"of" takes:"table,series" doc:"what is shown: ${query.rows}, ${rows.summary}, ${metric.values}, or ${tune.metrics}, the last values that a step logged"`
	Columns []string    `yaml:"columns" doc:"those that are shown, in this order; none: all"`
	OrderBy string      `yaml:"order_by" doc:"column by which rows are sorted, ASC or DESC after it; empty: as they are"`
	Limit   int         `yaml:"limit" range:"1..1000" doc:"most rows"`
}

const file = "rows.json"

// Kind is the kind.
func Kind() graph.Kind {
	show := func(_ context.Context, w graph.Work) (any, error) { return w.Body.(*Body).show() }
	return graph.Kind{
		Name: Name, Cost: graph.Free,
		Body:      func() any { return &Body{Limit: 100} },
		Gives:     []graph.Output{{Name: "rows", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: file, Path: "table/" + file, MediaType: "application/json"}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*Body)
			key, err := graph.Key(Name, b.Of.Key(), b.Of.Text, b.Columns, b.OrderBy, b.Limit)
			return graph.Outline{Key: key, Files: []string{file}, Gives: map[string]string{"rows": file}}, err
		},
		Show: show, Run: graph.WriteShown(file, show),
	}
}

func (b *Body) show() (experiments.Rows, error) {
	rows, err := b.read()
	if err != nil {
		return rows, err
	}
	if rows.Total == 0 {
		rows.Total = len(rows.Rows)
	}
	if err := b.sort(&rows); err != nil {
		return rows, err
	}
	if err := b.choose(&rows); err != nil {
		return rows, err
	}
	if len(rows.Rows) > b.Limit {
		rows.Rows = rows.Rows[:b.Limit]
		rows.Runs = rows.Runs[:min(len(rows.Runs), b.Limit)]
	}
	return rows, nil
}

// read makes rows of whatever the input is.
func (b *Body) read() (experiments.Rows, error) {
	if _, output, ok := b.Of.Reference(); ok && output == "metrics" {
		series, err := b.Of.Series()
		if err != nil {
			return experiments.Rows{}, graph.At("of", err)
		}
		out := experiments.Rows{Columns: []string{"metric", "last", "step", "points"}, Rows: [][]any{}}
		for _, name := range slices.Sorted(maps.Keys(series)) {
			if points := series[name]; len(points) > 0 {
				last := points[len(points)-1]
				out.Rows = append(out.Rows, []any{name, experiments.Real(last.Value), last.Step, len(points)})
			}
		}
		return out, nil
	}
	var v any
	if err := b.Of.Decode(&v); err != nil {
		return experiments.Rows{}, graph.At("of", err)
	}
	return rowsOf(v)
}

// rowsOf makes rows of JSON: of an object with columns and rows as it is; of a list of objects a row each; of another object
// a row for each value that it has, however deep.
func rowsOf(v any) (out experiments.Rows, err error) {
	out.Rows = [][]any{}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			m, ok := item.(map[string]any)
			if !ok {
				return out, graph.At("of", experiments.Errorf(experiments.CodeInvalid, "holds no rows"))
			}
			flat := map[string]any{}
			flatten("", m, flat)
			for _, key := range slices.Sorted(maps.Keys(flat)) {
				if !slices.Contains(out.Columns, key) {
					out.Columns = append(out.Columns, key)
				}
			}
			row := make([]any, len(out.Columns))
			for i, c := range out.Columns {
				row[i] = flat[c]
			}
			out.Rows = append(out.Rows, row)
		}
		for i, row := range out.Rows { // rows before a column was met are shorter
			out.Rows[i] = append(row, make([]any, len(out.Columns)-len(row))...)
		}
		return out, nil
	case map[string]any:
		_, hasColumns := v["columns"].([]any)
		if _, hasRows := v["rows"].([]any); hasRows && hasColumns {
			text, err := json.Marshal(v)
			if err != nil {
				return out, err
			}
			return out, json.Unmarshal(text, &out)
		}
		flat := map[string]any{}
		flatten("", v, flat)
		out.Columns = []string{"name", "value"}
		for _, key := range slices.Sorted(maps.Keys(flat)) {
			out.Rows = append(out.Rows, []any{key, flat[key]})
		}
		return out, nil
	}
	return out, graph.At("of", experiments.Errorf(experiments.CodeInvalid, "holds no rows"))
}

// flatten lists the values of an object by dotted names; a list of values is one text.
func flatten(prefix string, v any, out map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			flatten(strings.TrimPrefix(prefix+"."+key, "."), value, out)
		}
	case []any:
		var words []string
		for i, item := range v {
			switch item := item.(type) {
			case map[string]any:
				name := fmt.Sprint(i)
				if s, ok := item["name"].(string); ok && s != "" {
					name = s
				}
				flatten(prefix+"."+name, item, out)
			default:
				words = append(words, fmt.Sprint(item))
			}
		}
		if len(words) > 0 {
			out[prefix] = strings.Join(words, ", ")
		}
	default:
		out[prefix] = v
	}
}

// choose keeps the columns that are asked for.
func (b *Body) choose(rows *experiments.Rows) error {
	if len(b.Columns) == 0 {
		return nil
	}
	var at []int
	for _, c := range b.Columns {
		i := slices.Index(rows.Columns, c)
		if i < 0 {
			return graph.At("columns", experiments.Errorf(experiments.CodeInvalid, "there is no column %s%s", c, graph.Nearest(c, slices.Clone(rows.Columns))))
		}
		at = append(at, i)
	}
	for i, row := range rows.Rows {
		chosen := make([]any, len(at))
		for j, from := range at {
			chosen[j] = row[from]
		}
		rows.Rows[i] = chosen
	}
	rows.Columns = b.Columns
	return nil
}

// sort orders the rows; those without a value come last.
func (b *Body) sort(rows *experiments.Rows) error {
	if b.OrderBy == "" {
		return nil
	}
	name, down := b.OrderBy, false
	if fields := strings.Fields(name); len(fields) > 1 {
		switch last := strings.ToUpper(fields[len(fields)-1]); last {
		case "ASC", "DESC":
			down, name = last == "DESC", strings.TrimSpace(name[:len(name)-len(last)])
		}
	}
	at := slices.Index(rows.Columns, name)
	if at < 0 {
		return graph.At("order_by", experiments.Errorf(experiments.CodeInvalid, "there is no column %s%s", name, graph.Nearest(name, slices.Clone(rows.Columns))))
	}
	order := make([]int, len(rows.Rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return inOrder(rows.Rows[i][at], rows.Rows[j][at], down) })
	sorted, runs := make([][]any, len(order)), []string(nil)
	for i, from := range order {
		sorted[i] = rows.Rows[from]
		if from < len(rows.Runs) {
			runs = append(runs, rows.Runs[from])
		}
	}
	rows.Rows, rows.Runs = sorted, runs
	return nil
}

// inOrder puts numbers before texts before what is missing.
func inOrder(a, b any, down bool) int {
	rank := func(v any) int {
		switch v.(type) {
		case float64, int, int64, experiments.Real:
			return 0
		case nil:
			return 2
		}
		return 1
	}
	if r := cmp.Compare(rank(a), rank(b)); r != 0 {
		return r
	}
	var r int
	switch rank(a) {
	case 0:
		r = cmp.Compare(numberOf(a), numberOf(b))
	case 1:
		r = cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
	}
	if down {
		return -r
	}
	return r
}

func numberOf(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case experiments.Real:
		return float64(v)
	case int:
		return float64(v)
	case int64:
		return float64(v)
	}
	return 0
}
