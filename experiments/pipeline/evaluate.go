package pipeline

import (
	"context"
	"errors"
	"time"

	"triality/experiments"
	"triality/experiments/dataset"
	"triality/runtime/device"
)

// verdict is what one arm said of every row.
type verdict struct {
	name, kind string
	answers    []answer
	heads      *experiments.HeadScores
	texts      []written // nil where the test asks for none
}

// evaluate answers every row with both models: in turn, the first one alternating, so that a change of
// the machine's speed meets both. Where the device has no room for the two at once they answer one after
// the other (apart), and their latencies compare less well.
func (e *Engine) evaluate(ctx context.Context, sources [2]Source, rows []dataset.Row, o ABTestOptions, sink Sink) (out [2]verdict, apart bool, err error) {
	both, err := e.answer(ctx, sources[:], rows, o, sink)
	if err == nil {
		return [2]verdict(both), false, nil
	}
	if !errors.Is(err, device.ErrOutOfMemory) {
		return out, false, err
	}
	sink.Note("the device does not hold both models at once: they answer one after the other, and a change of the machine's speed meets one of them alone")
	for i := range sources {
		one, err := e.answer(ctx, sources[i:i+1], rows, o, sink)
		if err != nil {
			return out, true, err
		}
		out[i] = one[0]
	}
	return out, true, nil
}

// answer loads models, answers every row with each in turn, and frees them.
func (e *Engine) answer(ctx context.Context, sources []Source, rows []dataset.Row, o ABTestOptions, sink Sink) (out []verdict, err error) {
	arms, prompts := make([]*arm, len(sources)), make([][][]int32, len(sources))
	out = make([]verdict, len(sources))
	for a, source := range sources {
		if arms[a], err = openArm(e.Device, e.Storage, source, o.Format, o.MaxLength, e.Config...); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, arms[a].close()) }()
		out[a] = verdict{name: arms[a].name, kind: arms[a].kind, answers: make([]answer, len(rows))}
		if prompts[a], err = arms[a].prepare(ctx, rows, o.Test.Warmup); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return nil, trainError(err)
		}
		for k := range arms {
			a := (i + k) % len(arms)
			if out[a].answers[i], err = arms[a].classify(ctx, prompts[a][i]); err != nil {
				return nil, err
			}
		}
		if (i+1)%8 == 0 || i+1 == len(rows) {
			sink.Progress(experiments.Progress{Done: int64(i + 1), Total: int64(len(rows)), Unit: "rows", Rate: float64(i+1) / time.Since(start).Seconds()})
		}
	}
	for a := range arms {
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

// prepare tokenizes the rows, and computes the instruction in front of them once. The rows themselves
// are not packed together: each has a latency of its own.
func (a *arm) prepare(ctx context.Context, rows []dataset.Row, warmup int) ([][]int32, error) {
	prompts := make([][]int32, len(rows))
	var err error
	for i := range rows {
		if prompts[i], err = a.prompt(&rows[i]); err != nil {
			return nil, err
		}
	}
	if err := a.engine.KeepCommon(ctx, prompts); err != nil {
		return nil, err
	}
	for i := range min(warmup, len(rows)) {
		if _, err := a.classify(ctx, prompts[i]); err != nil {
			return nil, err
		}
	}
	return prompts, nil
}
