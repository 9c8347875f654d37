package finetunebench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"triality/runtime/device"
	"triality/runtime/model"
	"triality/runtime/train"
)

// Row is a line of the table that a card is measured by.
type Row struct {
	Name string
	Options
	Limit int64  // bytes of the card's memory that may be used; 0 is all of them
	Peers []Peer // that train the same
}

// Line is what a row showed. Failed says why where it is not all there.
type Line struct {
	Row      string        `json:"row"`
	Triality *Result       `json:"triality,omitempty"`
	Peers    []*PeerResult `json:"peers,omitempty"`
	Failed   string        `json:"failed,omitempty"`
}

// Table is LoRA of published models' shapes, in bfloat16 and int8, with the least memory and with enough.
func Table() []Row {
	shape := func(name string) Shape {
		return Shapes[slices.IndexFunc(Shapes, func(s Shape) bool { return s.Name == name })]
	}
	row := func(name, of string, microBatch int, recompute string, peers ...Peer) Row {
		return Row{Name: name, Peers: peers, Options: Options{
			Shape: shape(of), Storage: model.Storage{Matrices: device.BFloat16}, Optimizer: train.AdamW, Recompute: recompute,
			R: 64, Sequence: 2048, MicroBatch: microBatch, Accumulation: 1, LearningRate: 2e-4, Seed: 1}}
	}
	eager, compiled := Peer{NarrowAdapters: true}, Peer{NarrowAdapters: true, Compiled: true}
	long := row("7b-sequence-4096", "qwen2.5-7b", 2, train.RecomputeNone)
	long.R, long.Sequence = 16, 4096
	int8 := row("7b-int8", "qwen2.5-7b", 4, train.RecomputeNone)
	int8.Storage.Int8, int8.Storage.Threshold = true, 6
	small := row("7b-int8-11gib", "qwen2.5-7b", 1, train.RecomputeLayer)
	small.Storage, small.Optimizer, small.Limit = int8.Storage, train.PagedAdamW8bit, 11<<30
	planted := func(n int, name string) Row {
		r := int8
		r.Name, r.Outliers = name, n
		return r
	}
	fp8 := func(n int, name string) Row {
		r := row(name, "qwen2.5-7b", 4, train.RecomputeNone)
		r.Storage.FP8, r.Outliers = true, n
		return r
	}
	fp8Small := row("7b-fp8-11gib", "qwen2.5-7b", 1, train.RecomputeLayer)
	fp8Small.Storage.FP8, fp8Small.Optimizer, fp8Small.Limit = true, train.PagedAdamW8bit, 11<<30
	return []Row{
		row("7b", "qwen2.5-7b", 4, train.RecomputeNone, eager, compiled),
		row("7b-selective", "qwen2.5-7b", 4, train.RecomputeSelective),
		row("7b-recomputed", "qwen2.5-7b", 4, train.RecomputeLayer, eager),
		long,
		row("1.5b", "qwen2.5-1.5b", 8, train.RecomputeNone, eager),
		row("0.5b", "qwen2.5-0.5b", 16, train.RecomputeNone, eager),
		int8,
		planted(1, "7b-int8-outliers-1"),
		planted(100, "7b-int8-outliers-100"),
		planted(1000, "7b-int8-outliers-1000"),
		planted(2000, "7b-int8-outliers-2000"),
		planted(1<<20, "7b-int8-outliers-all"),
		small,
		fp8(0, "7b-fp8"),
		fp8(1, "7b-fp8-outliers-1"),
		fp8(100, "7b-fp8-outliers-100"),
		fp8(1<<20, "7b-fp8-outliers-all"),
		fp8Small,
	}
}

// RunTable measures rows one after the other, steps optimizer steps each, on devices that open gives, and
// their peers by python where that is not empty. A row that fails does not keep the others from theirs; the
// error then counts them.
func RunTable(ctx context.Context, rows []Row, steps int, python string, open func(limit int64) (device.Device, error), begins func(what string)) ([]Line, error) {
	var lines []Line
	failed := 0
	for _, r := range rows {
		line := Line{Row: r.Name}
		if err := line.measure(ctx, r, steps, python, open, begins); err != nil {
			if ctx.Err() != nil {
				return lines, err
			}
			line.Failed = err.Error()
			failed++
		}
		lines = append(lines, line)
	}
	if failed > 0 {
		return lines, fmt.Errorf("bench: %d of %d rows failed", failed, len(rows))
	}
	return lines, nil
}

func (l *Line) measure(ctx context.Context, r Row, steps int, python string, open func(int64) (device.Device, error), begins func(string)) error {
	r.Steps = steps
	begins(r.Name)
	dev, err := open(r.Limit)
	if err != nil {
		return err
	}
	l.Triality, err = Run(ctx, dev, r.Options)
	if err = errors.Join(err, dev.Close()); err != nil || python == "" {
		return err
	}
	for _, p := range r.Peers {
		begins(r.Name + ", " + p.String())
		result, e := RunPeer(ctx, python, r.Options, p)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", p, e))
			continue
		}
		l.Peers = append(l.Peers, result)
	}
	return err
}
