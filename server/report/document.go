package report

import (
	"context"
	"fmt"
	"io"
	"slices"

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
	case experiments.BlockCurves:
		return a.with(a.own, func(b *builder) section { return b.runCurves(x, a.doc) })
	case experiments.BlockPaired:
		return a.with(a.own, func(b *builder) section { return b.paired(x, a.doc) })
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
