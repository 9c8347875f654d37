package report

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"triality/experiments"
	"triality/server/report/thin"
)

const (
	curvePoints = 1000 // drawn of one curve
	tableRows   = 20   // of the table behind it
	frontRows   = 8    // of that before the appendix
	mostCurves  = 6    // of one chart
)

// curve is a chart of one or more series over the step.
type curve struct {
	caption string
	names   []string // of series, sorted
	rows    int      // of the table
}

// losses draws the losses, which stand before the appendix; nil where the run has none.
func (b *builder) losses() *chart {
	c := curve{caption: b.t("curve.loss"), rows: frontRows}
	for _, name := range sortedKeys(b.in.Series) {
		if len(b.in.Series[name]) > 0 && !strings.HasPrefix(name, "so8t/") && kindOfSeries(name) == "loss" && len(c.names) < mostCurves {
			c.names = append(c.names, name)
		}
	}
	if c.names == nil {
		return nil
	}
	drawn := b.curves(c, 180)
	drawn.Beside = true
	return &drawn
}

// training draws losses, learning rate and gradient norm, and lists every other series.
func (b *builder) training() section {
	s := b.section("training")
	groups := map[string]*curve{}
	var rest []string
	for _, name := range sortedKeys(b.in.Series) {
		if len(b.in.Series[name]) == 0 || strings.HasPrefix(name, "so8t/") {
			continue
		}
		key := kindOfSeries(name)
		if key == "" {
			rest = append(rest, name)
			continue
		}
		if groups[key] == nil {
			groups[key] = &curve{caption: b.t("curve." + key), rows: tableRows}
		}
		groups[key].names = append(groups[key].names, name)
	}
	if len(groups)+len(rest) == 0 {
		return s.without(b.t("missing.training"))
	}
	var small []chart
	for _, key := range []string{"loss", "lr", "grad"} {
		if c := groups[key]; c != nil && key == "loss" {
			for _, part := range c.parts() {
				s.Blocks = append(s.Blocks, block{Charts: []chart{b.curves(part, 320)}})
			}
		} else if c != nil {
			for _, part := range c.parts() {
				small = append(small, b.curves(part, 240))
			}
		}
	}
	if small != nil {
		s.Blocks = append(s.Blocks, block{Charts: small})
	}
	if rest != nil {
		t := &table{Caption: b.t("curve.rest"), Head: b.seriesHead()}
		for _, name := range rest {
			t.Rows = append(t.Rows, seriesRow(b.series(name), b.in.Series[name]))
		}
		s.Blocks = append(s.Blocks, block{Table: t})
	}
	if n := b.in.OmittedSeries; n > 0 {
		s.Blocks = append(s.Blocks, block{Text: b.t("curve.omitted", count(n))})
	}
	return s
}

// parts are curves of as many series as a table takes on paper.
func (c curve) parts() (out []curve) {
	for names := range slices.Chunk(c.names, mostCurves) {
		out = append(out, curve{c.caption, names, c.rows})
	}
	return out
}

func kindOfSeries(name string) string {
	switch name[strings.LastIndexByte(name, '/')+1:] {
	case "loss":
		return "loss"
	case "learning_rate", "lr":
		return "lr"
	case "grad_norm", "gradient_norm":
		return "grad"
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (b *builder) curves(c curve, height int) chart {
	line := charts.NewLine()
	line.SetGlobalOptions(shared(c.caption, withBoth)...)
	line.SetGlobalOptions(b.overSteps()...)
	colours := []string{colourA, colourB, colourBase}
	// The evaluation is sparse and the thing to look at: it gets the strong colour and its points.
	for i, name := range sortedBy(c.names, func(n string) bool { return !strings.HasPrefix(n, "eval") }) {
		in := b.in.Series[name]
		points := thin.Points(in, curvePoints)
		colour := colours[min(i, len(colours)-1)]
		if len(c.names) == 1 {
			colour = colourB
		}
		line.AddSeries(b.series(name), lineData(points), lineOf(colour, len(points))...)
	}
	return b.chart(line, c.caption, height, b.curveTable(c))
}

// overSteps are the axes of curves.
func (b *builder) overSteps() []charts.GlobalOpts {
	return []charts.GlobalOpts{
		charts.WithXAxisOpts(opts.XAxis{Type: "value", Name: b.t("step"), NameLocation: "middle", NameGap: 28, Min: "dataMin", Max: "dataMax", AxisLabel: shown(), SplitLine: &opts.SplitLine{Show: opts.Bool(false)}}),
		charts.WithYAxisOpts(opts.YAxis{Type: "value", Scale: opts.Bool(true), AxisLabel: shown()}),
	}
}

func lineData(points []experiments.Point) []opts.LineData {
	data := make([]opts.LineData, len(points))
	for i, p := range points {
		data[i] = opts.LineData{Value: []any{p.Step, finite(p.Value)}}
	}
	return data
}

func lineOf(colour string, points int) []charts.SeriesOpts {
	return []charts.SeriesOpts{
		charts.WithLineChartOpts(opts.LineChart{ShowSymbol: opts.Bool(points <= 60), Symbol: "circle", SymbolSize: 4, ConnectNulls: opts.Bool(false)}),
		charts.WithLineStyleOpts(opts.LineStyle{Color: colour, Width: 1.6}),
		charts.WithItemStyleOpts(opts.ItemStyle{Color: colour}),
	}
}

// sortedBy puts the names for which first holds before the others.
func sortedBy(names []string, first func(string) bool) []string {
	out := append([]string(nil), names...)
	sort.SliceStable(out, func(i, j int) bool { return first(out[i]) && !first(out[j]) })
	return out
}

func (b *builder) seriesHead() []cell {
	return b.head("series", ">points", ">first", ">least", ">greatest", ">last", ">notFinite")
}

// seriesRow sums a series up; least and greatest name their step.
func seriesRow(name string, points []experiments.Point) []cell {
	low, high, bad := -1, -1, 0
	for i, p := range points {
		switch {
		case finite(p.Value) == nil:
			bad++
			continue
		case low < 0 || p.Value < points[low].Value:
			low = i
		}
		if high < 0 || p.Value > points[high].Value {
			high = i
		}
	}
	at := func(i int) string {
		if i < 0 {
			return "–"
		}
		return fmt.Sprintf("%s @ %s", figure(points[i].Value), count(points[i].Step))
	}
	return []cell{rowHead(name), num(count(len(points))), num(figure(points[0].Value)), num(at(low)), num(at(high)), num(figure(points[len(points)-1].Value)), num(count(bad))}
}

// curveTable gives the values of about so many steps, the first and the last among them.
func (b *builder) curveTable(c curve) *table {
	steps := map[int64]bool{}
	values := make([]map[int64]float64, len(c.names))
	for i, name := range c.names {
		in := b.in.Series[name]
		values[i] = make(map[int64]float64, len(in))
		for j, p := range in {
			values[i][p.Step] = p.Value
			if j%max(int(math.Ceil(float64(len(in))/float64(c.rows))), 1) == 0 || j == len(in)-1 {
				steps[p.Step] = true
			}
		}
	}
	t := &table{Caption: b.t("table.curve", c.rows), Head: b.head(">step")}
	for _, name := range c.names {
		t.Head = append(t.Head, cell{Text: b.series(name), Class: "num name"})
	}
	order := make([]int64, 0, len(steps))
	for s := range steps {
		order = append(order, s)
	}
	sort.Slice(order, func(i, j int) bool { return order[i] < order[j] })
	order = someOf(order, values, c.rows)
	for _, s := range order {
		row := []cell{{Text: count(s), Class: "num", Row: true}}
		for i := range c.names {
			if v, ok := values[i][s]; ok {
				row = append(row, num(figure(v)))
			} else {
				row = append(row, num(""))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// someOf thins steps to about n, the first and the last kept: those at which every series has a value, where there are enough.
func someOf(steps []int64, values []map[int64]float64, n int) []int64 {
	whole := slices.DeleteFunc(slices.Clone(steps), func(s int64) bool {
		return slices.ContainsFunc(values, func(v map[int64]float64) bool { _, ok := v[s]; return !ok })
	})
	if len(whole) >= min(n, len(steps)) {
		steps = whole
	}
	if len(steps) <= n {
		return steps
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = steps[i*(len(steps)-1)/(n-1)]
	}
	return out
}

func fixed(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }
