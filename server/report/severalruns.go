package report

import (
	"fmt"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"triality/experiments"
)

// there are a block's runs that are not gone; how many are is said.
func (b *builder) there(s *section, x experiments.ReportBlock, known map[string]experiments.Run) (runs []experiments.Run) {
	gone := 0
	for _, id := range x.Runs {
		if r, ok := known[id]; ok {
			runs = append(runs, r)
		} else {
			gone++
		}
	}
	if gone > 0 {
		s.Blocks = append(s.Blocks, block{Text: b.t("runs.gone", count(gone))})
	}
	return runs
}

// runCurves draws each metric of several runs in one chart, a line a run.
func (b *builder) runCurves(x experiments.ReportBlock, d experiments.ReportDocument) section {
	s := section{Title: b.t("section.curves")}
	runs := b.there(&s, x, d.Runs)
	if len(runs) == 0 {
		return s.without(b.t("missing.runs"))
	}
	for _, m := range x.Metrics {
		title := b.series(m)
		t := &table{Caption: title, Head: append(b.head("run"), b.seriesHead()[1:]...)}
		line := charts.NewLine()
		line.SetGlobalOptions(shared(title, withBoth)...)
		line.SetGlobalOptions(b.overSteps()...)
		for i, r := range runs {
			points := d.Series[r.ID][m]
			if len(points) == 0 {
				continue
			}
			name := clip(r.Name, 40)
			line.AddSeries(name, lineData(points), lineOf(fmt.Sprintf("--c%d", i+1), len(points))...)
			t.Rows = append(t.Rows, seriesRow(clip(r.Name, 60), points))
		}
		if t.Rows == nil {
			s.Blocks = append(s.Blocks, block{Text: b.t("curves.none", title)})
			continue
		}
		if left := len(runs) - len(t.Rows); left > 0 {
			s.Blocks = append(s.Blocks, block{Text: b.t("curves.without", count(left), title)})
		}
		s.Blocks = append(s.Blocks, block{Charts: []chart{b.chart(line, title, 300, t)}})
	}
	return s
}

// runs shows runs side by side: what differs among them, and the last values of the chosen metrics.
func (b *builder) runs(x experiments.ReportBlock, known map[string]experiments.Run) section {
	s := section{Title: b.t("section.runs")}
	runs := b.there(&s, x, known)
	if len(runs) == 0 {
		return s.without(b.t("missing.runs"))
	}
	const mostKeys = 4
	keys := differing(runs)
	keys = keys[:min(len(keys), mostKeys)]
	t := &table{Caption: b.t("runs.caption", count(len(runs))), Head: b.head("run", "run.status")}
	for _, k := range keys {
		t.Head = append(t.Head, cell{Text: k, Class: "name"})
	}
	for _, m := range x.Metrics {
		t.Head = append(t.Head, cell{Text: b.series(m), Class: "num name"})
	}
	for _, r := range runs {
		row := []cell{rowHead(clip(r.Name, 60)), text(b.or("status."+string(r.Status), string(r.Status)))}
		for _, k := range keys {
			row = append(row, cell{Text: clip(r.Params[k], 60), Class: "text"})
		}
		for _, m := range x.Metrics {
			v, ok := r.Summary[m]
			if !ok {
				row = append(row, num("–"))
				continue
			}
			row = append(row, num(figure(v)))
		}
		t.Rows = append(t.Rows, row)
	}
	s.Blocks = append(s.Blocks, block{Table: t})
	var drawn []chart
	for _, m := range x.Metrics {
		if c, ok := b.runBars(m, runs); ok {
			drawn = append(drawn, c)
		}
	}
	if drawn != nil {
		s.Blocks = append(s.Blocks, block{Charts: drawn})
	}
	return s
}

// differing are the parameters that are not the same in all runs, by name.
func differing(runs []experiments.Run) []string {
	values := map[string]map[string]bool{}
	for _, r := range runs {
		for k := range r.Params {
			values[k] = map[string]bool{}
		}
	}
	for k, of := range values {
		for _, r := range runs {
			of[r.Params[k]] = true
		}
		if len(of) < 2 {
			delete(values, k)
		}
	}
	return sortedKeys(values)
}

func (b *builder) runBars(metric string, runs []experiments.Run) (chart, bool) {
	title := b.series(metric)
	t := &table{Caption: title, Head: append(b.head("run"), cell{Text: title, Class: "num name"})}
	var names []string
	var data []opts.BarData
	for _, r := range runs {
		if v, ok := r.Summary[metric]; ok {
			names = append(names, clip(r.Name, 40))
			data = append(data, opts.BarData{Value: finite(v)})
			t.Rows = append(t.Rows, []cell{rowHead(clip(r.Name, 60)), num(figure(v))})
		}
	}
	if data == nil {
		return chart{}, false
	}
	bar := charts.NewBar()
	bar.SetGlobalOptions(shared(title, withAxisName)...)
	bar.SetGlobalOptions(charts.WithXAxisOpts(opts.XAxis{Type: "value", AxisLabel: shown()}), charts.WithYAxisOpts(categories(names)))
	bar.AddSeries(title, data, barWidth("18"), charts.WithItemStyleOpts(opts.ItemStyle{Color: colourB}))
	return b.chart(bar, title, 60+22*len(data), t), true
}
