package report

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"triality/experiments"
)

// RenderDocument writes a report that a person put together. Errors are those of Render. A block whose run is gone says so
// in its place.
func (r *Reporter) RenderDocument(ctx context.Context, d experiments.ReportDocument, w io.Writer) error {
	if r.broken != nil {
		return r.broken
	}
	texts, ok := catalogue[d.Body.Language]
	if !ok {
		return experiments.Errorf(experiments.CodeInvalid, "report: language %q: want en or ja", d.Body.Language)
	}
	a := &assembly{doc: d, builders: map[string]*builder{}, own: &builder{in: experiments.ReportInput{Language: d.Body.Language}, texts: texts, now: r.now().UTC()}}
	p, err := a.page()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return r.write(ctx, p, w)
}

// assembly makes a page of blocks.
type assembly struct {
	doc      experiments.ReportDocument
	builders map[string]*builder // by run
	own      *builder            // of what is of no run
	charts   int
	sections int
}

func (a *assembly) page() (*page, error) {
	b := a.own
	p := &page{Lang: a.doc.Body.Language, Title: clip(a.doc.Title, longestTitle), Made: b.t("made", stamp(b.now)),
		ContentsTitle: b.t("contents"), NoScript: b.t("noscript")}
	to := &p.Front
	for _, x := range a.doc.Body.Blocks {
		if x.Kind == experiments.BlockAppendix {
			p.AppendixTitle = b.t("appendix")
			to = &p.Appendix
			continue
		}
		s, err := a.section(x)
		if err != nil {
			return nil, err
		}
		a.sections++
		s.ID = fmt.Sprintf("part-%d", a.sections)
		if x.Title != "" {
			s.Title = x.Title
		}
		*to = append(*to, s)
	}
	return p, nil
}

func (a *assembly) section(x experiments.ReportBlock) (section, error) {
	switch x.Kind {
	case experiments.BlockProse:
		text, err := prose(x.Text)
		return section{Blocks: []block{{Prose: text}}}, err
	case experiments.BlockRuns:
		return a.with(a.own, func(b *builder) section { return b.runs(x, a.doc.Runs) })
	}
	in, there := a.doc.Inputs[x.Run]
	if !there {
		return a.with(a.own, func(b *builder) section { return b.section(x.Kind).without(b.t("missing.run", x.Run)) })
	}
	b := a.builders[x.Run]
	if b == nil {
		in.Language = a.doc.Body.Language
		b = &builder{in: in, texts: a.own.texts, now: a.own.now}
		b.names = b.modelNames()
		a.builders[x.Run] = b
	}
	return a.with(b, func(b *builder) section {
		s := b.part(x.Kind)
		if len(a.doc.Inputs) > 1 {
			s.Title += " · " + clip(b.in.Run.Name, 60)
		}
		return s
	})
}

// with lets a builder make a section, with charts of names that the page has not yet.
func (a *assembly) with(b *builder, make func(*builder) section) (section, error) {
	b.charts = a.charts
	s := make(b)
	a.charts = b.charts
	if len(b.faults) > 0 {
		return s, b.faults[0]
	}
	return s, nil
}

// part is a section of a run by its name.
func (b *builder) part(kind string) section {
	if b.in.AB == nil && slices.Contains([]string{"models", "decision", "groups"}, kind) {
		return b.section(kind).without(b.t("missing.ab"))
	}
	return map[string]func() section{
		"verdict": b.verdictSection, "models": b.models, "decision": b.decision, "groups": b.groups, "trained": b.trained, "comparison": b.comparison,
		"classes": b.classes, "confusion": b.confusion, "latency": b.latency, "modules": b.modules, "disagreements": b.disagreements,
		"configuration": b.configuration, "data": b.data, "training": b.training, "so8t": b.so8t, "environment": b.environment,
	}[kind]()
}

// verdictSection is the verdict as a section among others.
func (b *builder) verdictSection() section {
	var p page
	b.verdict(&p)
	return section{Title: b.t("verdict"), Tone: p.Tone, Blocks: []block{{Lead: p.Verdict}, {List: p.Remarks}}}
}

// runs shows runs side by side: what differs among them, and the last values of the chosen metrics.
func (b *builder) runs(x experiments.ReportBlock, known map[string]experiments.Run) section {
	s := section{Title: b.t("section.runs")}
	var runs []experiments.Run
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
		t.Head = append(t.Head, cell{Text: m, Class: "num name"})
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
	t := &table{Caption: metric, Head: append(b.head("run"), cell{Text: metric, Class: "num name"})}
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
	bar.SetGlobalOptions(shared(metric, withAxisName)...)
	bar.SetGlobalOptions(charts.WithXAxisOpts(opts.XAxis{Type: "value", AxisLabel: shown()}), charts.WithYAxisOpts(categories(names)))
	bar.AddSeries(metric, data, barWidth("18"), charts.WithItemStyleOpts(opts.ItemStyle{Color: colourB}))
	return b.chart(bar, metric, 60+22*len(data), t), true
}
