package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/calibration"
	"triality/experiments/dataset"
)

// validationRows are those that temperature and thresholds are fitted on: the val split of the data set that the models
// were trained on, or else of the one that is tested on. They are none of the test's. Nil where nothing is to be fitted.
func validationRows(o ABTestOptions) ([]dataset.Row, error) {
	if !o.Test.Calibrates() {
		return nil, nil
	}
	from := o.TrainData
	if from == "" {
		from = o.TestData
	}
	missing := func(why string) error {
		return experiments.Errorf(experiments.CodeInvalid, "test.calibration, test.thresholds: they are fitted on a validation split, and %s %s; give a data set with one as the training data", from, why)
	}
	if !isDataset(from) {
		return nil, missing("is no data set")
	}
	splits, err := dataset.Open(from)
	if err != nil {
		return nil, err
	}
	if s := splits["val"]; s != nil && len(s.Rows) > 0 {
		return s.Rows, nil
	}
	return nil, missing("has none (data.val_ratio)")
}

// calibrate fits what the test wants on the validation rows, whose prompts a.validation are, and applies it to the answers to
// the test's rows.
func (a *arm) calibrate(ctx context.Context, got *answered, rows, validation []dataset.Row, o ABTestOptions, sink Sink) error {
	scores, err := a.engine.ScoreBatch(ctx, a.validation, a.answers)
	if err != nil {
		return trainError(err)
	}
	for _, s := range scores {
		if slices.ContainsFunc(calibration.Softmax(s, 1), math.IsNaN) {
			return fmt.Errorf("model %s: the probability of a class is not a number; the weights are damaged", a.name)
		}
	}
	test := make([][]float64, len(rows))
	for i := range got.answers {
		test[i] = got.answers[i].scores
	}
	on, at := labelled{scores, classesOf(validation)}, labelled{test, classesOf(rows)}
	c := fit(on, o)
	c.Validation = experiments.BeforeAfter{Before: on.figures(1, nil), After: on.figures(c.Temperature, c.Thresholds)}
	c.Test = experiments.BeforeAfter{Before: at.figures(1, nil), After: at.figures(c.Temperature, c.Thresholds)}
	for i := range got.answers {
		x := &got.answers[i]
		x.probability = calibration.Softmax(x.scores, c.Temperature)
		x.class = decide(x.probability, c.Thresholds)
	}
	got.calibration = c
	sink.Note(describe(a.name, c))
	return nil
}

// fit finds temperature and thresholds.
func fit(on labelled, o ABTestOptions) *experiments.Calibration {
	c := &experiments.Calibration{Rows: len(on.gold), Temperature: 1}
	if o.Test.Calibration == "temperature" {
		t, err := calibration.Temperature(on.scores, on.gold)
		if err != nil {
			c.Note = "no temperature was fitted: " + err.Error()
		} else {
			c.Temperature = t
		}
	}
	goal := o.Test.Thresholds
	if goal == "" || goal == experiments.ThresholdsNone {
		return c
	}
	c.Goal, c.Limit = goal, o.Test.FalseAllowLimit
	if goal != experiments.ThresholdsFalseAllow {
		c.Limit = 0
	}
	c.Thresholds = calibration.Thresholds(on.probability(c.Temperature), func(answers []int) float64 {
		s := abtest.Score(on.gold, answers, len(experiments.Labels))
		switch goal {
		case experiments.ThresholdsMacroF1:
			return s.MacroF1
		case experiments.ThresholdsFalseAllow:
			if f := falseAllow(on.gold, answers); f > c.Limit {
				return -f // first of all the limit is to hold
			}
		}
		return s.Accuracy
	})
	return c
}

// labelled are the labels' log-probabilities of rows, and the rows' classes.
type labelled struct {
	scores [][]float64
	gold   []int
}

func (l labelled) probability(temperature float64) [][]float64 {
	out := make([][]float64, len(l.scores))
	for i, s := range l.scores {
		out[i] = calibration.Softmax(s, temperature)
	}
	return out
}

func (l labelled) figures(temperature float64, thresholds []float64) experiments.Calibrated {
	p, answers := l.probability(temperature), make([]int, len(l.scores))
	for i := range p {
		answers[i] = decide(p[i], thresholds)
	}
	diagram := calibration.Diagram(p, l.gold)
	return experiments.Calibrated{
		Scores:  abtest.Score(l.gold, answers, len(experiments.Labels)),
		LogLoss: calibration.MeanLogLoss(p, l.gold), ECE: calibration.ECE(diagram), Reliability: diagram, FalseAllow: falseAllow(l.gold, answers),
	}
}

// decide is the answer by thresholds; nil: the likeliest class.
func decide(p, thresholds []float64) int {
	if thresholds == nil {
		return calibration.Likeliest(p)
	}
	return calibration.Decide(p, thresholds)
}

// falseAllow is the share of the rows to deny or refuse that are allowed, 0 where there are none.
func falseAllow(gold, answers []int) float64 {
	rows, allowed := 0, 0
	for i, g := range gold {
		if label := experiments.Labels[g]; label == "DENY" || label == "REFUSE" {
			rows++
			if experiments.Labels[answers[i]] == "ALLOW" {
				allowed++
			}
		}
	}
	return float64(allowed) / float64(max(1, rows))
}

func classesOf(rows []dataset.Row) []int {
	out := make([]int, len(rows))
	for i := range rows {
		out[i] = experiments.LabelIndex(rows[i].Label)
	}
	return out
}

// describe says what was fitted and what came of it on the test's rows.
func describe(name string, c *experiments.Calibration) string {
	b, a := c.Test.Before, c.Test.After
	text := fmt.Sprintf("%s: fitted on %d validation rows: temperature %.3g; on the test rows log loss %.3f → %.3f, calibration error %.3f → %.3f",
		name, c.Rows, c.Temperature, b.LogLoss, a.LogLoss, b.ECE, a.ECE)
	if c.Note != "" {
		text += "; " + c.Note
	}
	if c.Thresholds == nil {
		return text
	}
	var each []string
	for i, t := range c.Thresholds {
		each = append(each, fmt.Sprintf("%s %.3g", experiments.Labels[i], t))
	}
	goal := c.Goal
	if goal == experiments.ThresholdsFalseAllow {
		goal = fmt.Sprintf("accuracy with false-allow at most %.3g (%.3g on the validation rows)", c.Limit, c.Validation.After.FalseAllow)
	}
	return text + fmt.Sprintf("; thresholds for %s: %s; accuracy %.3f → %.3f, macro-F1 %.3f → %.3f, false-allow %.3f → %.3f",
		goal, strings.Join(each, ", "), b.Accuracy, a.Accuracy, b.MacroF1, a.MacroF1, b.FalseAllow, a.FalseAllow)
}
