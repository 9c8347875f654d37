package pipeline

import (
	"context"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/dataset"
	"triality/runtime/so8t"
)

// headScores judges an SO8T model's two heads on their own: each against the half of the label that it
// stands for, and their product against the whole. It is nil for a plain model.
func (a *arm) headScores(ctx context.Context, rows []dataset.Row) (*experiments.HeadScores, error) {
	if a.heads == nil {
		return nil, nil
	}
	verdicts, classes := make([]so8t.Verdict, len(rows)), make([]so8t.Class, len(rows))
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return nil, trainError(err)
		}
		ids, err := a.prompt(&rows[i])
		if err != nil {
			return nil, err
		}
		if verdicts[i], err = a.heads.Classify(ctx, ids); err != nil {
			return nil, err
		}
		if classes[i], err = so8t.ParseClass(rows[i].Label); err != nil {
			return nil, err
		}
	}
	return scoreHeads(verdicts, classes), nil
}

func scoreHeads(verdicts []so8t.Verdict, classes []so8t.Class) *experiments.HeadScores {
	gold, product := make([]int, len(classes)), make([]int, len(classes))
	safety, authority := 0.0, 0.0
	for i, class := range classes {
		v := verdicts[i]
		gold[i], product[i] = int(class), int(v.Class())
		if (v.Safety[1] > v.Safety[0]) == (class == so8t.Deny || class == so8t.Refuse) {
			safety++
		}
		if (v.Authority[1] > v.Authority[0]) == (class == so8t.Escalation || class == so8t.Refuse) {
			authority++
		}
	}
	n := float64(len(classes))
	return &experiments.HeadScores{
		Safety: safety / n, Authority: authority / n,
		Product: abtest.Score(gold, product, len(experiments.Labels)),
	}
}
