package report

import (
	"strconv"
	"strings"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"triality/experiments"
)

// isShare says whether a metric is a share of one, shown in percent.
func isShare(metric string) bool {
	for _, part := range []string{"accuracy", "f1", "precision", "recall", "false_allow", "over_refusal"} {
		if strings.Contains(metric, part) {
			return true
		}
	}
	return false
}

func (b *builder) metric(name string) string {
	if of, class, ok := strings.Cut(name, "."); ok && (of == "recall" || of == "precision") {
		return b.t("metric.of", b.or("metric."+of, of), class)
	}
	return b.or("metric."+name, name)
}

func level(metric string, v float64) string {
	switch {
	case isShare(metric):
		return percent(v)
	case strings.Contains(metric, "latency"):
		return millis(v)
	}
	return figure(v)
}

func change(metric string, v float64) string {
	switch {
	case isShare(metric):
		return signed(100*v, 1)
	case strings.Contains(metric, "latency"):
		return signed(v, 2)
	}
	s := figure(v)
	if v > 0 && finite(v) != nil {
		s = "+" + s
	}
	return s
}

// comparison shows scores beside the baselines, the differences with their intervals, and McNemar's test.
func (b *builder) comparison() section {
	s := b.section("comparison")
	ab := b.in.AB
	if ab == nil {
		return s.without(b.t("missing.ab"))
	}
	s.Blocks = append(s.Blocks, block{Charts: []chart{b.scores(ab)}})
	switch {
	case ab.Inference != nil:
		s.Blocks = append(s.Blocks, b.inference(ab.Inference)...)
	case len(ab.Differences) > 0:
		s.Blocks = append(s.Blocks, b.differences(ab.Differences)...)
	default:
		s.Blocks = append(s.Blocks, block{Text: b.t("missing.differences")})
	}
	s.Blocks = append(append(s.Blocks, b.trainings(ab)...), b.others(ab)...)
	if test, ok := b.clusterTest(ab); ok {
		s.Blocks = append(s.Blocks, test)
		return s
	}
	m := ab.McNemar
	key := "mcnemar.chi"
	if m.Exact {
		key = "mcnemar.exact"
	}
	s.Blocks = append(s.Blocks, block{Heading: b.t("mcnemar"), Text: b.t(key, count(m.OnlyB), count(m.OnlyA), pvalue(m.PValue), plain(m.Statistic))})
	return s
}

func (b *builder) scores(ab *experiments.ABResult) chart {
	type contender struct {
		name, kind, detail, colour string
		scores                     experiments.Scores
		series                     string // its short name: the table says which is A
	}
	var all []contender
	for i, colour := range []string{colourA, colourB} {
		a := ab.Arms[i]
		all = append(all, contender{b.arm(i), a.Kind, a.Model, colour, a.Scores, [2]string{"A", "B"}[i]})
	}
	for _, f := range ab.Baselines {
		name := b.or("baseline."+f.Name, f.Name)
		all = append(all, contender{name, b.t("baseline"), f.Detail, colourBase, f.Scores, clip(name, 40)})
	}
	caption := b.t("scores.caption", b.testRows(ab))
	names := []string{b.metric("accuracy"), b.metric("macro_f1")}
	bar := charts.NewBar()
	bar.SetXAxis(names)
	bar.SetGlobalOptions(shared(caption, withLegend)...)
	bar.SetGlobalOptions(
		charts.WithXAxisOpts(opts.XAxis{Type: "category", AxisLabel: shown(), AxisTick: &opts.AxisTick{Show: opts.Bool(false)}}),
		charts.WithYAxisOpts(opts.YAxis{Type: "value", Min: 0, Max: 1, AxisLabel: shown()}))
	t := &table{Caption: caption, Head: b.head("model", "kind", ">metric.accuracy", ">metric.macro_f1", "detail")}
	for _, c := range all {
		var data []opts.BarData
		for _, v := range []float64{c.scores.Accuracy, c.scores.MacroF1} {
			d := opts.BarData{Value: finite(v)}
			d.Label = &opts.Label{Show: opts.Bool(true), Position: "top", Formatter: percent(v)}
			data = append(data, d)
		}
		bar.AddSeries(c.series, data, barWidth("56"), charts.WithItemStyleOpts(opts.ItemStyle{Color: c.colour}))
		t.Rows = append(t.Rows, []cell{rowHead(c.name), text(b.or("kind."+c.kind, c.kind)), num(percent(c.scores.Accuracy)), num(percent(c.scores.MacroF1)), {Text: c.detail, Class: "text"}})
	}
	return b.chart(bar, caption, 320, t)
}

// differences draws each interval as a line with its estimate, shares and other figures apart since
// their scales differ.
func (b *builder) differences(ds []experiments.Difference) []block {
	t := &table{Caption: b.t("differences.caption"), Head: b.head("metric", ">a", ">b", ">delta", ">interval", "reading")}
	resamples := 0
	var shares []experiments.Difference
	for _, d := range ds {
		t.Rows = append(t.Rows, []cell{rowHead(b.metric(d.Metric)), num(level(d.Metric, d.A)), num(level(d.Metric, d.B)), num(change(d.Metric, d.Delta)),
			num(b.t("fromTo", change(d.Metric, d.Low), change(d.Metric, d.High))), b.reading(d)})
		resamples = max(resamples, d.Resamples)
		if isShare(d.Metric) {
			shares = append(shares, d)
		}
	}
	out := []block{{Table: t}, {Text: b.t("differences.how", count(resamples))}}
	if len(shares) > 0 {
		out = append([]block{{Charts: []chart{b.intervals(shares)}}}, out...)
	}
	return out
}

func (b *builder) reading(d experiments.Difference) cell {
	up := d.Better != "lower"
	switch {
	case d.Reading != "":
		return b.readingOf(d.Reading)
	case finite(d.Low) == nil || finite(d.High) == nil:
		return cell{Text: "–"}
	case d.Low <= 0 && d.High >= 0:
		return cell{Text: b.t("reading.open"), Class: "quiet"}
	case d.Low > 0 == up:
		return cell{Text: b.t("reading.better"), Class: "good"}
	}
	return cell{Text: b.t("reading.worse"), Class: "bad"}
}

func (b *builder) intervals(ds []experiments.Difference) chart {
	caption := b.t("intervals.caption")
	names := make([]string, len(ds))
	t := &table{Caption: caption, Head: b.head("metric", ">low", ">delta", ">high")}
	line := charts.NewLine()
	line.SetGlobalOptions(shared(caption, withAxisName)...)
	for i, d := range ds {
		names[i] = b.metric(d.Metric)
		t.Rows = append(t.Rows, []cell{rowHead(names[i]), num(signed(100*d.Low, 1)), num(signed(100*d.Delta, 1)), num(signed(100*d.High, 1))})
	}
	line.SetGlobalOptions(
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(false)}),
		charts.WithXAxisOpts(opts.XAxis{Type: "value", Name: b.t("points.axis"), NameLocation: "middle", NameGap: 28, AxisLabel: shown()}),
		charts.WithYAxisOpts(categories(names)))
	for i, d := range ds {
		data := []opts.LineData{
			{Value: []any{share(d.Low), i}, Symbol: "rect", SymbolSize: 6},
			{Value: []any{share(d.Delta), i}, Symbol: "circle", SymbolSize: 11},
			{Value: []any{share(d.High), i}, Symbol: "rect", SymbolSize: 6},
		}
		more := []charts.SeriesOpts{
			charts.WithLineStyleOpts(opts.LineStyle{Color: colourB, Width: 2}), charts.WithItemStyleOpts(opts.ItemStyle{Color: colourB}),
			charts.WithLineChartOpts(opts.LineChart{ShowSymbol: opts.Bool(true)}),
		}
		if i == 0 { // zero: no difference
			more = append(more, charts.WithMarkLineNameXAxisItemOpts(opts.MarkLineNameXAxisItem{Name: "0", XAxis: "0"}),
				charts.WithMarkLineStyleOpts(opts.MarkLineStyle{Symbol: []string{"none", "none"}, Label: &opts.Label{Show: opts.Bool(false)},
					LineStyle: &opts.LineStyle{Type: "dashed", Color: "--quiet", Width: 1}}))
		}
		line.AddSeries(names[i], data, more...)
	}
	return b.chart(line, caption, 70+44*len(ds), t)
}

// share is a chart's value in percentage points.
func share(v float64) any {
	if finite(v) == nil {
		return nil
	}
	r, err := strconv.ParseFloat(fixed(100*v, 3), 64)
	if err != nil {
		return nil
	}
	return r
}
