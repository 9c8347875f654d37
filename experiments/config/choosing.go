package config

import (
	"strings"

	"triality/experiments"
)

// What an evaluation of finetune gives that training.metric_for_best may name.
const (
	EvalLoss     = "eval/loss"
	EvalAccuracy = "eval/accuracy"
	EvalMacroF1  = "eval/macro_f1"
	EvalLogLoss  = "eval/log_loss"
	EvalECE      = "eval/ece"
)

// EvalMetrics lists them.
func EvalMetrics() []string {
	return []string{EvalLoss, EvalAccuracy, EvalMacroF1, EvalLogLoss, EvalECE}
}

// defaultEvalRows is training.eval_rows where it is not given.
const defaultEvalRows = 512

// GreaterIsBetter says in which direction a value of EvalMetrics is better.
func GreaterIsBetter(metric string) bool { return metric == EvalAccuracy || metric == EvalMacroF1 }

// Chooses says whether evaluations decide which weights stay or when training ends.
func (t Training) Chooses() bool { return t.LoadBest || t.EarlyStoppingPatience > 0 }

// Keyed is the training as a step's key has it: what changes no result is left out, and so is each key of later versions
// at its default, so that results of before it was there are still found.
func (t Training) Keyed() Training {
	t.SaveSteps, t.SaveTotalLimit, t.CheckpointInterval = 0, 0, 0
	if t.Devices == 1 {
		t.Devices = 0
	}
	switch t.EvalRows {
	case defaultEvalRows:
		t.EvalRows = 0
	case 0:
		t.EvalRows = -1
	}
	if !t.Chooses() {
		t.MetricForBest = ""
	}
	if t.EarlyStoppingPatience == 0 {
		t.EarlyStoppingThreshold = 0
	}
	if t.ClassWeights == WeightsNone {
		t.ClassWeights = ""
	}
	return t
}

// Calibrates says whether anything is fitted on the validation split.
func (t Test) Calibrates() bool {
	t = t.Keyed()
	return t.Calibration != "" || t.Thresholds != ""
}

// Keyed is the test as a step's key has it: without what was not there before and is left at its default.
func (t Test) Keyed() Test {
	if t.Calibration == "none" {
		t.Calibration = ""
	}
	if t.Thresholds == experiments.ThresholdsNone {
		t.Thresholds = ""
	}
	return t
}

func (t Training) choiceFaults() (out []fault) {
	add := func(ok bool, key, text string) {
		if !ok {
			out = append(out, fault{key, text})
		}
	}
	add(!t.LoadBest || t.EvalSteps > 0, "load_best", "needs training.eval_steps, the optimizer steps between evaluations: at 0 there is one alone, after the last step")
	add(t.EarlyStoppingPatience == 0 || t.EvalSteps > 0, "early_stopping_patience", "counts evaluations: give training.eval_steps, the optimizer steps between them")
	add(t.EarlyStoppingThreshold == 0 || t.EarlyStoppingPatience > 0, "early_stopping_threshold", "means nothing without training.early_stopping_patience")
	add(!t.Chooses() || t.MetricForBest == EvalLoss || t.EvalRows > 0, "metric_for_best", t.MetricForBest+" is computed from the answers to training.eval_rows rows: give more than 0")
	add(t.FocalGamma == 0 || t.LabelSmoothing == 0, "focal_gamma, label_smoothing", "are both set: the focal loss is of one right class, which smoothing has not")
	return out
}

// EvalSeries is the name that the trainer gives a value of EvalMetrics.
func EvalSeries(metric string) string { return strings.Replace(metric, "/", "_", 1) }
