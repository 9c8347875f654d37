package train

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"triality/runtime/device"
)

// evalLoss is the loss among the values of an evaluation.
const evalLoss = "eval_loss"

// chosen is the best evaluation so far: part of a checkpoint.
type chosen struct {
	Step        int     `json:"step"`
	Value       float64 `json:"value"`
	Evaluations int     `json:"evaluations"`
	Stale       int     `json:"stale"` // successive evaluations, up to the newest, that were no better by more than the threshold

	weights []any // of that step, in the slots' order, as floats of the device's width; nil without load_best
}

// Choice says which evaluation was the best, by Options.MetricForBest.
type Choice struct {
	Metric      string // the name of a value of evaluation records
	Step        int    // after which it was; of equal ones the first
	Value       float64
	Evaluations int  // in all
	Loaded      bool // the result's weights are of that step
	Stopped     bool // training ended with these evaluations, before its last step
}

// chooses says whether evaluations decide anything.
func (o Options) chooses() bool { return o.LoadBest || o.EarlyStoppingPatience > 0 }

// metric is the value that is chosen by.
func (o Options) metric() string {
	if o.MetricForBest == "" {
		return evalLoss
	}
	return o.MetricForBest
}

func (o Options) chooseFaults() error {
	var faults []error
	if o.chooses() && o.EvalSteps == 0 {
		faults = append(faults, errors.New("eval_steps: 0: the best of several evaluations is to be found: give the optimizer steps between them"))
	}
	if o.EarlyStoppingPatience < 0 {
		faults = append(faults, fmt.Errorf("early_stopping_patience: %d: must not be negative (0 = off)", o.EarlyStoppingPatience))
	}
	if t := o.EarlyStoppingThreshold; !(t >= 0) || math.IsInf(t, 0) {
		faults = append(faults, fmt.Errorf("early_stopping_threshold: %v: must be a number, at least 0", t))
	}
	if o.chooses() && o.metric() != evalLoss && o.Scoring == nil {
		faults = append(faults, fmt.Errorf("metric_for_best: %s: evaluations have no answers that it could be computed from", o.metric()))
	}
	return errors.Join(faults...)
}

// chooseIdentity adds to a checkpoint's identity what decides which weights stay and when training ends.
func (o Options) chooseIdentity(id map[string]string, number func(float64) string) {
	if !o.chooses() {
		return
	}
	id["metric_for_best"], id["load_best"] = o.metric(), fmt.Sprint(o.LoadBest)
	if o.GreaterIsBetter {
		id["metric_for_best"] += ", greater is better"
	}
	if o.EarlyStoppingPatience > 0 {
		id["early_stopping"] = fmt.Sprint(o.EarlyStoppingPatience, " evaluations, threshold ", number(o.EarlyStoppingThreshold))
	}
	if o.Scoring != nil && o.metric() != evalLoss {
		id["scoring"] = o.Scoring.identity()
	}
}

// choose takes an evaluation into account. As with transformers' EarlyStoppingCallback, an evaluation by which the counter
// begins anew is better than the best one by more than the threshold, and the best one is the best however little by.
func (r *runner) choose(values map[string]float64) error {
	if !r.opt.chooses() {
		return nil
	}
	v, ok := values[r.opt.metric()]
	if !ok {
		return fmt.Errorf("metric_for_best: the evaluation has no %s, only %s", r.opt.metric(), strings.Join(slices.Sorted(maps.Keys(values)), ", "))
	}
	if r.best == nil {
		r.best = &chosen{}
	}
	first := r.best.Evaluations == 0
	gain := r.best.Value - v
	if r.opt.GreaterIsBetter {
		gain = -gain
	}
	r.best.Evaluations++
	if r.best.Stale++; first || gain > r.opt.EarlyStoppingThreshold {
		r.best.Stale = 0
	}
	if !first && gain <= 0 {
		return nil
	}
	r.best.Step, r.best.Value = r.step, v
	if !r.opt.LoadBest {
		return nil
	}
	weights := make([]any, len(r.slots.list))
	for i, s := range r.slots.list {
		weights[i] = floats(r.bits, len(s.Data))
		if err := r.dev.Download(weights[i], s.value); err != nil {
			return fmt.Errorf("read %s: %w", s.Name, err)
		}
	}
	r.best.weights = weights
	return nil
}

// stopped says whether evaluations have ended the training.
func (r *runner) stopped() bool {
	return r.opt.EarlyStoppingPatience > 0 && r.best != nil && r.best.Stale >= r.opt.EarlyStoppingPatience
}

// done says whether no step is left.
func (r *runner) done() bool { return r.step >= r.plan.total || r.stopped() }

// choice is what the result says of the evaluations; nil where nothing was chosen.
func (r *runner) choice() *Choice {
	if r.best == nil {
		return nil
	}
	return &Choice{
		Metric: r.opt.metric(), Step: r.best.Step, Value: r.best.Value, Evaluations: r.best.Evaluations,
		Loaded: r.best.weights != nil, Stopped: r.step < r.plan.total,
	}
}

// values are the result's: those of the best evaluation, where they are wanted, else the present ones.
func (r *runner) values(i int, s *slot) ([]float32, error) {
	data := make([]float32, len(s.Data))
	if r.best != nil && r.best.weights != nil {
		switch kept := r.best.weights[i].(type) {
		case []float32:
			copy(data, kept)
		case []float64:
			for k, v := range kept {
				data[k] = float32(v)
			}
		}
		return data, nil
	}
	if err := r.dev.Download(data, s.value); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Name, err)
	}
	return data, nil
}

// tensors lists the best weights as a checkpoint holds them.
func (c *chosen) tensors(slots []*slot) (list []kept) {
	if c == nil || c.weights == nil {
		return nil
	}
	for i, s := range slots {
		list = append(list, kept{tensorInfo: tensorInfo{Name: "best/" + s.Name, Elements: len(s.Data)}, host: c.weights[i]})
	}
	return list
}

// restoreBest takes over a checkpoint's best evaluation.
func (r *runner) restoreBest(c *checkpoint) error {
	if c.Best == nil || !r.opt.chooses() {
		return nil
	}
	best := *c.Best
	if r.opt.LoadBest {
		for _, s := range r.slots.list {
			data, err := c.tensor(tensorInfo{Name: "best/" + s.Name, Elements: len(s.Data)})
			if err != nil {
				return err
			}
			best.weights = append(best.weights, data)
		}
	}
	r.best = &best
	return nil
}

// trained gives what the graph reads of each trained tensor.
func (k *rank) trained() map[string]device.Buffer {
	out := make(map[string]device.Buffer, len(k.slots.list))
	for _, s := range k.slots.list {
		out[s.Name] = s.leaf()
	}
	return out
}
