package report

import (
	"slices"

	"triality/experiments"
)

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
	b.floor(p, ab)
	for i := range p.Remarks {
		p.Remarks[i] = clip(p.Remarks[i], longestRemark)
	}
}

// tones are the colours of decisions.
var tones = map[string]string{experiments.DecisionShip: "gain", experiments.DecisionKeep: "loss", experiments.DecisionNotKnown: "open"}

// floor says how both arms stand to the best baseline.
func (b *builder) floor(p *page, ab *experiments.ABResult) {
	var best *experiments.Baseline
	for i := range ab.Baselines {
		if best == nil || ab.Baselines[i].Scores.Accuracy > best.Scores.Accuracy {
			best = &ab.Baselines[i]
		}
	}
	if best == nil || ab.Inference != nil && slices.ContainsFunc(ab.Inference.Contrasts, func(c experiments.Contrast) bool { return c.To == best.Name }) {
		return // the notes compare it with both, by intervals
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
