package report

import (
	"cmp"
	"slices"
	"strings"

	"triality/experiments"
)

// What the pages before the appendix show at most, so that they stay at most three on paper; the appendix has the rest.
const (
	mostDecisions = 8
	mostValues    = 5 // of a language or domain
	mostClasses   = 8
	longestRemark = 420 // characters
	longestTitle  = 120
)

// modelNames are both arms' names, "micro, fine-tuned, SO8T"; empty where nothing says what a model is.
func (b *builder) modelNames() (out [2]string) {
	if b.in.AB == nil {
		return out
	}
	for i, n := range experiments.ModelNames(b.in.Run, b.in.AB) {
		parts := []string{clip(n.Base, 40)}
		for _, d := range n.Done {
			parts = append(parts, b.t("done."+d))
		}
		if n.Mark != "" {
			parts = append(parts, clip(n.Mark, 20))
		}
		out[i] = strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), b.t("comma"))
	}
	return out
}

// arm is an arm's letter and its model's name.
func (b *builder) arm(i int) string {
	letter := [2]string{"A", "B"}[i]
	if name := b.names[i]; name != "" {
		return letter + " · " + name
	}
	return letter
}

// models says who is compared.
func (b *builder) models() section {
	s := b.section("models")
	t := &table{Caption: b.t("models.caption"), Head: b.head("model", "kind", ">metric.accuracy", ">metric.macro_f1", ">metric.latency_median_ms")}
	for i, a := range b.in.AB.Arms {
		t.Rows = append(t.Rows, []cell{{Text: b.arm(i), Row: true, Class: [2]string{"a", "b"}[i]}, text(b.or("kind."+a.Kind, a.Kind)),
			num(percent(a.Scores.Accuracy)), num(percent(a.Scores.MacroF1)), num(millis(a.Latency.MedianMS))})
	}
	for k, a := range b.in.AB.Others {
		if k == 4 {
			break
		}
		if a.Kind == "baseline" { // below
			continue
		}
		latency := "–"
		if a.Latency.MedianMS > 0 {
			latency = millis(a.Latency.MedianMS)
		}
		t.Rows = append(t.Rows, []cell{rowHead(b.armName(a.Name)), {Text: b.or("kind."+a.Kind, clip(a.Kind, 20)), Class: "quiet"},
			num(percent(a.Scores.Accuracy)), num(percent(a.Scores.MacroF1)), num(latency)})
	}
	for k, f := range b.in.AB.Baselines {
		if k == 4 {
			break
		}
		t.Rows = append(t.Rows, []cell{rowHead(b.or("baseline."+f.Name, clip(f.Name, 40))), {Text: b.t("baseline"), Class: "quiet"},
			num(percent(f.Scores.Accuracy)), num(percent(f.Scores.MacroF1)), num("–")})
	}
	s.Blocks = append(s.Blocks, block{Table: t})
	return s
}

// decision shows what the verdict stands on: the primary metric and the guardrails, each with its interval drawn.
func (b *builder) decision() section {
	s := b.section("decision")
	ab := b.in.AB
	level := 0.95
	t := &table{Head: b.head("metric", ">a", ">b", ">delta", ">interval", "drawn", "design", "finding")}
	if ab.Inference == nil {
		t.Head = slices.Concat(t.Head[:6], b.head("reading"))
		drawn := intervalsOf(ab.Differences)
		for i, d := range ab.Differences[:min(len(ab.Differences), mostDecisions)] {
			t.Rows = append(t.Rows, append(b.figuresOf(d), cell{Interval: drawn[i]}, b.reading(d)))
		}
	} else {
		level = ab.Inference.Level
		var cs []experiments.Comparison
		for _, c := range ab.Inference.Comparisons {
			if c.Rows > 0 && (c.Role != experiments.RoleSecondary || c.Metric == "accuracy" || c.Metric == "macro_f1") {
				cs = append(cs, c)
			}
		}
		rank := map[string]int{experiments.RolePrimary: 0, experiments.RoleGuardrail: 1}
		slices.SortStableFunc(cs, func(x, y experiments.Comparison) int {
			of := func(c experiments.Comparison) int {
				if r, ok := rank[c.Role]; ok {
					return r
				}
				return 2
			}
			return cmp.Compare(of(x), of(y))
		})
		more := len(cs) - mostDecisions
		cs = cs[:min(len(cs), mostDecisions)]
		ds := make([]experiments.Difference, len(cs))
		for i, c := range cs {
			ds[i] = experiments.Difference{Metric: c.Metric, A: float64(c.A.Value), B: float64(c.B.Value), Delta: float64(c.Delta.Value),
				Low: float64(c.Delta.Low), High: float64(c.Delta.High), Better: c.Better, Reading: c.Reading}
		}
		drawn := intervalsOf(ds)
		for i, c := range cs {
			drawn[i].margin(c)
			row := append(b.figuresOf(ds[i]), cell{Interval: drawn[i]}, cell{Text: b.wanted(&c), Class: "text"})
			if c.Role == experiments.RoleSecondary {
				row = append(row, b.readingOf(c.Reading))
			} else {
				row = append(row, cell{Text: b.or("finding."+c.Finding, c.Finding), Class: findingClass[c.Finding]})
			}
			t.Rows = append(t.Rows, row)
		}
		if more > 0 {
			s.Blocks = append(s.Blocks, block{Text: b.t("decision.more", count(more))})
		}
	}
	if len(t.Rows) == 0 {
		return s.without(b.t("missing.differences"))
	}
	t.Caption = b.t("decision.caption", decimal(100*level))
	s.Blocks = append([]block{{Table: t}, {Text: b.t("decision.how")}}, s.Blocks...)
	return s
}

var findingClass = map[string]string{experiments.FindingShown: "good", experiments.FindingRefuted: "bad", experiments.FindingOpen: "quiet"}

// figuresOf are the cells of a difference: name, A, B, B − A, interval.
func (b *builder) figuresOf(d experiments.Difference) []cell {
	return []cell{rowHead(clip(b.metric(d.Metric), 60)), num(level(d.Metric, d.A)), num(level(d.Metric, d.B)), num(change(d.Metric, d.Delta)),
		{Text: b.t("fromTo", change(d.Metric, d.Low), change(d.Metric, d.High)), Class: "num keep"}}
}

// groups shows both models by class, language and domain, each chart with its table.
func (b *builder) groups() section {
	s := b.section("groups")
	if c, ok := b.perClass(mostClasses); ok {
		s.Blocks = append(s.Blocks, block{Charts: []chart{c}})
	}
	var drawn []chart
	for _, by := range []string{"language", "domain"} {
		if c, ok := b.perGroup(by, mostValues); ok {
			drawn = append(drawn, c)
		}
	}
	if drawn != nil {
		s.Blocks = append(s.Blocks, block{Charts: drawn})
	}
	if len(s.Blocks) == 0 {
		return s.without(b.t("missing.groups"))
	}
	return s
}

// trained says in a few rows what was trained on what, and what it was tested on.
func (b *builder) trained() section {
	s := b.section("trained")
	t := &table{Caption: b.t("trained.caption"), Head: b.head("field", "value")}
	add := func(key, value string) {
		if value != "" {
			t.Rows = append(t.Rows, []cell{rowHead(b.t(key)), {Text: clip(value, 160), Class: "text"}})
		}
	}
	p := b.in.Run.Params
	of := func(keys ...string) string {
		var said []string
		for _, k := range keys {
			if v := p[k]; v != "" && len(said) < 12 {
				_, short, _ := strings.Cut(k, ".")
				said = append(said, clip(short, 40)+" "+clip(v, 40))
			}
		}
		return strings.Join(said, " · ")
	}
	add("trained.base", strings.Join(slices.DeleteFunc([]string{p["model.base_model"], of("model.create.shape", "model.quantization")}, func(v string) bool { return v == "" }), " · "))
	add("trained.finetune", of("training.lora_r", "training.lora_alpha", "training.use_dora", "training.num_train_epochs", "training.learning_rate", "training.lr_scheduler_type",
		"training.per_device_train_batch_size", "training.gradient_accumulation_steps"))
	add("trained.so8t", of("so8t.num_train_epochs", "so8t.learning_rate"))
	add("trained.seed", p["seed"])
	if d := b.in.Data; d != nil {
		add("trained.files", b.t("trained.of", count(len(d.Files)), strings.Join(d.Files[:min(3, len(d.Files))], ", "), count(d.Rows), count(d.Groups)))
		var parts []string
		for _, sp := range d.Splits[:min(len(d.Splits), 6)] {
			parts = append(parts, b.or("split."+sp.Name, clip(sp.Name, 20))+" "+count(sp.Rows))
		}
		add("splits", strings.Join(parts, " · "))
		parts = nil
		for _, l := range sortedKeys(d.Languages)[:min(len(d.Languages), 8)] {
			parts = append(parts, b.or("language."+l, clip(l, 20))+" "+count(d.Languages[l]))
		}
		add("languages", strings.Join(parts, " · "))
	}
	if ab := b.in.AB; ab != nil {
		tested := b.testRows(ab)
		if ab.TestSet != nil && ab.TestSet.Path != "" {
			tested += " · " + ab.TestSet.Path
		}
		add("trained.test", tested)
		add("trained.device", ab.Device)
	}
	if len(t.Rows) == 0 {
		return s.without(b.t("missing.trained"))
	}
	s.Blocks = append(s.Blocks, block{Table: t})
	if loss := b.losses(); loss != nil {
		s.Blocks = append(s.Blocks, block{Charts: []chart{*loss}})
	}
	return s
}
