package report

import (
	"encoding/json"
	"math"
	"strings"

	"triality/experiments"
)

// modules lists what the WebAssembly metrics gave, and what went wrong with those that gave nothing.
func (b *builder) modules() section {
	s := b.section("modules")
	if b.in.AB == nil || len(b.in.AB.Metrics) == 0 {
		return s.without(b.t("missing.modules"))
	}
	t := &table{Caption: b.t("modules.caption"), Head: b.head("module", "version", "sha256", "output", ">value", "direction", ">wall")}
	labels := experiments.ModuleLabels(b.in.AB.Metrics)
	for i, m := range b.in.AB.Metrics {
		name, whole := labels[i], labels[i]
		if len(m.Params) > 0 {
			if p, err := json.Marshal(m.Params); err == nil {
				if whole += " " + string(p); name == m.Name {
					name = clip(whole, 80)
				}
			}
		}
		lead := []cell{{Text: name, Title: whole, Row: true}, text(m.Version), {Text: clip(m.SHA256, 13), Title: m.SHA256, Class: "code"}}
		wall := num(b.t("ms", millis(m.WallMS)))
		if m.Error != "" {
			t.Rows = append(t.Rows, append(lead, cell{Text: b.t("modules.failed", clip(m.Error, 300)), Class: "bad text"}, num("–"), text(""), wall))
			continue
		}
		for i, figure := range b.figures(m) {
			if i > 0 {
				lead, wall = []cell{{}, {}, {}}, num("")
			}
			t.Rows = append(t.Rows, append(append(append([]cell(nil), lead...), figure...), wall))
		}
		if len(m.Outputs)+len(m.Slices) == 0 {
			t.Rows = append(t.Rows, append(lead, text(b.t("modules.nothing")), num("–"), text(""), wall))
		}
	}
	s.Blocks = append(s.Blocks, block{Table: t})
	for i, m := range b.in.AB.Metrics {
		if len(m.Notes) > 0 {
			s.Blocks = append(s.Blocks, block{Text: b.t("modules.notes", labels[i]), List: m.Notes})
		}
		if m.Log != "" {
			s.Blocks = append(s.Blocks, block{Code: &code{Title: b.t("modules.log", labels[i]), Text: m.Log}})
		}
	}
	return s
}

// mostGroups bounds the groups that are shown of one output.
const mostGroups = 20

// figures are the rows of a module's results: name, value and direction of each output, of each group of
// one, and then the same of each slice.
func (b *builder) figures(m experiments.ModuleResult) (rows [][]cell) {
	add := func(lead string, o experiments.MetricOutput) {
		name, direction := lead+o.Name, text(b.or("direction."+o.Direction, o.Direction))
		if o.Groups == nil {
			rows = append(rows, []cell{{Text: name, Class: "text"}, b.output(o), direction})
			return
		}
		for i, g := range o.Groups[:min(len(o.Groups), mostGroups)] {
			one := o
			one.Groups, one.Values = nil, o.Of(i)
			rows = append(rows, []cell{{Text: name + " · " + g, Class: "text"}, b.output(one), direction})
		}
		if more := len(o.Groups) - mostGroups; more > 0 {
			rows = append(rows, []cell{{Text: name, Class: "text"}, {Text: b.t("groups.more", count(more)), Class: "quiet"}, {}})
		}
	}
	for _, o := range m.Outputs {
		add("", o)
	}
	for _, s := range m.Slices {
		value := s.Value
		if value == "" {
			value = b.t("slice.none")
		}
		name := b.t("slice", s.By, clip(value, 60), count(s.Rows))
		if s.Error != "" {
			rows = append(rows, []cell{{Text: name, Class: "text"}, {Text: b.t("modules.failed", clip(s.Error, 300)), Class: "bad text"}, {}})
		}
		for _, o := range s.Outputs {
			add(name+" · ", o)
		}
	}
	return rows
}

// output writes a scalar or an interval, the first values of a vector, or the mean and extent of a column.
func (b *builder) output(o experiments.MetricOutput) cell {
	const some = 8
	if o.Width() == 3 && len(o.Values) == 3 {
		return num(b.t("valueInterval", plain(o.Values[0]), plain(o.Values[1]), plain(o.Values[2]), plain(100*o.Level)))
	}
	if o.Kind == "column" || len(o.Values) > some {
		low, high, sum, n := math.Inf(1), math.Inf(-1), 0.0, 0
		for _, v := range o.Values {
			if finite(v) != nil {
				low, high, sum, n = min(low, v), max(high, v), sum+v, n+1
			}
		}
		if n == 0 {
			return num(b.t("column.none", count(len(o.Values))))
		}
		return num(b.t("column", plain(sum/float64(n)), plain(low), plain(high), count(n)))
	}
	parts := make([]string, len(o.Values))
	for i, v := range o.Values {
		parts[i] = plain(v)
	}
	return num(strings.Join(parts, "  "))
}

const mostDisagreements = 20

// disagreements shows rows on which the two answer differently, those where one is right first.
func (b *builder) disagreements() section {
	s := b.section("disagreements")
	if b.in.AB == nil {
		return s.without(b.t("missing.disagreements"))
	}
	var decided, both []experiments.Sample
	for _, x := range b.in.AB.Samples {
		switch {
		case x.PredictionA == x.PredictionB:
		case x.PredictionA == x.Label || x.PredictionB == x.Label:
			decided = append(decided, x)
		default:
			both = append(both, x)
		}
	}
	all := append(decided, both...)
	if len(all) == 0 {
		return s.without(b.t("missing.disagreements"))
	}
	total := len(all)
	all = all[:min(total, mostDisagreements)]
	t := &table{Caption: b.t("disagreements.caption", count(len(all)), count(total)), Head: b.head(">row", "text", "gold", "a", "b")}
	for _, x := range all {
		t.Rows = append(t.Rows, []cell{{Text: count(x.Index), Class: "num", Row: true}, {Text: clip(x.Text, 220), Class: "text"}, text(x.Label), answer(x.PredictionA, x.Label), answer(x.PredictionB, x.Label)})
	}
	s.Blocks = append(s.Blocks, block{Table: t})
	return s
}

// answer marks right and wrong by a sign, not by colour alone.
func answer(predicted, label string) cell {
	if predicted == label {
		return cell{Text: "✓ " + predicted, Class: "good"}
	}
	return cell{Text: "✗ " + predicted, Class: "bad"}
}
