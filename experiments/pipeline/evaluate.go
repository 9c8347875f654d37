package pipeline

import (
	"context"
	"errors"
	"time"

	"triality/experiments"
	"triality/experiments/dataset"
	"triality/runtime/device"
)

// answered is what one arm said of every row.
type answered struct {
	name, kind string
	answers    []answer
	ms         [][]float64 // of each pass over the rows
	// calibration is what was fitted to the answers; nil where nothing was to be.
	calibration *experiments.Calibration
	heads       *experiments.HeadScores
	texts       []written // nil where the test asks for none
}

// evaluate answers every row with both models: in turn, the first one alternating, so that a change of
// the machine's speed meets both. Further passes time the same answers again. Where the device has no room for the two at once they answer one after
// the other (apart), and their latencies compare less well.
func (e *Engine) evaluate(ctx context.Context, sources [2]Source, rows []dataset.Row, o ABTestOptions, sink Sink) (out [2]answered, apart bool, err error) {
	var arms [2]*arm
	for i, s := range sources {
		if arms[i], err = newArm(s, o.Format, o.MaxLength, e.Config...); err != nil {
			return out, false, err
		}
		if err := arms[i].tokenize(rows); err != nil {
			return out, false, err
		}
	}
	both, err := e.answer(ctx, arms[:], rows, o, sink)
	if err == nil {
		return [2]answered(both), false, nil
	}
	if !errors.Is(err, device.ErrOutOfMemory) {
		return out, false, err
	}
	sink.Note("the device does not hold both models at once: they answer one after the other, and a change of the machine's speed meets one of them alone")
	for i := range arms {
		one, err := e.answer(ctx, arms[i:i+1], rows, o, sink)
		if err != nil {
			return out, true, err
		}
		out[i] = one[0]
	}
	return out, true, nil
}

// answer loads models, answers every row with each in turn, and frees them.
func (e *Engine) answer(ctx context.Context, arms []*arm, rows []dataset.Row, o ABTestOptions, sink Sink) (out []answered, err error) {
	validation, err := validationRows(o)
	if err != nil {
		return nil, err
	}
	for _, a := range arms {
		if a.validation, err = a.promptsOf(validation); err != nil {
			return nil, err
		}
	}
	need, err := e.planAnswers(arms, rows, o.Test.Generate)
	if err != nil {
		return nil, err
	}
	release, err := e.reserve(need, answerAdvice(e, o), sink)
	if err != nil {
		return nil, err
	}
	defer release()
	out = make([]answered, len(arms))
	prompts := make([][][]int32, len(arms))
	for a := range arms {
		defer func() { err = errors.Join(err, arms[a].close()) }()
		if err = arms[a].load(e.Device, e.Storage, e.Config...); err != nil {
			return nil, err
		}
		out[a] = answered{name: arms[a].name, kind: arms[a].kind, answers: make([]answer, len(rows))}
		prompts[a] = arms[a].prompts
		if err = arms[a].prepare(ctx, o.Test.Warmup); err != nil {
			return nil, err
		}
	}
	if err := timeRows(ctx, arms, out, prompts, max(1, o.Test.TimingPasses), sink); err != nil {
		return nil, err
	}
	for a := range arms {
		if validation != nil {
			if err := arms[a].calibrate(ctx, &out[a], rows, validation, o, sink); err != nil {
				return nil, err
			}
		}
		if out[a].heads, err = arms[a].headScores(ctx, rows); err != nil {
			return nil, err
		}
		if o.Test.Generate.IsZero() {
			continue
		}
		if out[a].texts, err = arms[a].write(ctx, rows, prompts[a], o.Test.Generate, o.Seed, sink); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tokenize makes the rows' prompts.
func (a *arm) tokenize(rows []dataset.Row) (err error) {
	a.prompts, err = a.promptsOf(rows)
	return err
}

func (a *arm) promptsOf(rows []dataset.Row) ([][]int32, error) {
	var out [][]int32
	for i := range rows {
		ids, err := a.prompt(&rows[i])
		if err != nil {
			return nil, err
		}
		out = append(out, ids)
	}
	return out, nil
}

// prepare computes the instruction in front of the prompts once. The rows themselves
// are not packed together: each has a latency of its own.
func (a *arm) prepare(ctx context.Context, warmup int) error {
	if err := a.engine.KeepCommon(ctx, a.prompts); err != nil {
		return err
	}
	for i := range min(warmup, len(a.prompts)) {
		if _, err := a.classify(ctx, a.prompts[i]); err != nil {
			return err
		}
	}
	return nil
}

// timeRows has the arms answer every row in turn, as many times over as there are passes. The answers are those of the first.
func timeRows(ctx context.Context, arms []*arm, out []answered, prompts [][][]int32, passes int, sink Sink) error {
	rows := len(prompts[0])
	start := time.Now()
	for pass := range passes {
		for a := range arms {
			out[a].ms = append(out[a].ms, make([]float64, rows))
		}
		for i := range rows {
			if err := ctx.Err(); err != nil {
				return trainError(err)
			}
			for k := range arms {
				a := (pass + i + k) % len(arms)
				got, err := arms[a].classify(ctx, prompts[a][i])
				if err != nil {
					return err
				}
				out[a].ms[pass][i] = got.ms
				if pass == 0 {
					out[a].answers[i] = got
				}
			}
			if done := pass*rows + i + 1; done%8 == 0 || done == passes*rows {
				sink.Progress(experiments.Progress{Done: int64(done), Total: int64(passes * rows), Unit: "rows", Rate: float64(done) / time.Since(start).Seconds()})
			}
		}
	}
	return nil
}
