package pipeline

import (
	"fmt"
	"math"
	"slices"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/calibration"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/runtime/model"
	"triality/runtime/train"
)

// formats are the names of dataset.NewFormat.
var formats = []string{"instruction", "completion", "chat"}

// readFormat finds out how a split was written: the format whose prompts its rows begin with. It gives the arm that reads
// rows so, with a tokenizer and no weights; nil where no format of ours does.
func readFormat(base Source, s *dataset.Stored, maxLength int, options ...model.Option) (*arm, error) {
	for _, ids := range s.IDs {
		maxLength = max(maxLength, len(ids))
	}
	for _, name := range formats {
		a, err := newArm(base, name, maxLength, options...)
		if err != nil {
			if name == "chat" { // the model has no template
				continue
			}
			return nil, err
		}
		for i := range min(8, len(s.Rows)) {
			ids, err := a.prompt(&s.Rows[i])
			if n := promptOf(s.Labels[i]); err == nil && n == len(ids) && slices.Equal(ids, s.IDs[i][:n]) {
				return a, nil
			}
		}
	}
	return nil, nil
}

// promptOf counts the tokens before the first that is trained on.
func promptOf(labels []int32) int {
	return promptLength(train.Example{IDs: labels, Labels: labels})
}

// spread gives n of so many rows, evenly over them; all where there are no more.
func spread(rows, n int) []int {
	n = min(n, rows)
	out := make([]int, n)
	for i := range out {
		out[i] = i * rows / n
	}
	return out
}

// scoring has the model choose among the labels on rows of the validation split at each evaluation. Rows whose prompt leaves
// no room for the longest label are left out and counted; where all are, there is none.
func scoring(a *arm, val *dataset.Stored, evalRows int) (s *train.Scoring, out int) {
	s = &train.Scoring{Answers: a.answers}
	var gold []int
	for _, i := range spread(len(val.Rows), evalRows) {
		ids, err := a.prompt(&val.Rows[i])
		if err != nil {
			out++
			continue
		}
		s.Prompts = append(s.Prompts, ids)
		gold = append(gold, experiments.LabelIndex(val.Rows[i].Label))
	}
	if len(gold) == 0 {
		return nil, out
	}
	s.Figures = func(scores [][]float64) map[string]float64 { return figures(scores, gold) }
	return s, out
}

// figures are those of answers by the likeliest label, as the trainer names them: see config.EvalMetrics.
func figures(scores [][]float64, gold []int) map[string]float64 {
	probability, predicted := make([][]float64, len(scores)), make([]int, len(scores))
	for i, s := range scores {
		probability[i] = calibration.Softmax(s, 1)
		if slices.ContainsFunc(probability[i], math.IsNaN) {
			return map[string]float64{"log_loss": math.NaN()} // which the trainer refuses
		}
		predicted[i] = calibration.Likeliest(probability[i])
	}
	score := abtest.Score(gold, predicted, len(experiments.Labels))
	return map[string]float64{
		"accuracy": score.Accuracy, "macro_f1": score.MacroF1,
		"log_loss": calibration.MeanLogLoss(probability, gold), "ece": calibration.ECE(calibration.Diagram(probability, gold)),
	}
}

// choosing adds to a trainer's options what t asks for of evaluations, class weights and label smoothing. val is nil where
// there is no validation split.
func (e *Engine) choosing(opt *train.Options, base Source, o FinetuneOptions, set []train.Example, trainRows, val *dataset.Stored, sink Sink) error {
	t := o.Training
	if weights := t.ClassWeights.Of(labelsOf(trainRows)); weights != nil {
		text := ""
		for i, label := range labelsOf(trainRows) {
			set[i].Weight = weights[label]
		}
		for c, w := range weights {
			text += fmt.Sprintf(", %s %.4g", experiments.Labels[c], w)
		}
		sink.Note("rows count in the loss by their class: " + text[2:])
	}
	opt.FocalGamma, opt.LabelSmoothing = t.FocalGamma, t.LabelSmoothing
	opt.LoadBest, opt.MetricForBest = t.LoadBest, config.EvalSeries(t.MetricForBest)
	opt.GreaterIsBetter = config.GreaterIsBetter(t.MetricForBest)
	opt.EarlyStoppingPatience, opt.EarlyStoppingThreshold = t.EarlyStoppingPatience, t.EarlyStoppingThreshold
	if val == nil && t.Chooses() {
		return experiments.Errorf(experiments.CodeInvalid, "training.load_best, training.early_stopping_patience: dataset %s has no validation split to choose by; give data.val_ratio more than 0", o.Dataset)
	}
	scores := val != nil && t.EvalRows > 0
	if !scores && t.LabelSmoothing == 0 {
		return nil
	}
	needs := t.LabelSmoothing > 0 || t.Chooses() && t.MetricForBest != config.EvalLoss
	a, err := readFormat(base, trainRows, o.MaxLength, e.Config...)
	switch {
	case err != nil && needs:
		return err
	case err != nil: // training has done without until now
		sink.Note(fmt.Sprintf("evaluations have eval/loss alone: %v", err))
		return nil
	case a == nil && needs:
		return experiments.Errorf(experiments.CodeInvalid, "dataset %s: its rows are written in no format of %v, so that where a label begins is not known; training.label_smoothing and training.metric_for_best: %s need it", o.Dataset, formats, t.MetricForBest)
	case a == nil:
		sink.Note(fmt.Sprintf("the rows are written in no format of %v: evaluations have eval/loss alone", formats))
		return nil
	}
	if t.LabelSmoothing > 0 {
		for _, ids := range a.answers {
			opt.ClassTokens = append(opt.ClassTokens, ids[0])
		}
		if begins := beginning(set, opt.ClassTokens); begins == 0 {
			return experiments.Errorf(experiments.CodeInvalid, "training.label_smoothing: no training row's output begins with its label")
		} else if begins < len(set) {
			sink.Note(fmt.Sprintf("label smoothing is of %d of %d rows: the outputs of the others do not begin with a label", begins, len(set)))
		}
	}
	if !scores {
		return nil
	}
	left := 0
	if opt.Scoring, left = scoring(a, val, t.EvalRows); left > 0 {
		sink.Note(fmt.Sprintf("%d of the validation rows leave no room for a label and are not among those that evaluations have answered", left))
	}
	if opt.Scoring == nil && needs {
		return experiments.Errorf(experiments.CodeInvalid, "training.metric_for_best: %s: no validation row leaves room for a label; raise data.max_length", t.MetricForBest)
	}
	return nil
}

// labelsOf are the rows' classes, as indices of experiments.Labels.
func labelsOf(s *dataset.Stored) []int {
	out := make([]int, len(s.Rows))
	for i := range s.Rows {
		out[i] = experiments.LabelIndex(s.Rows[i].Label)
	}
	return out
}

// beginning counts the examples whose first trained token is one of these.
func beginning(set []train.Example, tokens []int32) (n int) {
	for _, ex := range set {
		if at := promptLength(ex); at < len(ex.Labels) && slices.Contains(tokens, ex.Labels[at]) {
			n++
		}
	}
	return n
}

// choice is what finetune.ChoiceName holds.
type choice struct {
	Metric      string  `json:"metric"` // of config.EvalMetrics
	Step        int     `json:"step"`   // of the best evaluation
	Value       float64 `json:"value"`
	Evaluations int     `json:"evaluations"`
	Steps       int     `json:"steps"`         // that were taken
	Loaded      bool    `json:"loaded"`        // the model is that of Step, not of Steps
	Stopped     bool    `json:"stopped_early"` // before the last step
}

func choiceOf(r *train.Result, metric string) *choice {
	if r.Choice == nil {
		return nil
	}
	c := r.Choice
	return &choice{Metric: metric, Step: c.Step, Value: c.Value, Evaluations: c.Evaluations, Steps: r.Steps, Loaded: c.Loaded, Stopped: c.Stopped}
}

func (c *choice) String() string {
	text := fmt.Sprintf("the best of %d evaluations is that of step %d: %s %.4g", c.Evaluations, c.Step, c.Metric, c.Value)
	if c.Stopped {
		text += fmt.Sprintf("; training stopped early, after step %d", c.Steps)
	}
	if c.Loaded {
		return text + fmt.Sprintf("; the model is that of step %d", c.Step)
	}
	return text + fmt.Sprintf("; the model is that of the last step, %d", c.Steps)
}
