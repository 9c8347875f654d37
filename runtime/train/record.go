package train

import (
	"context"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"triality/runtime/device"
)

// log ends the pending steps with a record.
func (r *runner) log() error {
	values := map[string]float64{"trained_tokens": float64(r.pending.Trained)}
	for name, v := range r.pending.Sums {
		values[name] = v / float64(r.pending.Steps)
	}
	for name, v := range r.pending.Last {
		values[name] = v
	}
	if r.task.Monitor != nil {
		more, err := r.task.Monitor(r.weight)
		if err != nil {
			return fmt.Errorf("monitor after step %d: %w", r.step, err)
		}
		for name, v := range more {
			values[name] = v
		}
	}
	r.pending = pending{Sums: map[string]float64{}, Last: map[string]float64{}, Trained: r.pending.Trained}
	now := r.now()
	seconds := now.Sub(r.mark).Seconds()
	timing := map[string]float64{"seconds": seconds}
	if seconds > 0 {
		timing["tokens_per_second"] = float64(r.tokens) / seconds
	}
	if u, ok := r.dev.(device.MemoryUser); ok {
		_, peak := u.MemoryInUse()
		timing["peak_memory_bytes"] = float64(peak)
	}
	r.mark, r.tokens = now, 0
	r.record(values, timing)
	return nil
}

func (r *runner) record(values, timing map[string]float64) {
	rec := Record{Step: r.step, Epoch: r.plan.position(r.step), Values: values, Timing: timing}
	r.records = append(r.records, rec)
	r.saved = -1 // a checkpoint of this step lacks the record
	r.observer.Record(rec)
}

// weight reads the present values of a trainable tensor.
func (r *runner) weight(name string) ([]float32, error) {
	for _, s := range r.slots.list {
		if s.Name == name {
			data := make([]float32, len(s.Data))
			return data, r.dev.Download(data, s.value)
		}
	}
	return nil, fmt.Errorf("no trainable tensor is called %s", name)
}

// evaluated says whether this step has its evaluation.
func (r *runner) evaluated() bool {
	return slices.ContainsFunc(r.records, func(rec Record) bool {
		_, ok := rec.Values[evalLoss]
		return ok && rec.Step == r.step
	})
}

// evaluate records the loss on the evaluation set, the mean over its tokens with a label, and what the task has scored.
func (r *runner) evaluate(ctx context.Context) error {
	began, sums, tokens := r.now(), map[string]float64{}, 0
	for _, p := range r.evalSet.Batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := r.programs.get(p.T(), false)
		if err == nil {
			err = r.programs.run(c, p, r.evalSet, nil)
		}
		if err == nil {
			err = r.programs.scalars(c, sums)
		}
		if err != nil {
			return fmt.Errorf("evaluation after step %d: %w", r.step, err)
		}
		tokens += p.Tokens
	}
	passed := r.now().Sub(began)
	took := passed
	if r.task.Score != nil {
		more, err := r.task.Score(ctx, r.trained())
		if err != nil {
			return fmt.Errorf("evaluation after step %d: %w", r.step, err)
		}
		maps.Copy(sums, more)
		took = r.now().Sub(began)
	}
	values := map[string]float64{}
	for name, v := range sums {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("evaluation after step %d: the %s is %v, %w", r.step, name, v, ErrNotFinite)
		}
		values["eval_"+name] = v
	}
	if err := r.choose(values); err != nil {
		return fmt.Errorf("evaluation after step %d: %w", r.step, err)
	}
	timing := map[string]float64{"seconds": took.Seconds()}
	if passed > 0 {
		timing["tokens_per_second"] = float64(tokens) / passed.Seconds()
	}
	r.mark = r.mark.Add(took) // training's rate leaves it out
	r.record(values, timing)
	return nil
}

// save writes a checkpoint of the state after the present step.
func (r *runner) save() error {
	began := r.now()
	list := append(tensors(r.slots.list), r.best.tensors(r.slots.list)...)
	infos := make([]tensorInfo, len(list))
	for i, t := range list {
		infos[i] = t.tensorInfo
	}
	epoch, inEpoch := r.step/r.plan.perEpoch, r.step%r.plan.perEpoch
	c := &checkpoint{
		Identity: r.identity, Step: r.step, Epoch: epoch, Position: min(len(r.plan.sequences), inEpoch*r.opt.GradientAccumulation*r.opt.BatchSize),
		Records: r.records, Pending: r.pending, Best: r.best, Scale: r.scale, Float: r.bits, Tensors: infos,
	}
	err := r.folder.write(c, func(i int) (any, error) {
		if list[i].host != nil {
			return list[i].host, nil
		}
		data := list[i].data(r.bits)
		return data, r.dev.Download(data, list[i].buf)
	})
	if err != nil {
		return err
	}
	r.saved, r.savedAt = r.step, r.now()
	r.mark = r.mark.Add(r.savedAt.Sub(began))
	return nil
}

// restore takes over the state of a checkpoint of this run.
func (r *runner) restore(c *checkpoint) error {
	if c.Step < 0 || c.Step > r.plan.total {
		return fmt.Errorf("checkpoint of step %d: the run has %d", c.Step, r.plan.total)
	}
	if (c.Scale != nil) != (r.scale != nil) {
		return fmt.Errorf("checkpoint of step %d: it has a loss scale: %t", c.Step, c.Scale != nil)
	}
	for _, k := range r.ranks() {
		if err := k.restore(c); err != nil {
			return err
		}
	}
	if err := r.restoreBest(c); err != nil {
		return err
	}
	r.scale = c.Scale
	r.step, r.resumed, r.saved = c.Step, c.Step, c.Step
	r.records, r.pending.Steps, r.pending.Trained = c.Records, c.Pending.Steps, c.Pending.Trained
	maps.Copy(r.pending.Sums, c.Pending.Sums)
	maps.Copy(r.pending.Last, c.Pending.Last)
	return nil
}

// restore takes over values and moments.
func (k *rank) restore(c *checkpoint) error {
	for _, t := range tensors(k.slots.list) {
		data, err := c.tensor(t.tensorInfo)
		if err != nil {
			return err
		}
		if t.host != nil {
			reflect.Copy(reflect.ValueOf(t.host), reflect.ValueOf(data))
			continue
		}
		if err := k.dev.Upload(t.buf, data); err != nil {
			return fmt.Errorf("checkpoint tensor %s: %w", t.Name, err)
		}
	}
	if k.slots.stored != nil {
		k.dev.Copy(k.slots.stored, k.slots.value)
	}
	return nil
}
