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

// verdict says in one sentence what the A/B test shows of accuracy, and no more than its interval
// allows; then how both stand to the best baseline.
func (b *builder) verdict(p *page) {
	ab := b.in.AB
	p.Tone = "none"
	if ab == nil {
		p.Verdict = b.t("verdict.none")
		return
	}
	a, z := ab.Arms[0].Scores, ab.Arms[1].Scores
	rows := b.testRows(ab)
	d := find(ab, "accuracy")
	switch {
	case d == nil || finite(d.Delta) == nil || finite(d.Low) == nil || finite(d.High) == nil:
		p.Verdict = b.t("verdict.plain", percent(z.Accuracy), percent(a.Accuracy), rows)
	case d.Low > 0:
		p.Tone = "gain"
		p.Verdict = b.t("verdict.gain", percent(d.B), percent(d.A), points(d.Delta), points(d.Low), points(d.High), rows)
	case d.High < 0:
		p.Tone = "loss"
		p.Verdict = b.t("verdict.loss", percent(d.B), percent(d.A), points(-d.Delta), points(-d.High), points(-d.Low), rows)
	default:
		p.Tone = "open"
		p.Verdict = b.t("verdict.open", signed(100*d.Delta, 1), signed(100*d.Low, 1), signed(100*d.High, 1), percent(d.B), percent(d.A), rows)
	}
	b.testSet(p, ab.TestSet)
	b.remarks(p, ab)
	p.Tiles = b.tiles(ab)
}

// points writes a share as percentage points.
func points(v float64) string { return typeset(fixed(100*v, 1)) }

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
	la, lz := ab.Arms[0].Latency, ab.Arms[1].Latency
	out = append(out, tile{b.t("tile.latency"), millis(lz.MedianMS) + narrow + "ms", []string{b.t("tile.fromMS", millis(la.MedianMS))}})
	return append(out, tile{b.t("tile.rows"), count(ab.Rows), []string{b.t("tile.discordant", count(ab.McNemar.OnlyA+ab.McNemar.OnlyB))}})
}
