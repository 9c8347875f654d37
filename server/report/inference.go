package report

import (
	"math"
	"strings"

	"triality/experiments"
)

// inference shows every comparison with its intervals: the primary metric's and the guardrails' with what the design wants
// of them, then the others, whose p-values are corrected together.
func (b *builder) inference(of *experiments.Inference) []block {
	t := &table{Caption: b.t("inference.caption", decimal(100*of.Level)), Head: b.head("metric", "reading", "design", ">delta", ">interval", ">pvalue", ">a", ">b")}
	var drawn []experiments.Difference
	for k := range of.Comparisons {
		c := &of.Comparisons[k]
		if c.Rows == 0 {
			continue
		}
		t.Rows = append(t.Rows, []cell{rowHead(b.metric(c.Metric)), b.readingOf(c.Reading), text(b.design(c)), num(change(c.Metric, float64(c.Delta.Value))),
			num(b.t("fromTo", change(c.Metric, float64(c.Delta.Low)), change(c.Metric, float64(c.Delta.High)))), num(strings.TrimPrefix(pvalue(c.Adjusted), "= ")), num(b.ranged(c.Metric, c.A)), num(b.ranged(c.Metric, c.B))})
		if decides := c.Role != experiments.RoleSecondary; isShare(c.Metric) && c.Delta.Bounded() && (decides || c.Metric == "accuracy" || c.Metric == "macro_f1") {
			drawn = append(drawn, experiments.Difference{Metric: c.Metric, Delta: float64(c.Delta.Value), Low: float64(c.Delta.Low), High: float64(c.Delta.High)})
		}
	}
	out := []block{{Table: t}, {Text: b.t("inference.how")}}
	if len(drawn) > 0 {
		out = append([]block{{Charts: []chart{b.intervals(drawn)}}}, out...)
	}
	return out
}

// ranged is a value with its interval.
func (b *builder) ranged(metric string, e experiments.Estimate) string {
	if !e.Bounded() {
		return level(metric, float64(e.Value))
	}
	return level(metric, float64(e.Value)) + " (" + b.t("fromTo", level(metric, float64(e.Low)), level(metric, float64(e.High))) + ")"
}

// design is what the design wants of a comparison, and whether it is shown.
func (b *builder) design(c *experiments.Comparison) string {
	if c.Role == experiments.RoleSecondary {
		return "–"
	}
	return b.t("design.found", b.wanted(c), b.or("finding."+c.Finding, c.Finding))
}

// wanted is what the design wants of a comparison.
func (b *builder) wanted(c *experiments.Comparison) string {
	if c.Role == experiments.RoleSecondary {
		return b.t("role.secondary")
	}
	margin := decimal(c.Margin)
	if isShare(c.Metric) {
		margin = b.t("inPoints", decimal(100*c.Margin))
	}
	wants := b.t("design.better")
	switch {
	case c.Claim == experiments.ClaimNonInferiority:
		wants = b.t("design.notWorse", margin)
	case c.Claim == experiments.ClaimEquivalence:
		wants = b.t("design.same", margin)
	case c.Margin > 0:
		wants = b.t("design.betterBy", margin)
	}
	return b.t("design.wanted", b.or("role."+c.Role, c.Role), wants)
}

func (b *builder) readingOf(reading string) cell {
	switch reading {
	case experiments.ReadingBetter:
		return cell{Text: b.t("reading.better"), Class: "good"}
	case experiments.ReadingWorse:
		return cell{Text: b.t("reading.worse"), Class: "bad"}
	}
	return cell{Text: b.t("reading.open"), Class: "quiet"}
}

// decimal writes a number without zeros that say nothing.
func decimal(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fixed(math.Round(v*1e6)/1e6, 4), "0"), ".")
}

// clusterTest is the test of accuracy by cluster.
func (b *builder) clusterTest(ab *experiments.ABResult) (block, bool) {
	if ab.Inference == nil {
		return block{}, false
	}
	c := ab.Inference.Of("accuracy")
	if c == nil {
		return block{}, false
	}
	return block{Heading: b.t("clusterTest"), Text: b.t("clusterTest.text", count(ab.McNemar.OnlyB), count(ab.McNemar.OnlyA), count(c.Clusters), pvalue(c.P))}, true
}
