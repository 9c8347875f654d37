package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/graph"
	"triality/experiments/kinds/repeats"
	"triality/experiments/verdict"
)

// Together implements repeats.Engine.
func (h host) Together(_ context.Context, o repeats.Options, sink graph.Sink) error {
	results := make([]*experiments.ABResult, len(o.Results))
	for i, path := range o.Results {
		results[i] = new(experiments.ABResult)
		if err := graph.ReadJSON(path, results[i]); err != nil {
			return err
		}
	}
	r, err := together(results, o.Seeds, o.Seed)
	if err != nil {
		return err
	}
	if err := graph.WriteJSON(o.Out, r); err != nil {
		return err
	}
	return sink.Metrics(resultMetrics(r))
}

// together is the result of several trainings' A/B tests, which seeds are those of. What is of single rows is the first's.
func together(results []*experiments.ABResult, seeds []uint64, seed uint64) (*experiments.ABResult, error) {
	out := *results[0]
	trainings := make([][]experiments.Sample, len(results))
	for i, r := range results {
		name := fmt.Sprintf("results[%d]", i)
		switch {
		case r.Inference == nil || len(r.Samples) == 0:
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s holds no rows or no inference: run its A/B test again", name)
		case len(r.Trainings) > 0:
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s is of several trainings already: name the A/B test of each", name)
		case r.Inference.DesignHash != out.Inference.DesignHash:
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s has another design than results[0]: trainings are put together by the design that was made before them", name)
		case r.Inference.Design.Looks == experiments.LooksAny:
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s: test.design.looks: any is of rows alone, and says nothing of other seeds: take once", name)
		case !abtest.Judged(r.Samples):
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s: labels or answers are other than %s", name, strings.Join(experiments.Labels, ", "))
		}
		if err := sameRows(results[0], r, "results[0]", name); err != nil {
			return nil, err
		}
		trainings[i] = r.Samples
		t := experiments.Training{Seed: seeds[i]}
		for a := range r.Arms {
			t.Models[a], t.Scores[a] = r.Arms[a].Model, r.Arms[a].Scores
		}
		out.Trainings = append(out.Trainings, t)
	}
	design := out.Inference.Design
	units, err := unitsOfSamples(out.Samples, design.Unit)
	if err != nil {
		return nil, err
	}
	out.Inference = abtest.InferTrainings(trainings, units, design, seed)
	out.Inference.Seeds = seeds
	beside, err := others(results...)
	if err != nil {
		return nil, err
	}
	out.Inference.Contrasts = abtest.Contrasts(trainings, beside, units, design, seed)
	for _, r := range results {
		out.Inference.Tainted = max(out.Inference.Tainted, r.Inference.Tainted)
		if k := r.Inference.Looks; k != nil && (out.Inference.Looks == nil || k.Count > out.Inference.Looks.Count) {
			out.Inference.Looks = k
		}
	}
	verdict.Decide(out.Inference)
	var gold []int
	var predicted [2][]int
	for _, samples := range trainings {
		for i := range samples {
			gold = append(gold, experiments.LabelIndex(samples[i].Label))
			for a, answer := range []string{samples[i].PredictionA, samples[i].PredictionB} {
				predicted[a] = append(predicted[a], experiments.LabelIndex(answer))
			}
		}
	}
	for a := range out.Arms {
		pool(&out.Arms[a], gold, predicted[a])
	}
	out.Others = slices.Clone(out.Others)
	for i := range out.Others {
		var all []int
		for _, answers := range beside[i].Answers {
			all = append(all, answers.Predictions...)
		}
		pool(&out.Others[i], gold, all)
	}
	latencies := slices.DeleteFunc(slices.Clone(out.Differences), func(d experiments.Difference) bool { return !strings.HasPrefix(d.Metric, "latency") })
	out.Differences = append(inferred(&out), latencies...)
	return &out, nil
}

// pool gives an arm the scores of all its trainings' answers.
func pool(arm *experiments.ArmResult, gold, predicted []int) {
	k := len(experiments.Labels)
	arm.Scores, arm.Confusion = abtest.Score(gold, predicted, k), abtest.Confusion(gold, predicted, k)
	arm.PerClass = abtest.PerClass(arm.Confusion, experiments.Labels)
}
