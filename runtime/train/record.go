package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
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
	for _, s := range r.slots {
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
		_, ok := rec.Values["eval_loss"]
		return ok && rec.Step == r.step
	})
}

// evaluate records the loss on the evaluation set: the mean over its tokens with a label.
func (r *runner) evaluate(ctx context.Context) error {
	began, sums, tokens := r.now(), map[string]float64{}, 0
	for _, p := range r.evalSet.Batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := r.programs.get(p.T(), false)
		if err == nil {
			err = r.programs.run(c, p, r.evalSet)
		}
		if err == nil {
			err = r.programs.scalars(c, sums)
		}
		if err != nil {
			return fmt.Errorf("evaluation after step %d: %w", r.step, err)
		}
		tokens += p.Tokens
	}
	values := map[string]float64{}
	for name, v := range sums {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("evaluation after step %d: the %s is %v, %w", r.step, name, v, ErrNotFinite)
		}
		values["eval_"+name] = v
	}
	took := r.now().Sub(began)
	timing := map[string]float64{"seconds": took.Seconds()}
	if took > 0 {
		timing["tokens_per_second"] = float64(tokens) / took.Seconds()
	}
	r.mark = r.mark.Add(took) // training's rate leaves it out
	r.record(values, timing)
	return nil
}

// save writes a checkpoint of the state after the present step.
func (r *runner) save() error {
	began := r.now()
	infos, buffers := tensors(r.slots)
	epoch, inEpoch := r.step/r.plan.perEpoch, r.step%r.plan.perEpoch
	c := &checkpoint{
		Identity: r.identity, Step: r.step, Epoch: epoch, Position: min(len(r.train), inEpoch*r.opt.GradientAccumulation*r.opt.BatchSize),
		Records: r.records, Pending: r.pending, Float: r.bits, Tensors: infos,
	}
	err := r.folder.write(c, func(i int) (any, error) {
		data := floats(r.bits, buffers[i].Len())
		return data, r.dev.Download(data, buffers[i])
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
	infos, buffers := tensors(r.slots)
	for i, info := range infos {
		data, err := c.tensor(info.Name, info.Elements)
		if err != nil {
			return err
		}
		if err := r.dev.Upload(buffers[i], data); err != nil {
			return fmt.Errorf("checkpoint tensor %s: %w", info.Name, err)
		}
	}
	r.step, r.resumed, r.saved = c.Step, c.Step, c.Step
	r.records, r.pending = c.Records, c.Pending
	if r.pending.Sums == nil {
		r.pending.Sums = map[string]float64{}
	}
	if r.pending.Last == nil {
		r.pending.Last = map[string]float64{}
	}
	return nil
}

// hashWeights is the SHA-256 of names, shapes and values.
func hashWeights(weights []Weight) string {
	h := sha256.New()
	buf := make([]byte, 0, 1<<16)
	for _, w := range weights {
		fmt.Fprintf(h, "%q %v %t\n", w.Name, w.Shape, w.Decay)
		for _, v := range w.Data {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			if len(buf) == cap(buf) {
				h.Write(buf)
				buf = buf[:0]
			}
		}
		h.Write(buf)
		buf = buf[:0]
	}
	return hex.EncodeToString(h.Sum(nil))
}
