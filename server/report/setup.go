package report

import (
	"slices"
	"strings"

	"triality/experiments"
)

// configuration shows the run's steps, parameters and YAML.
func (b *builder) configuration() section {
	s := b.section("configuration")
	r := b.in.Run
	facts := &table{Caption: b.t("run.caption"), Head: b.head("field", "value"), Rows: [][]cell{
		{rowHead(b.t("run.id")), mono(r.ID)}, {rowHead(b.t("run.status")), text(b.or("status."+string(r.Status), string(r.Status)))},
		{rowHead(b.t("run.started")), text(stamp(r.StartedAt))}, {rowHead(b.t("run.took")), text(span(r.StartedAt, r.EndedAt))},
	}}
	if r.Error != "" {
		facts.Rows = append(facts.Rows, []cell{rowHead(b.t("run.error")), {Text: r.Error, Class: "bad text"}})
	}
	s.Blocks = append(s.Blocks, block{Table: facts})
	if len(r.Steps) > 0 {
		t := &table{Caption: b.t("steps.caption"), Head: b.head("step.name", "run.status", ">run.took")}
		failed := slices.ContainsFunc(r.Steps, func(st experiments.Step) bool { return st.Error != "" })
		if failed {
			t.Head = append(t.Head, b.head("step.error")...)
		}
		for _, st := range r.Steps {
			row := []cell{rowHead(b.or("step."+string(st.Kind), string(st.Kind))), text(b.or("status."+string(st.Status), string(st.Status))), num(span(st.StartedAt, st.EndedAt))}
			if failed {
				row = append(row, cell{Text: st.Error, Class: "bad text"})
			}
			t.Rows = append(t.Rows, row)
		}
		s.Blocks = append(s.Blocks, block{Table: t})
	}
	if len(r.Params) > 0 {
		s.Blocks = append(s.Blocks, block{Table: b.pairs("params.caption", r.Params)})
	}
	if strings.TrimSpace(r.Config) != "" {
		s.Blocks = append(s.Blocks, block{Code: &code{b.t("yaml"), r.Config}})
	}
	if len(r.Params) == 0 && r.Config == "" {
		s.Blocks = append(s.Blocks, block{Text: b.t("missing.configuration")})
	}
	return s
}

func (b *builder) pairs(caption string, m map[string]string) *table {
	t := &table{Caption: b.t(caption), Head: b.head("field", "value")}
	for _, k := range sortedKeys(m) {
		t.Rows = append(t.Rows, []cell{rowHead(k), {Text: m[k], Class: "text"}})
	}
	return t
}

// data sums up what the convert step found.
func (b *builder) data() section {
	s := b.section("data")
	d := b.in.Data
	if d == nil {
		return s.without(b.t("missing.data"))
	}
	s.Blocks = append(s.Blocks, block{Text: b.t("data.sentence", count(d.Rows), count(d.Groups), count(d.Skipped), count(d.Duplicates), count(d.Dropped))})
	leaks := b.t("data.noLeaks")
	if d.Leaks > 0 {
		leaks = b.t("data.leaks", count(d.Leaks))
	}
	s.Blocks = append(s.Blocks, block{Text: leaks})
	if d.Unproven > 0 {
		s.Blocks = append(s.Blocks, block{Text: b.t("data.unproven", count(d.Unproven))})
	}
	if d.Contradictions+d.Mismatches > 0 {
		s.Blocks = append(s.Blocks, block{Text: b.t("data.doubtful", count(d.Contradictions), count(d.Mismatches))})
	}
	if said := slices.Concat(d.Missing, d.Findings); len(said) > 0 {
		s.Blocks = append(s.Blocks, block{Heading: b.t("data.findings"), List: said})
	}
	if len(d.Splits) > 0 {
		s.Blocks = append(s.Blocks, block{Table: b.splits(d)})
	}
	if len(d.Domains) > 0 {
		t := &table{Caption: b.t("domains.caption"), Head: append(b.head("domain"), labelHeads()...)}
		t.Head = append(t.Head, cell{Text: b.t("rows"), Class: "num"})
		for _, name := range sortedKeys(d.Domains) {
			t.Rows = append(t.Rows, labelRow(name, d.Domains[name]))
		}
		s.Blocks = append(s.Blocks, block{Table: t})
	}
	if len(d.Languages) > 0 {
		t := &table{Caption: b.t("languages.caption"), Head: b.head("language", ">rows")}
		for _, name := range sortedKeys(d.Languages) {
			t.Rows = append(t.Rows, []cell{rowHead(b.or("language."+name, name)), num(count(d.Languages[name]))})
		}
		s.Blocks = append(s.Blocks, block{Table: t})
	}
	if n := len(d.Problems); n > 0 {
		const some = 10
		s.Blocks = append(s.Blocks, block{Heading: b.t("problems", count(min(n, some)), count(n)), List: d.Problems[:min(n, some)]})
	}
	return s
}

func labelHeads() (out []cell) {
	for _, l := range experiments.Labels {
		out = append(out, cell{Text: l, Class: "num"})
	}
	return out
}

func labelRow(name string, labels map[string]int) []cell {
	row, sum := []cell{rowHead(name)}, 0
	for _, n := range labels {
		sum += n
	}
	for _, l := range experiments.Labels {
		row = append(row, num(count(labels[l])))
	}
	return append(row, num(count(sum)))
}

func (b *builder) splits(d *experiments.DatasetSummary) *table {
	t := &table{Caption: b.t("splits.caption", d.Seed), Head: append(b.head("split"), labelHeads()...)}
	t.Head = append(t.Head, b.head(">rows", ">groups", ">tokens")...)
	for _, sp := range d.Splits {
		row := append(labelRow(b.or("split."+sp.Name, sp.Name), sp.Labels), num(count(sp.Groups)), num(count(sp.Tokens)))
		row[len(experiments.Labels)+1] = num(count(sp.Rows))
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (b *builder) environment() section {
	s := b.section("environment")
	env := b.in.Environment
	if len(env) == 0 && b.in.AB != nil {
		env = b.in.AB.Environment
	}
	if len(env) == 0 {
		return s.without(b.t("missing.environment"))
	}
	s.Blocks = append(s.Blocks, block{Table: b.pairs("environment.caption", env)})
	return s
}
