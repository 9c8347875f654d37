package report

import (
	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"triality/experiments"
)

// pair is one group's figure of both arms, shares of one.
type pair struct {
	name  string
	rows  int
	a, b  float64
	cells []cell // what its row of the table has between its rows and its figures
}

// perClass draws F1 by class.
func (b *builder) perClass(most int) (chart, bool) {
	var pairs []pair
	ab := b.in.AB
	for i, a := range ab.Arms[0].PerClass[:min(len(ab.Arms[0].PerClass), most)] {
		if i < len(ab.Arms[1].PerClass) {
			pairs = append(pairs, pair{name: clip(a.Label, 30), rows: a.Support, a: a.F1, b: ab.Arms[1].PerClass[i].F1})
		}
	}
	if pairs == nil {
		return chart{}, false
	}
	return b.pairChart(b.t("classes.f1"), b.head("class", ">support", ">f1A", ">f1B", ">f1Delta"), pairs), true
}

// perGroup draws accuracy by the largest groups of a kind.
func (b *builder) perGroup(by string, most int) (chart, bool) {
	var pairs []pair
	left := 0
	for _, g := range b.in.Groups {
		switch {
		case g.By != by || g.Rows == 0:
		case len(pairs) == most:
			left++
		default:
			n := float64(g.Rows)
			pairs = append(pairs, pair{name: b.groupName(g), rows: g.Rows, a: float64(g.RightA) / n, b: float64(g.RightB) / n,
				cells: []cell{num(count(g.OnlyA)), num(count(g.OnlyB))}})
		}
	}
	if len(pairs) < 2 { // one group is all rows
		return chart{}, false
	}
	caption := b.t("groups." + by)
	if left > 0 {
		caption += b.t("groups.largest", count(len(pairs)), count(len(pairs)+left))
	}
	return b.pairChart(caption, b.head(by, ">rows", ">onlyA", ">onlyB", ">accuracyA", ">accuracyB", ">delta"), pairs), true
}

func (b *builder) groupName(g experiments.GroupScore) string {
	if g.By == "language" {
		return b.or("language."+g.Value, clip(g.Value, 30))
	}
	return clip(g.Value, 30)
}

func (b *builder) pairChart(caption string, head []cell, pairs []pair) chart {
	t := &table{Caption: caption, Head: head}
	bar := charts.NewBar()
	bar.SetGlobalOptions(shared(caption, withLegend)...)
	bar.SetGlobalOptions(
		charts.WithXAxisOpts(opts.XAxis{Type: "category", AxisLabel: shown(), AxisTick: &opts.AxisTick{Show: opts.Bool(false)}}),
		charts.WithYAxisOpts(opts.YAxis{Type: "value", Min: 0, Max: 1, AxisLabel: shown()}))
	names := make([]string, len(pairs))
	data := [2][]opts.BarData{}
	for i, p := range pairs {
		names[i] = p.name
		for k, v := range []float64{p.a, p.b} {
			data[k] = append(data[k], opts.BarData{Value: finite(v), Label: &opts.Label{Show: opts.Bool(true), Position: "top", Formatter: percent(v)}})
		}
		row := append([]cell{rowHead(p.name), num(count(p.rows))}, p.cells...)
		t.Rows = append(t.Rows, append(row, num(percent(p.a)), num(percent(p.b)), num(signed(100*(p.b-p.a), 1))))
	}
	bar.SetXAxis(names)
	for i, colour := range []string{colourA, colourB} {
		bar.AddSeries([2]string{"A", "B"}[i], data[i], barWidth("40"), charts.WithItemStyleOpts(opts.ItemStyle{Color: colour}))
	}
	c := b.chart(bar, caption, 165, t)
	c.Beside = true
	return c
}
