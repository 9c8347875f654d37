package api

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"triality/experiments"
)

// Limits of what is said of a column of compared rows.
const (
	columnsSaid  = 200
	valuesSaid   = 30
	valuesCount  = 1000 // different ones
	longestValue = 120  // bytes; columns of longer texts name no values
)

type (
	// sampleColumn is a value that each compared row has, or lacks.
	sampleColumn struct {
		key string
		of  func(i int) cell
	}
	// cell is one value; text is '' and number NaN where there is none.
	cell struct {
		text   string
		number float64 // NaN for what is none
		there  bool
	}
	columnAbout struct {
		Key      string  `json:"key"`
		Kind     string  `json:"kind"` // number or text
		Rows     int     `json:"rows"` // that have a value
		Least    float64 `json:"least"`
		Greatest float64 `json:"greatest"`
		// Values are the commonest ones, where they are short and few.
		Values []valueAbout `json:"values"`
	}
	valueAbout struct {
		Value string `json:"value"`
		Rows  int    `json:"rows"`
	}
)

func textCell(s string) cell { return cell{s, math.NaN(), s != ""} }

func numberCell(v float64) cell {
	if math.IsNaN(v) {
		return cell{number: v}
	}
	return cell{strconv.FormatFloat(v, 'g', -1, 64), v, true}
}

// anyCell is a field that the schema does not know.
func anyCell(v any, there bool) cell {
	switch v := v.(type) {
	case nil:
		return cell{number: math.NaN()}
	case string:
		return cell{v, math.NaN(), there}
	case fmt.Stringer: // a json.Number
		if n, err := strconv.ParseFloat(v.String(), 64); err == nil {
			return cell{v.String(), n, true}
		}
	}
	return cell{fmt.Sprint(v), math.NaN(), there}
}

// columnsOf are the columns by which rows are filtered: row.NAME of the row itself, a.NAME and b.NAME of what each arm
// made of it.
func columnsOf(p *pairing, first, second *experiments.ABResult) []sampleColumn {
	rows := p.Samples
	out := []sampleColumn{
		{"label", func(i int) cell { return textCell(rows[i].Label) }},
		{"language", func(i int) cell { return textCell(rows[i].Language) }},
		{"domain", func(i int) cell { return textCell(rows[i].Domain) }},
		{"group", func(i int) cell { return textCell(rows[i].Group) }},
		{"index", func(i int) cell { return numberCell(float64(rows[i].Index)) }},
	}
	names := map[string]bool{}
	for i := range rows {
		for name := range rows[i].Columns {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, sampleColumn{"row." + name, func(i int) cell {
			v, there := rows[i].Columns[name]
			return anyCell(v, there)
		}})
	}
	for _, arm := range []struct {
		name   string
		prefix string
		result *experiments.ABResult
		at     []int
	}{{"A", "a.", first, p.AtA}, {"B", "b.", second, p.AtB}} {
		name, at := arm.name, arm.at // the columns outlive the results
		out = append(out,
			sampleColumn{arm.prefix + "prediction", func(i int) cell { return textCell(answerOf(&rows[i], name).Prediction) }},
			sampleColumn{arm.prefix + "confidence", func(i int) cell {
				p := answerOf(&rows[i], name).Probability
				if len(p) == 0 {
					return cell{number: math.NaN()}
				}
				return numberCell(slices.Max(p))
			}},
			sampleColumn{arm.prefix + "latency_ms", func(i int) cell {
				if name == "A" {
					return numberCell(rows[i].LatencyAMS)
				}
				return numberCell(rows[i].LatencyBMS)
			}})
		labels := experiments.ModuleLabels(arm.result.Metrics)
		for m := range arm.result.Metrics {
			for _, o := range arm.result.Metrics[m].Outputs {
				if o.Kind == "column" && len(o.Values) == len(arm.result.Samples) {
					out = append(out, sampleColumn{arm.prefix + labels[m] + "." + o.Name, func(i int) cell { return numberCell(o.Values[at[i]]) }})
				}
			}
		}
	}
	return out[:min(len(out), columnsSaid)]
}

// about says what a column of so many rows holds.
func (c sampleColumn) about(rows int) columnAbout {
	out := columnAbout{Key: c.key, Kind: "number", Least: math.Inf(1), Greatest: math.Inf(-1)}
	counts, long := map[string]int{}, false
	for i := range rows {
		v := c.of(i)
		if !v.there {
			continue
		}
		out.Rows++
		if math.IsNaN(v.number) {
			out.Kind = "text"
		} else {
			out.Least, out.Greatest = min(out.Least, v.number), max(out.Greatest, v.number)
		}
		if long = long || len(v.text) > longestValue; !long && (len(counts) < valuesCount || counts[v.text] > 0) {
			counts[v.text]++
		}
	}
	if out.Rows == 0 || out.Kind == "text" {
		out.Least, out.Greatest = math.NaN(), math.NaN()
	}
	if long || out.Kind == "number" && len(counts) > valuesSaid {
		return out
	}
	for _, value := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) }) {
		if len(out.Values) < valuesSaid {
			out.Values = append(out.Values, valueAbout{value, counts[value]})
		}
	}
	return out
}

// condition is what a row's value of a column must meet.
type condition struct {
	column *sampleColumn
	meets  func(cell) bool
}

// valuesOf are a row's of the columns that the conditions name.
func valuesOf(conditions []condition, i int) map[string]string {
	out := map[string]string{}
	for _, c := range conditions {
		if v := c.column.of(i); v.there {
			out[c.column.key] = v.text
		}
	}
	return out
}

// The longer ones come first.
var operators = []string{"!=", "<=", ">=", "=", "<", ">", "~"}

// conditions reads KEY=VALUE and the like, with a key that the rows have: of two that fit, the longer.
func (p *pairing) conditions(texts []string) ([]condition, error) {
	var out []condition
	for _, text := range texts {
		var column *sampleColumn
		var rest string
		for i := range p.columns {
			after, ok := strings.CutPrefix(text, p.columns[i].key)
			if ok && (column == nil || len(p.columns[i].key) > len(column.key)) && slices.ContainsFunc(operators, func(op string) bool { return strings.HasPrefix(after, op) }) {
				column, rest = &p.columns[i], after
			}
		}
		if column == nil {
			var keys []string
			for i := range p.columns {
				keys = append(keys, p.columns[i].key)
			}
			return nil, invalid("where=%.100q: want a column, then one of %s and a value; the columns are %s", text, strings.Join(operators, " "), strings.Join(keys, ", "))
		}
		op := operators[slices.IndexFunc(operators, func(op string) bool { return strings.HasPrefix(rest, op) })]
		meets, err := compared(op, rest[len(op):])
		if err != nil {
			return nil, invalid("where=%.100q: %v", text, err)
		}
		out = append(out, condition{column, meets})
	}
	return out, nil
}

// compared is a comparison with a value: by number where both are numbers. No comparison holds for a row without a value,
// but "= nothing".
func compared(op, value string) (func(cell) bool, error) {
	number, err := strconv.ParseFloat(value, 64)
	isNumber := err == nil && !math.IsNaN(number)
	equal := func(v cell) bool {
		if isNumber && !math.IsNaN(v.number) {
			return v.number == number
		}
		return v.text == value
	}
	switch op {
	case "=":
		if value == "" {
			return func(v cell) bool { return !v.there || v.text == "" }, nil
		}
		return func(v cell) bool { return v.there && equal(v) }, nil
	case "!=":
		return func(v cell) bool { return v.there && !equal(v) }, nil
	case "~":
		lower := strings.ToLower(value)
		return func(v cell) bool { return v.there && strings.Contains(strings.ToLower(v.text), lower) }, nil
	}
	if !isNumber {
		return nil, fmt.Errorf("%s compares with a number, which %.40q is not", op, value)
	}
	return func(v cell) bool {
		if !v.there || math.IsNaN(v.number) {
			return false
		}
		switch op {
		case "<":
			return v.number < number
		case "<=":
			return v.number <= number
		case ">":
			return v.number > number
		}
		return v.number >= number
	}, nil
}
