package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"triality/runtime/device"
)

// engineVersion changes when the same inputs would give other bytes, so that no run resumes from a
// checkpoint it would not have made.
const engineVersion = "6"

// Result is what a finished run leaves.
type Result struct {
	Steps       int      // optimizer steps
	ResumedFrom int      // steps that were done before this call
	Records     []Record // the whole history
	Weights     []Weight // trained values
	Choice      *Choice  // of evaluations, with Options.LoadBest or EarlyStoppingPatience
}

// Last returns the newest value of that name in the history.
func (r *Result) Last(name string) (float64, bool) {
	for _, rec := range slices.Backward(r.Records) {
		if v, ok := rec.Values[name]; ok {
			return v, true
		}
	}
	return 0, false
}

// Loop trains the task on the examples and evaluates it on eval, which may be empty. Checkpoints go
// to dir, made where needed; where dir holds some of the same run, the newest whole one is resumed.
// A finished run returns its result again. opt.LoRA and opt.Adapter are not Loop's and must be nil; observer may be.
//
// Errors to tell apart: ErrInterrupted, ErrNothingTrained, ErrNotFinite, ErrOtherRun.
func Loop(ctx context.Context, dev device.Device, task Task, train, eval []Example, dir string, opt Options, observer Observer) (_ *Result, err error) {
	if opt.LoRA != nil || opt.Adapter != nil {
		return nil, errors.New("train: Loop takes its weights from the task, not from a LoRA configuration or adapter")
	}
	r, err := newRunner(dev, task, train, eval, dir, opt, observer)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	defer func() {
		if e := r.close(); e != nil {
			err = errors.Join(err, fmt.Errorf("train: %w", e))
		}
	}()
	result, err := r.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return result, nil
}

// runner is the state of a running Loop.
type runner struct {
	*rank               // of the first device
	others      []*rank // of further ones
	task        *Task
	train, eval []Example
	opt         Options
	observer    Observer
	now         func() time.Time
	afterStep   func(step int) error // where not nil, an error ends the run as a crash would

	plan     *plan
	schedule schedule
	scale    *lossScale // in Float16
	evalSet  *Window
	folder   *folder
	identity map[string]string
	bits     int

	step    int // optimizer steps done
	resumed int
	records []Record
	pending pending

	best *chosen // nil before the first evaluation that chooses

	saved   int // step of the newest checkpoint, -1 where there is none or it is behind
	savedAt time.Time
	mark    time.Time // when tokens was 0
	tokens  int       // not padding, since mark
}

func newRunner(dev device.Device, task Task, train, eval []Example, dir string, opt Options, observer Observer) (_ *runner, err error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if opt.EvalBatchSize == 0 {
		opt.EvalBatchSize = opt.BatchSize
	}
	if observer == nil {
		observer = silent{}
	}
	if len(train) == 0 {
		return nil, errors.New("no train examples")
	}
	if err := errors.Join(checkExamples("train", train, task.Vocab, task.Longest), checkExamples("eval", eval, task.Vocab, task.Longest)); err != nil {
		return nil, err
	}
	r := &runner{task: &task, train: train, eval: eval, opt: opt, observer: observer, now: time.Now, saved: -1}
	r.pending = pending{Sums: map[string]float64{}, Last: map[string]float64{}}
	r.plan = newPlan(sequences(train, opt.Packing), opt.Epochs, opt.MaxSteps, opt.BatchSize, opt.GradientAccumulation, opt.Seed)
	if err := r.plan.checkTrained(train); err != nil {
		return nil, err
	}
	if len(eval) > 0 {
		if r.evalSet, err = r.window(eval, batches(sequences(eval, opt.Packing), opt.EvalBatchSize), true); err != nil {
			return nil, err
		}
	}
	if opt.chooses() && r.evalSet == nil {
		return nil, errors.New("load_best, early_stopping_patience: there are no evaluation examples to choose by")
	}
	if r.schedule, err = newSchedule(opt.Scheduler, opt.LearningRate, opt.WarmupRatio, r.plan.total); err != nil {
		return nil, err
	}
	if r.bits, err = floatBits(dev); err != nil {
		return nil, err
	}
	r.identity = opt.identity()
	maps.Copy(r.identity, task.Identity)
	r.identity["engine_version"] = engineVersion
	r.identity["examples"] = hashExamples(train, eval)
	if r.identity["initial_weights"], err = hashWeights(task.Weights); err != nil {
		return nil, err
	}
	if task.Storage != device.Float {
		r.identity["storage"] = task.Storage.String()
	}
	r.identity["device_float_bits"] = strconv.Itoa(r.bits)
	if r.folder, err = openFolder(dir, opt.SaveTotalLimit, observer); err != nil {
		return nil, err
	}
	if task.Storage == device.Float16 {
		r.scale = newLossScale()
	}
	if err := checkWeights(task.Weights); err != nil {
		return nil, err
	}
	if r.rank, err = newRank(dev, r.task, opt.Optimizer, opt.Recompute, r.bits); err != nil {
		return nil, err
	}
	if err := r.openRanks(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if n := len(r.others); n > 0 {
		r.identity["devices"] = strconv.Itoa(n + 1)
	}
	return r, nil
}

func (r *runner) close() error {
	var errs []error
	for _, k := range r.ranks() {
		errs = append(errs, k.close())
	}
	return errors.Join(errs...)
}

func (r *runner) run(ctx context.Context) (*Result, error) {
	if _, err := r.folder.newest(r.identity, r.restore); err != nil {
		return nil, err
	}
	if !r.done() {
		if err := r.programs.reserve(lengthsOf(r.plan, r.train, r.eval, r.opt)); err != nil {
			return nil, err
		}
	}
	count := 0
	for _, s := range r.slots.list {
		count += len(s.Data)
	}
	r.observer.Start(Start{TotalSteps: r.plan.total, StepsPerEpoch: r.plan.perEpoch, Weights: count, ResumedFrom: r.resumed, History: slices.Clone(r.records)})
	r.savedAt, r.mark = r.now(), r.now()
	for {
		if err := r.settle(ctx); err != nil {
			return nil, r.interrupted(ctx, err)
		}
		if r.done() {
			return r.result()
		}
		if err := r.advance(ctx); err != nil {
			return nil, r.interrupted(ctx, err)
		}
		if r.afterStep != nil {
			if err := r.afterStep(r.step); err != nil {
				return nil, err
			}
		}
	}
}

// interrupted writes a last checkpoint where err is the context's end. The micro-batches of an
// unfinished step are thrown away: the resumed run computes them again.
func (r *runner) interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	if r.saved != r.step {
		if e := r.save(); e != nil {
			return errors.Join(fmt.Errorf("%w after step %d", ErrInterrupted, r.step), e)
		}
	}
	return fmt.Errorf("%w after step %d of %d; the same command resumes it: %w", ErrInterrupted, r.step, r.plan.total, context.Cause(ctx))
}

// window packs micro-batches of set.
func (r *runner) window(set []Example, micro [][]int, eval bool) (*Window, error) {
	w := &Window{Step: r.step, Eval: eval}
	for _, indices := range micro {
		p := pack(set, indices)
		w.Batches = append(w.Batches, p)
		w.Trained += p.Trained
		w.Weight += p.Weight
	}
	if w.Trained == 0 {
		return nil, fmt.Errorf("%w: eval=%t, examples %s", ErrNothingTrained, eval, someOf(slices.Concat(micro...)))
	}
	return w, nil
}

// advance takes one optimizer step.
func (r *runner) advance(ctx context.Context) error {
	number, micro := r.step+1, r.plan.window(r.step)
	w, err := r.window(r.train, micro, false)
	if err != nil {
		return fmt.Errorf("step %d: %w", number, err)
	}
	sums := map[string]float64{}
	if err := r.gradients(ctx, w, sums); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return err
		}
		return fmt.Errorf("step %d: %w", number, err)
	}
	if err := r.update(sums["loss"]); err != nil {
		return fmt.Errorf("step %d (learning rate %g): %w; train examples %s", number, r.schedule.rate(r.step), err, someOf(slices.Concat(micro...)))
	}
	r.step++
	r.pending.Steps++
	r.pending.Trained += int64(w.Trained)
	for name, v := range sums {
		r.pending.Sums[name] += v
	}
	for _, p := range w.Batches {
		r.tokens += p.Tokens
	}
	return nil
}

// gradients gathers a window's gradients, every rank those of its share of the micro-batches, and adds the loss
// and its parts to sums.
func (r *runner) gradients(ctx context.Context, w *Window, sums map[string]float64) error {
	shares := make([]map[string]float64, 1+len(r.others))
	err := r.onEach(func(i int, rank *rank) error {
		shares[i] = map[string]float64{}
		rank.dev.Fill(rank.slots.grad, 0)
		for k := i; k < len(w.Batches); k += len(shares) {
			if err := ctx.Err(); err != nil {
				return err
			}
			mine := *w
			// The counter is the number of the micro-batch in the whole run.
			mine.DropoutKey = [2]int32{int32(uint32(r.opt.Seed) ^ uint32(r.opt.Seed>>32)), int32(uint32(r.step*r.opt.GradientAccumulation + k))}
			c, err := rank.programs.get(w.Batches[k].T(), true)
			if err == nil {
				err = rank.programs.run(c, w.Batches[k], &mine, r.scale)
			}
			if err == nil {
				err = rank.programs.scalars(c, shares[i])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, share := range shares {
		for name, v := range share {
			sums[name] += v
		}
	}
	return err
}

// update changes the weights by the gathered gradients.
func (r *runner) update(loss float64) error {
	if err := r.sumGradients(); err != nil {
		return err
	}
	norm, err := r.slots.gradNorm(r.dev, r.square)
	if err != nil {
		return err
	}
	factor, skipped := 1.0, 0
	if r.scale != nil {
		factor, skipped = r.scale.Factor, r.scale.Skipped
		norm /= factor
	}
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	rate := r.schedule.rate(r.step)
	r.pending.Last["learning_rate"] = rate
	if !finite(loss) {
		return fmt.Errorf("the loss is %v, %w", loss, ErrNotFinite)
	}
	if !finite(norm) {
		if r.scale == nil {
			return fmt.Errorf("the gradient norm is %v, %w", norm, ErrNotFinite)
		}
		err := r.scale.overflowed()
		r.noteScale()
		return err
	}
	constants := func(decay bool) device.AdamW {
		c := device.AdamW{LR: rate, Beta1: r.opt.Beta1, Beta2: r.opt.Beta2, Eps: r.opt.Epsilon, Step: r.step + 1 - skipped}
		if decay {
			c.WeightDecay = r.opt.WeightDecay
		}
		return c
	}
	times := gradFactor(norm, r.opt.MaxGradNorm, factor)
	err = r.onEach(func(_ int, k *rank) error {
		if times != 1 {
			k.dev.Scale(k.slots.grad, k.slots.grad, times)
		}
		if err := k.moments.stepAll(k.slots, constants); err != nil {
			return err
		}
		return k.dev.Sync()
	})
	if err != nil {
		return err
	}
	r.pending.Last["grad_norm"] = norm
	if r.scale != nil {
		r.scale.taken()
		r.noteScale()
	}
	return nil
}

// noteScale puts the state of the loss scale among the metrics.
func (r *runner) noteScale() {
	r.pending.Last["loss_scale"], r.pending.Last["skipped_steps"] = r.scale.Factor, float64(r.scale.Skipped)
}

// settle does what is due between two steps: record, evaluate, save. It may run again after a
// resumption and then does only what was not done.
func (r *runner) settle(ctx context.Context) error {
	done := r.done()
	due := func(every int) bool { return r.step > 0 && (done || every > 0 && r.step%every == 0) }
	if due(r.opt.LoggingSteps) && r.pending.Steps > 0 {
		if err := r.log(); err != nil {
			return err
		}
	}
	if r.evalSet != nil && due(r.opt.EvalSteps) && !r.evaluated() {
		if err := r.evaluate(ctx); err != nil {
			return err
		}
		if !done && r.done() {
			return r.settle(ctx) // it was the last one: what a finished run has is to be there too
		}
	}
	overdue := r.opt.CheckpointInterval > 0 && r.step > r.resumed && r.now().Sub(r.savedAt) >= r.opt.CheckpointInterval
	if r.saved != r.step && (due(r.opt.SaveSteps) || overdue) {
		return r.save()
	}
	return nil
}

func (r *runner) result() (*Result, error) {
	res := &Result{Steps: r.step, ResumedFrom: r.resumed, Records: r.records, Choice: r.choice()}
	for i, s := range r.slots.list {
		w := s.Weight
		var err error
		if w.Data, err = r.values(i, s); err != nil {
			return nil, err
		}
		res.Weights = append(res.Weights, w)
	}
	return res, nil
}

func indices(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = i
	}
	return v
}
