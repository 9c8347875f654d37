package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"triality/experiments"
	"triality/experiments/graph"
)

// maxPoints is how many points of a curve are kept: each stretch keeps its least and its greatest.
const maxPoints = 1000

func (b *Body) show() (Shown, error) {
	out := Shown{Type: b.Type, Title: b.Title, X: b.X, Log: b.Log, Lines: []Line{}}
	if b.Read != nil {
		out.Lines = b.Read.Lines
		if b.Read.Rows != nil {
			lines, x, err := b.ofRows(*b.Read.Rows)
			if err != nil {
				return out, err
			}
			out.Lines, out.X = lines, x
		}
	}
	for i := range b.Of {
		lines, x, err := b.ofInput(&b.Of[i])
		if err != nil {
			return out, graph.At(fmt.Sprintf("of[%d]", i), err)
		}
		out.Lines = append(out.Lines, lines...)
		if out.X == "" {
			out.X = x
		}
	}
	if out.X == "" {
		out.X = "step"
	}
	if out.Title == "" {
		var names []string
		for _, l := range out.Lines {
			names = append(names, l.Name)
		}
		out.Title = strings.Join(names[:min(len(names), 4)], ", ")
	}
	return out, nil
}

func (b *Body) ofInput(in *graph.Input) ([]Line, string, error) {
	if step, output, ok := in.Reference(); ok && output == "metrics" {
		series, err := in.Series()
		if err != nil {
			return nil, "", err
		}
		lines, err := b.ofSeries(step, series)
		return lines, "", err
	}
	var rows experiments.Rows
	if err := in.Decode(&rows); err != nil {
		return nil, "", err
	}
	if rows.Columns == nil {
		return nil, "", experiments.Errorf(experiments.CodeInvalid, "%s has no columns: put a cell of kind table between", in.Text)
	}
	return b.ofRows(rows)
}

// ofSeries makes curves of what a step logged, or bars of the last values.
func (b *Body) ofSeries(step string, series experiments.MetricBatch) ([]Line, error) {
	names := slices.Sorted(maps.Keys(series))
	for _, y := range b.Y {
		if !slices.Contains(names, y) {
			return nil, experiments.Errorf(experiments.CodeInvalid, "y: step %s logged no metric %s%s", step, y, graph.Nearest(y, names))
		}
	}
	if len(b.Y) > 0 {
		names = b.Y
	}
	if len(names) == 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "step %s logged no metrics", step)
	}
	if b.Type == "line" {
		var out []Line
		for _, name := range names {
			if len(series[name]) > 1 || len(names) == 1 {
				out = append(out, lineOf(step+" · "+name, series[name]))
			}
		}
		return out, nil
	}
	bars := Line{Name: step}
	for _, name := range names {
		if points := series[name]; len(points) > 0 {
			bars.Labels, bars.Y = append(bars.Labels, name), append(bars.Y, experiments.Real(points[len(points)-1].Value))
		}
	}
	return []Line{bars}, nil
}

// ofRows makes a line of each column that is drawn.
func (b *Body) ofRows(rows experiments.Rows) ([]Line, string, error) {
	x := b.X
	if x == "" && len(rows.Columns) > 0 {
		x = rows.Columns[0]
	}
	atX := slices.Index(rows.Columns, x)
	if atX < 0 {
		return nil, "", experiments.Errorf(experiments.CodeInvalid, "x: there is no column %s%s", x, graph.Nearest(x, slices.Clone(rows.Columns)))
	}
	columns := b.Y
	if len(columns) == 0 {
		for i, c := range rows.Columns {
			if i != atX && slices.ContainsFunc(rows.Rows, func(r []any) bool { return isNumber(r[i]) }) {
				columns = append(columns, c)
			}
		}
	}
	if len(columns) == 0 {
		return nil, "", experiments.Errorf(experiments.CodeInvalid, "there is no column of numbers beside %s", x)
	}
	var out []Line
	for _, c := range columns {
		at := slices.Index(rows.Columns, c)
		if at < 0 {
			return nil, "", experiments.Errorf(experiments.CodeInvalid, "y: there is no column %s%s", c, graph.Nearest(c, slices.Clone(rows.Columns)))
		}
		l := Line{Name: c}
		for _, row := range rows.Rows {
			if row[at] == nil {
				continue
			}
			l.Y = append(l.Y, numberOf(row[at]))
			if b.Type == "bar" {
				l.Labels = append(l.Labels, fmt.Sprint(row[atX]))
			} else {
				l.X = append(l.X, numberOf(row[atX]))
			}
			if b.Type == "scatter" {
				l.Labels = append(l.Labels, fmt.Sprint(row[0]))
			}
		}
		out = append(out, l)
	}
	return out, x, nil
}

func isNumber(v any) bool { return !math.IsNaN(float64(numberOf(v))) }

// numberOf is a value as a number; parameters of runs are texts.
func numberOf(v any) experiments.Real {
	switch v := v.(type) {
	case float64:
		return experiments.Real(v)
	case int:
		return experiments.Real(v)
	case int64:
		return experiments.Real(v)
	case json.Number:
		f, _ := v.Float64()
		return experiments.Real(f)
	case experiments.Real:
		return v
	case string:
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return experiments.Real(f)
		}
	}
	return experiments.Real(math.NaN())
}

// lineOf is a series as a curve, thinned.
func lineOf(name string, points []experiments.Point) Line {
	l := Line{Name: name}
	put := func(p experiments.Point) {
		l.X, l.Y = append(l.X, experiments.Real(p.Step)), append(l.Y, experiments.Real(p.Value))
	}
	if len(points) <= maxPoints {
		for _, p := range points {
			put(p)
		}
		return l
	}
	for i := range maxPoints / 2 {
		part := points[i*len(points)/(maxPoints/2) : (i+1)*len(points)/(maxPoints/2)]
		least, most := 0, 0
		for j, p := range part {
			if p.Value < part[least].Value || math.IsNaN(part[least].Value) {
				least = j
			}
			if p.Value > part[most].Value || math.IsNaN(part[most].Value) {
				most = j
			}
		}
		put(part[min(least, most)])
		if least != most {
			put(part[max(least, most)])
		}
	}
	return l
}
