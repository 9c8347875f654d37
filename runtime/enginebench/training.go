package enginebench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"triality/runtime/device"
	"triality/runtime/model"
	"triality/runtime/train"
)

// Training is steps of full training: every weight in float32, next-token cross-entropy over a batch,
// gradients clipped to a global norm of 1, AdamW. A step is forward, backward, clipping, update, and
// reading the loss.
type Training struct {
	Shape        Shape  `json:"shape"`
	Parameters   int    `json:"parameters"`
	Batch        int    `json:"batch"`
	Sequence     int    `json:"sequence"`
	Optimizer    string `json:"optimizer"`
	StepSeconds  Times  `json:"step_seconds"`
	TokensSecond Rate   `json:"tokens_per_second"`
	Peer         *Peer  `json:"peer,omitempty"`
	Ratio        *Ratio `json:"ratio,omitempty"` // over PyTorch
	// LossDifference is the largest |ours/theirs − 1| of the losses of all steps, which both sides
	// begin from the same weights.
	LossDifference float64   `json:"largest_relative_loss_difference,omitempty"`
	Losses         []float64 `json:"losses"`
}

// Peer is the other side of Training.
type Peer struct {
	Name         string    `json:"name"`
	Threads      int       `json:"threads"`
	StepSeconds  Times     `json:"step_seconds"`
	TokensSecond Rate      `json:"tokens_per_second"`
	Losses       []float64 `json:"losses"`
}

// Both sides take these steps unmeasured: in the first one graphs are compiled and memory is taken.
const warmUp = 2

const (
	learningRate = 1e-4
	weightDecay  = 0.01
)

// differenceAllowed of the first loss; beyond it the two did not compute the same.
const differenceAllowed = 1e-4

func (o *Options) training(ctx context.Context, dev device.Device, rep *Report) (err error) {
	o.Progress("training")
	cfg, err := o.Shape.config(o.Sequence)
	if err != nil {
		return err
	}
	params, err := model.Init(cfg, 1)
	if err != nil {
		return err
	}
	set := o.examples()
	peer, err := o.startTorch(ctx, params, set)
	var missing *missingError
	switch {
	case errors.As(err, &missing):
		rep.Missing = append(rep.Missing, missing.Error())
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, peer.close()) }()
	}
	dir, err := os.MkdirTemp("", "triality-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := &turns{ctx: ctx, cancel: cancel, o: o, peer: peer}
	opt := train.DefaultOptions()
	opt.MaxSteps, opt.BatchSize, opt.LoggingSteps = warmUp+o.Rounds*o.TurnSteps, o.Batch, 1
	opt.LearningRate, opt.WeightDecay, opt.Scheduler = learningRate, weightDecay, "constant"
	opt.SaveSteps, opt.CheckpointInterval, opt.EvalSteps = 0, 0, 0
	if _, err := train.Run(ctx, dev, cfg, params, set, nil, dir, opt, turns); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	t := &Training{
		Shape: o.Shape, Parameters: params.Elements(), Batch: o.Batch, Sequence: o.Sequence, Optimizer: "AdamW",
		StepSeconds: summarise(turns.seconds), Losses: turns.losses,
	}
	work := float64(o.Batch * o.Sequence)
	t.TokensSecond = rate(work, t.StepSeconds)
	rep.Training = t
	if peer == nil {
		return nil
	}
	p := &Peer{Name: peer.name, Threads: peer.threads, StepSeconds: summarise(turns.peerSeconds), Losses: turns.peerLosses}
	p.TokensSecond = rate(work, p.StepSeconds)
	t.Peer, t.Ratio = p, ratio(t.StepSeconds, p.StepSeconds)
	for i, l := range t.Losses {
		d := math.Abs(l/p.Losses[i] - 1)
		if i == 0 && !(d <= differenceAllowed) {
			return fmt.Errorf("the first loss is %g, PyTorch's %g: not the same work was measured", l, p.Losses[i])
		}
		t.LossDifference = max(t.LossDifference, d)
	}
	return nil
}

// examples are sequences that repeat themselves, so that there is something to learn.
func (o *Options) examples() []train.Example {
	set := make([]train.Example, o.Batch)
	for i := range set {
		ids := make([]int32, o.Sequence)
		for k := range ids {
			ids[k] = int32((i*131 + k*k*7 + k) % o.Shape.Vocab)
		}
		set[i] = train.Example{IDs: ids, Labels: ids}
	}
	return set
}

// turns is the observer of our training; it stops the clock and lets the peer have its turn.
type turns struct {
	ctx    context.Context // Record takes none
	cancel context.CancelCauseFunc
	o      *Options
	peer   *torch

	from                 time.Time
	steps                int
	seconds, peerSeconds []float64
	losses, peerLosses   []float64
}

func (t *turns) Start(train.Start)                { t.from = time.Now() }
func (t *turns) Checkpoint(train.CheckpointEvent) {}

func (t *turns) Record(r train.Record) {
	took := time.Since(t.from).Seconds()
	t.steps++
	t.losses = append(t.losses, r.Values["loss"])
	if t.steps > warmUp {
		t.seconds = append(t.seconds, took)
	}
	if done := t.steps - warmUp; t.peer != nil && (done == 0 || done > 0 && done%t.o.TurnSteps == 0) {
		if err := t.peerTurn(done); err != nil {
			t.cancel(err)
		}
	}
	t.from = time.Now()
}

func (t *turns) peerTurn(done int) error {
	n := t.o.TurnSteps
	if done == 0 {
		n = warmUp
	}
	if err := t.o.rest(t.ctx); err != nil {
		return err
	}
	seconds, losses, err := t.peer.steps(n)
	if err != nil {
		return err
	}
	t.peerLosses = append(t.peerLosses, losses...)
	if done > 0 {
		t.peerSeconds = append(t.peerSeconds, seconds...)
	}
	return t.o.rest(t.ctx)
}
