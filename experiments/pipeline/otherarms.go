package pipeline

import (
	"context"
	"fmt"
	"slices"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/config"
	"triality/experiments/dataset"
	comparison "triality/experiments/kinds/abtest"
	"triality/runtime/hub"
)

// otherArms answers the rows with the arms beside A and B, each alone: A and B have been timed in turn, and these do not disturb
// that. floors are what the simple models answered.
func (e *Engine) otherArms(ctx context.Context, rows []dataset.Row, o ABTestOptions, b Source, floors []floor, sink Sink) (out []experiments.ArmResult, err error) {
	gold := make([]int, len(rows))
	for i := range rows {
		gold[i] = experiments.LabelIndex(rows[i].Label)
	}
	for _, a := range o.Arms {
		if k := slices.IndexFunc(floors, func(f floor) bool { return f.Name == a.Name }); k >= 0 {
			out = append(out, scored(experiments.ArmResult{Name: a.Name, Kind: "baseline", Model: floors[k].Detail}, gold, experiments.Answers{Predictions: floors[k].predicted}))
			continue
		}
		got, err := e.otherArm(ctx, a, rows, o, b, sink)
		if err != nil {
			return nil, fmt.Errorf("arm %s: %w", a.Name, err)
		}
		answers := experiments.Answers{}
		for _, one := range got.answers {
			answers.Predictions, answers.Probabilities = append(answers.Predictions, one.class), append(answers.Probabilities, one.probability)
		}
		out = append(out, scored(experiments.ArmResult{Name: a.Name, Model: got.name, Kind: got.kind, Heads: got.heads, Calibration: got.calibration, Latency: abtest.Latencies(got.ms)}, gold, answers))
	}
	return out, nil
}

// otherArm answers with one model; without one of its own, with model B held in int8.
func (e *Engine) otherArm(ctx context.Context, a comparison.Arm, rows []dataset.Row, o ABTestOptions, b Source, sink Sink) (out answered, err error) {
	on, source := *e, b
	if a.Model == "" {
		if a.Name != experiments.Arm8bit {
			return out, experiments.Errorf(experiments.CodeInvalid, "there are no training rows to make it of: name them as the test's train_data")
		}
		on.Storage.Int8, on.Storage.Threshold = true, config.Default().Model.Int8Threshold
	} else if source, err = e.Locate(ctx, a.Model, hub.ModelFiles, sink); err != nil {
		return out, err
	}
	model, err := newArm(source, o.Format, o.MaxLength, e.Config...)
	if err != nil {
		return out, err
	}
	if err := model.tokenize(rows); err != nil {
		return out, err
	}
	o.Test.Generate = config.Generate{} // A and B alone write texts
	got, err := on.answer(ctx, []*arm{model}, rows, o, sink)
	if err != nil {
		return out, err
	}
	return got[0], nil
}

// scored gives an arm its answers and what they score.
func scored(a experiments.ArmResult, gold []int, answers experiments.Answers) experiments.ArmResult {
	k := len(experiments.Labels)
	a.Answers, a.Scores, a.Confusion = &answers, abtest.Score(gold, answers.Predictions, k), abtest.Confusion(gold, answers.Predictions, k)
	a.PerClass = abtest.PerClass(a.Confusion, experiments.Labels)
	return a
}

// others are the answers of a result's further arms in each training.
func others(results ...*experiments.ABResult) (out []abtest.Other, err error) {
	for i, a := range results[0].Others {
		o := abtest.Other{Name: a.Name}
		for k, r := range results {
			if len(r.Others) != len(results[0].Others) || r.Others[i].Name != a.Name || r.Others[i].Answers == nil || len(r.Others[i].Answers.Predictions) != len(r.Samples) {
				return nil, experiments.Errorf(experiments.CodeInvalid, "results[%d] has other arms than results[0]: give each the same test.arms", k)
			}
			o.Answers = append(o.Answers, *r.Others[i].Answers)
		}
		out = append(out, o)
	}
	return out, nil
}
