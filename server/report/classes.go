package report

import (
	"strings"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"triality/experiments"
)

func (b *builder) classes() section {
	s := b.section("classes")
	ab := b.in.AB
	if ab == nil || len(ab.Arms[0].PerClass) == 0 || len(ab.Arms[1].PerClass) == 0 {
		return s.without(b.t("missing.classes"))
	}
	t := &table{Caption: b.t("classes.caption"), Head: b.head("class", ">support", ">precisionA", ">precisionB", ">recallA", ">recallB", ">f1A", ">f1B", ">f1Delta")}
	for i, a := range ab.Arms[0].PerClass {
		if i >= len(ab.Arms[1].PerClass) {
			break
		}
		z := ab.Arms[1].PerClass[i]
		t.Rows = append(t.Rows, []cell{rowHead(a.Label), num(count(a.Support)), num(percent(a.Precision)), num(percent(z.Precision)),
			num(percent(a.Recall)), num(percent(z.Recall)), num(percent(a.F1)), num(percent(z.F1)), num(signed(100*(z.F1-a.F1), 1))})
	}
	s.Blocks = append(s.Blocks, block{Table: t}, block{Text: b.t("classes.note")})
	return s
}

func (b *builder) confusion() section {
	s := b.section("confusion")
	if b.in.AB == nil {
		return s.without(b.t("missing.confusion"))
	}
	var pair []chart
	for i, a := range b.in.AB.Arms {
		if len(a.Confusion) > 0 {
			pair = append(pair, b.matrix(i, a))
		}
	}
	if pair == nil {
		return s.without(b.t("missing.confusion"))
	}
	s.Blocks = append(s.Blocks, block{Charts: pair}, block{Text: b.t("confusion.note")})
	return s
}

// matrix draws counts; a cell's shade is its share of the row.
func (b *builder) matrix(i int, a experiments.ArmResult) chart {
	caption := b.t("confusion.caption", b.arm(i))
	labels := experiments.Labels
	t := &table{Caption: caption, Head: []cell{{Text: b.t("confusion.corner")}}}
	for _, l := range labels {
		t.Head = append(t.Head, cell{Text: l, Class: "num"})
	}
	var data []opts.HeatMapData
	for y, row := range a.Confusion {
		if y >= len(labels) {
			break
		}
		total := 0
		for _, n := range row {
			total += n
		}
		cells := []cell{rowHead(labels[y])}
		for x, n := range row {
			if x >= len(labels) {
				break
			}
			rate := 0.0
			if total > 0 {
				rate = float64(n) / float64(total)
			}
			data = append(data, opts.HeatMapData{Name: count(n), Value: []any{x, y, rate}})
			cells = append(cells, num(count(n)))
		}
		t.Rows = append(t.Rows, cells)
	}
	m := charts.NewHeatMap()
	m.SetGlobalOptions(shared(caption, withAxisName)...)
	m.SetGlobalOptions(
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(false)}),
		charts.WithXAxisOpts(opts.XAxis{Type: "category", Data: labels, Name: b.t("confusion.predicted"), NameLocation: "middle", NameGap: 28,
			AxisLabel: &opts.AxisLabel{Show: opts.Bool(true), Interval: "0", FontSize: 10}, AxisTick: &opts.AxisTick{Show: opts.Bool(false)}}),
		charts.WithYAxisOpts(categories(labels)),
		charts.WithVisualMapOpts(opts.VisualMap{Min: 0, Max: 1, Show: opts.Bool(false), InRange: &opts.VisualMapInRange{Color: []string{colourLow, colourHigh}}}))
	// Decals would hide the numbers, and the numbers say more.
	m.Aria.Decal = nil
	m.AddSeries(a.Name, data, charts.WithLabelOpts(opts.Label{Show: opts.Bool(true), Formatter: "{b}", Color: "--ink"}))
	return b.chart(m, caption, 300, t)
}

func (b *builder) latency() section {
	s := b.section("latency")
	ab := b.in.AB
	if ab == nil {
		return s.without(b.t("missing.latency"))
	}
	caption := b.t("latency.caption", ab.Device, count(ab.Warmup))
	t := &table{Caption: caption, Head: b.head("model", ">median", ">p95", ">mean")}
	bar := charts.NewBar()
	bar.SetGlobalOptions(shared(caption, withLegend)...)
	bar.SetGlobalOptions(
		charts.WithXAxisOpts(opts.XAxis{Type: "category", AxisLabel: shown(), AxisTick: &opts.AxisTick{Show: opts.Bool(false)}}),
		charts.WithYAxisOpts(opts.YAxis{Type: "value", AxisLabel: shown()}))
	bar.SetXAxis([]string{b.t("median"), b.t("p95"), b.t("mean")})
	for i, colour := range []string{colourA, colourB} {
		a := ab.Arms[i]
		l := []float64{a.Latency.MedianMS, a.Latency.P95MS, a.Latency.MeanMS}
		row, data := []cell{rowHead(b.arm(i))}, []opts.BarData{}
		for _, v := range l {
			row = append(row, num(millis(v)))
			data = append(data, opts.BarData{Value: finite(v), Label: &opts.Label{Show: opts.Bool(true), Position: "top", Formatter: millis(v)}})
		}
		t.Rows = append(t.Rows, row)
		bar.AddSeries([2]string{"A", "B"}[i], data, barWidth("56"), charts.WithItemStyleOpts(opts.ItemStyle{Color: colour}))
	}
	s.Blocks = append(s.Blocks, block{Charts: []chart{b.chart(bar, caption, 260, t)}})
	var drawn []experiments.Difference // intervals of blocks of rows; others stand with the differences
	for _, d := range ab.Differences {
		if ab.Inference != nil && strings.HasPrefix(d.Metric, "latency") {
			drawn = append(drawn, d)
		}
	}
	if len(drawn) > 0 {
		how := b.differences(drawn)
		how[len(how)-1] = block{Text: b.t("latency.how", count(drawn[0].Resamples))}
		s.Blocks = append(s.Blocks, how...)
	}
	return s
}
