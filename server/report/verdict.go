package report

import (
	"math"

	"triality/experiments"
)

// find is the difference of a metric, nil when it was not computed.
func find(ab *experiments.ABResult, metric string) *experiments.Difference {
	for i := range ab.Differences {
		if ab.Differences[i].Metric == metric {
			return &ab.Differences[i]
		}
	}
	return nil
}

// verdict shows the sentence that the A/B test came to, what to know beside it, and how both arms stand to the best
// baseline. The sentence is made with the result (package verdict), so that every place shows the same.
func (b *builder) verdict(p *page) {
	ab := b.in.AB
	p.Tone = "none"
	if ab == nil {
		p.Verdict = b.t("verdict.none")
		return
	}
	rows := b.testRows(ab)
	sentence := ""
	if i := ab.Inference; i != nil {
		sentence = i.Verdict.Text[b.in.Language]
	}
	if sentence == "" {
		p.Verdict = b.t("verdict.old", percent(ab.Arms[1].Scores.Accuracy), percent(ab.Arms[0].Scores.Accuracy), rows)
	} else {
		v := ab.Inference.Verdict
		p.Verdict, p.Tone = sentence, tones[v.Decision]
		p.Remarks = append(p.Remarks, v.Notes[b.in.Language]...)
	}
	b.testSet(p, ab.TestSet)
	b.remarks(p, ab)
	p.Tiles = b.tiles(ab)
}

// tones are the colours of decisions.
var tones = map[string]string{experiments.DecisionShip: "gain", experiments.DecisionKeep: "loss", experiments.DecisionNotKnown: "open"}

func (b *builder) remarks(p *page, ab *experiments.ABResult) {
	var best *experiments.Baseline
	for i := range ab.Baselines {
		if best == nil || ab.Baselines[i].Scores.Accuracy > best.Scores.Accuracy {
			best = &ab.Baselines[i]
		}
	}
	if best == nil {
		return
	}
	name, floor := b.or("baseline."+best.Name, best.Name), best.Scores.Accuracy
	a, z := ab.Arms[0].Scores.Accuracy > floor, ab.Arms[1].Scores.Accuracy > floor
	key := "floor.neither"
	switch {
	case a && z:
		key = "floor.both"
	case a:
		key = "floor.a"
	case z:
		key = "floor.b"
	}
	p.Remarks = append(p.Remarks, b.t(key, name, percent(floor)))
}

func (b *builder) tiles(ab *experiments.ABResult) (out []tile) {
	for _, metric := range []string{"accuracy", "macro_f1"} {
		a, z := ab.Arms[0].Scores.Accuracy, ab.Arms[1].Scores.Accuracy
		if metric == "macro_f1" {
			a, z = ab.Arms[0].Scores.MacroF1, ab.Arms[1].Scores.MacroF1
		}
		notes := []string{b.t("tile.from", percent(a))}
		if d := find(ab, metric); d != nil && !math.IsNaN(d.Low) && !math.IsNaN(d.High) {
			notes = append(notes, b.t("tile.difference", signed(100*d.Delta, 1), signed(100*d.Low, 1), signed(100*d.High, 1)))
		}
		out = append(out, tile{b.t("tile." + metric), percent(z), notes})
	}
	if ab.Inference != nil {
		for k := range ab.Inference.Comparisons {
			c := &ab.Inference.Comparisons[k]
			if c.Role != experiments.RoleGuardrail || c.Rows == 0 {
				continue
			}
			out = append(out, tile{b.t("tile.guardrail", b.metric(c.Metric)), level(c.Metric, float64(c.B.Value)), []string{
				b.t("tile.from", level(c.Metric, float64(c.A.Value))),
				b.t("tile.difference", change(c.Metric, float64(c.Delta.Value)), change(c.Metric, float64(c.Delta.Low)), change(c.Metric, float64(c.Delta.High))),
			}})
		}
	}
	la, lz := ab.Arms[0].Latency, ab.Arms[1].Latency
	out = append(out, tile{b.t("tile.latency"), millis(lz.MedianMS) + narrow + "ms", []string{b.t("tile.fromMS", millis(la.MedianMS))}})
	return append(out, tile{b.t("tile.rows"), count(ab.Rows), []string{b.t("tile.discordant", count(ab.McNemar.OnlyA+ab.McNemar.OnlyB))}})
}
