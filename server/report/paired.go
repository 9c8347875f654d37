package report

import (
	"triality/experiments"
)

// paired shows two runs on the rows that both judged: one sentence, what stands on each side, the figures with their
// intervals, and rows that are answered differently.
func (b *builder) paired(x experiments.ReportBlock, d experiments.ReportDocument) section {
	s := section{Title: b.t("section.paired")}
	sides := x.Sides()
	p, ok := d.Pairs[sides]
	if !ok {
		return s.without(b.t("missing.pair"))
	}
	if p.Result.Rows == 0 {
		return s.without(b.t("paired.noRows", clip(p.Names[0], 60), clip(p.Names[1], 60)))
	}
	in := &builder{in: experiments.ReportInput{AB: &p.Result, Language: b.in.Language}, texts: b.texts, now: b.now, charts: b.charts}
	if inf := p.Result.Inference; inf == nil {
		s.Blocks = append(s.Blocks, block{Text: b.t("paired.noInference")})
	} else {
		for i := range inf.Comparisons {
			c := &inf.Comparisons[i]
			if c.Role == experiments.RolePrimary && c.Rows > 0 {
				s.Blocks = append(s.Blocks, block{Lead: b.t("paired.sentence", b.metric(c.Metric), count(p.Result.Rows), level(c.Metric, float64(c.B.Value)), level(c.Metric, float64(c.A.Value)),
					change(c.Metric, float64(c.Delta.Value)), decimal(100*inf.Level), change(c.Metric, float64(c.Delta.Low)), change(c.Metric, float64(c.Delta.High)), b.readingOf(c.Reading).Text)})
			}
		}
	}
	t := &table{Caption: b.t("paired.caption"), Head: b.head("model", "run", "paired.arm", "paired.folder", ">paired.only")}
	for i, letter := range []string{"A", "B"} {
		t.Rows = append(t.Rows, []cell{{Text: letter, Row: true, Class: [2]string{"a", "b"}[i]}, {Text: clip(p.Names[i], 60), Class: "text"}, text(b.t("side." + sides[i].Arm)),
			{Text: clip(p.Models[i], 80), Class: "text"}, num(count([2]int{p.OnlyA, p.OnlyB}[i]))})
	}
	m := p.Result.McNemar
	s.Blocks = append(s.Blocks, block{Table: t}, block{Text: b.t("paired.counts", count(p.BothRight), count(m.OnlyB), count(m.OnlyA), count(p.BothWrong))})
	if p.Relabelled > 0 {
		s.Blocks = append(s.Blocks, block{Text: b.t("paired.relabelled", count(p.Relabelled))})
	}
	if p.Result.Inference != nil {
		s.Blocks = append(s.Blocks, in.decision().Blocks...)
	}
	s.Blocks = append(s.Blocks, in.disagreements().Blocks...)
	b.charts, b.faults = in.charts, append(b.faults, in.faults...)
	return s
}
