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
	gold, product := make([]int, len(rows)), make([]int, len(rows))
	safety, authority := 0, 0
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return nil, trainError(err)
		}
		ids, err := a.prompt(&rows[i])
		if err != nil {
			return nil, err
		}
		v, err := a.heads.Classify(ctx, ids)
		if err != nil {
			return nil, err
		}
		class, err := so8t.ParseClass(rows[i].Label)
		if err != nil {
			return nil, err
		}
		gold[i], product[i] = int(class), int(v.Class())
		if (v.Safety[1] > v.Safety[0]) == (class == so8t.Deny || class == so8t.Refuse) {
			safety++
		}
		if (v.Authority[1] > v.Authority[0]) == (class == so8t.Escalation || class == so8t.Refuse) {
			authority++
		}
	}
	n := float64(len(rows))
	return &experiments.HeadScores{
		Safety: float64(safety) / n, Authority: float64(authority) / n,
		Product: abtest.Score(gold, product, len(experiments.Labels)),
	}, nil
}
