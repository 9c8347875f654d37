package report

import (
	"strconv"
	"strings"

	"triality/experiments"
	"triality/experiments/verdict"
)

// told are the comparisons that tables of trainings and of other arms have: what decides, and what is of all classes together.
func told(of []experiments.Comparison) (out []*experiments.Comparison) {
	for k := range of {
		c := &of[k]
		switch {
		case c.Rows == 0:
		case c.Role != experiments.RoleSecondary, c.Metric == "accuracy", c.Metric == "macro_f1", c.Metric == "log_loss":
			out = append(out, c)
		}
	}
	return out
}

// seedsBeside are the trainings that a table has beside each other on paper.
const seedsBeside = 4

// trainings shows B − A of each training, and how much of the error is the seeds' and the rows'.
func (b *builder) trainings(ab *experiments.ABResult) (out []block) {
	if ab.Inference == nil || len(ab.Inference.Seeds) < 2 {
		return nil
	}
	seeds := ab.Inference.Seeds
	for from := 0; from < len(seeds); from += seedsBeside {
		to := min(len(seeds), from+seedsBeside)
		t := &table{Caption: b.t("trainings.caption", count(len(seeds))), Head: b.head("metric")}
		for _, seed := range seeds[from:to] {
			t.Head = append(t.Head, cell{Text: b.t("trainings.seed", strconv.FormatUint(seed, 10)), Class: "num"})
		}
		t.Head = append(t.Head, b.head(">trainings.mean", ">trainings.seeds", ">trainings.rows")...)
		for _, c := range told(ab.Inference.Comparisons) {
			if c.Trainings == nil || len(c.Trainings.Delta) != len(seeds) {
				continue
			}
			row := []cell{rowHead(clip(b.metric(c.Metric), 60))}
			for _, d := range c.Trainings.Delta[from:to] {
				row = append(row, num(change(c.Metric, float64(d))))
			}
			t.Rows = append(t.Rows, append(row, num(change(c.Metric, float64(c.Delta.Value))), num(spread(c.Metric, c.Trainings.SeedError)), num(spread(c.Metric, c.Trainings.RowError))))
		}
		out = append(out, block{Table: t})
	}
	out[0].Heading = b.t("trainings")
	return append(out, block{Text: b.t("trainings.how")})
}

// spread is a standard error in the unit of differences.
func spread(metric string, v experiments.Real) string {
	if isShare(metric) {
		return fixed(100*float64(v), 1)
	}
	return figure(float64(v))
}

// others shows arms beside A and B, and how each stands to the two.
func (b *builder) others(ab *experiments.ABResult) []block {
	if ab.Inference == nil || len(ab.Inference.Contrasts) == 0 {
		return nil
	}
	t := &table{Caption: b.t("others.caption", decimal(100*ab.Inference.Level)), Head: b.head("others.to", "others.from", "metric", ">others.delta", ">interval", ">pvalue", "reading")}
	for i := range ab.Inference.Contrasts {
		of := &ab.Inference.Contrasts[i]
		for k := range of.Comparisons {
			c := &of.Comparisons[k]
			if c.Rows == 0 {
				continue
			}
			t.Rows = append(t.Rows, []cell{rowHead(b.armName(of.To)), text(b.armName(of.From)), text(b.metric(c.Metric)), num(change(c.Metric, float64(c.Delta.Value))),
				num(b.t("fromTo", change(c.Metric, float64(c.Delta.Low)), change(c.Metric, float64(c.Delta.High)))), num(strings.TrimPrefix(pvalue(c.Adjusted), "= ")), b.standing(c.Reading)})
		}
	}
	return []block{{Heading: b.t("others"), Table: t}, {Text: b.t("others.how")}}
}

func (b *builder) armName(name string) string { return clip(verdict.ArmName(b.in.Language, name), 60) }

// standing is how an arm stands to the one that it is compared with.
func (b *builder) standing(reading string) cell {
	c := b.readingOf(reading)
	switch reading {
	case experiments.ReadingBetter:
		c.Text = b.t("others.better")
	case experiments.ReadingWorse:
		c.Text = b.t("others.worse")
	}
	return c
}
