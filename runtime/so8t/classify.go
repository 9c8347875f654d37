package so8t

import (
	"context"
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// Classifier runs the safety and authority heads of a model on a device. One goroutine at a time may
// use it.
type Classifier struct {
	dev    device.Device
	cfg    model.Config
	params *model.DeviceParams
	arena  *graph.Arena
	passes map[int]*classPass
}

// classPass is the compiled graph for one padded prompt length.
type classPass struct {
	machine *graph.Machine
	in      map[string]device.Buffer // ids, pos, lo, hi, row
	heads   [2]*G.Node               // [1,2] each
}

// NewClassifier makes a classifier over weights that Model.Upload put on the device; they stay the
// caller's.
func NewClassifier(dev device.Device, cfg model.Config, params *model.DeviceParams) *Classifier {
	return &Classifier{dev: dev, cfg: cfg, params: params, arena: graph.NewArena(dev), passes: map[int]*classPass{}}
}

// Close frees the graphs.
func (c *Classifier) Close() error {
	var err error
	for rows, p := range c.passes {
		err = errors.Join(err, p.machine.Close())
		for _, b := range p.in {
			c.dev.Free(b)
		}
		delete(c.passes, rows)
	}
	return errors.Join(err, c.arena.Close())
}

// Classify gives the heads' verdict on a prompt, read at its last token.
func (c *Classifier) Classify(ctx context.Context, prompt []int32) (Verdict, error) {
	if err := ctx.Err(); err != nil {
		return Verdict{}, err
	}
	if len(prompt) == 0 || len(prompt) > c.cfg.MaxPositions {
		return Verdict{}, fmt.Errorf("so8t: the prompt has %d tokens; the model takes 1 to %d", len(prompt), c.cfg.MaxPositions)
	}
	for i, id := range prompt {
		if id < 0 || int(id) >= c.cfg.VocabSize {
			return Verdict{}, fmt.Errorf("so8t: prompt token %d is %d, outside the vocabulary of %d", i, id, c.cfg.VocabSize)
		}
	}
	rows := roundUp(len(prompt))
	p, err := c.pass(rows)
	if err != nil {
		return Verdict{}, fmt.Errorf("so8t: graph of %d tokens: %w", rows, err)
	}
	// Padding tokens see nothing and nothing sees them.
	ids, pos, hi := make([]int32, rows), make([]int32, rows), make([]int32, rows)
	for t, id := range prompt {
		ids[t], pos[t], hi[t] = id, int32(t), int32(t+1)
	}
	for name, v := range map[string][]int32{"ids": ids, "pos": pos, "lo": make([]int32, rows), "hi": hi, "row": {int32(len(prompt) - 1)}} {
		if err := c.dev.Upload(p.in[name], v); err != nil {
			return Verdict{}, fmt.Errorf("so8t: %w", err)
		}
	}
	if _, err := c.params.SetLength(len(prompt)); err != nil {
		return Verdict{}, fmt.Errorf("so8t: %w", err)
	}
	if err := p.machine.RunAll(); err != nil {
		return Verdict{}, fmt.Errorf("so8t: %w", err)
	}
	var logits [2][2]float64
	for i, n := range p.heads {
		if err := c.dev.Download(logits[i][:], p.machine.Output(n)); err != nil {
			return Verdict{}, fmt.Errorf("so8t: %w", err)
		}
	}
	return newVerdict(logits[0], logits[1]), nil
}

// roundUp is the rows of the graph for n tokens: 32, 48, 64, 96, 128, 192, …, so that few are
// compiled and padding stays under a half.
func roundUp(n int) int {
	for b := 32; ; b *= 2 {
		if n <= b {
			return b
		}
		if n <= b+b/2 {
			return b + b/2
		}
	}
}

// Reserve takes the memory that prompts of at most n tokens need.
func (c *Classifier) Reserve(n int) error {
	if _, err := c.pass(roundUp(n)); err != nil {
		return fmt.Errorf("so8t: %w", err)
	}
	return c.arena.Ready()
}

func (c *Classifier) pass(rows int) (*classPass, error) {
	if p := c.passes[rows]; p != nil {
		return p, nil
	}
	hooks := Hooks()
	hooks.Storage = c.params.Storage()
	b := model.NewBuilder(c.cfg, hooks)
	in := b.Inputs(rows)
	h, err := b.Hidden(in)
	if err != nil {
		return nil, err
	}
	row := b.Leaf("input.row", device.Int32, 1)
	p := &classPass{in: map[string]device.Buffer{}}
	if h, err = graph.Embedding(h, row); err != nil {
		return nil, errors.Join(err, b.Err())
	}
	for i, name := range []string{SafetyHead, AuthorityHead} {
		if p.heads[i], err = graph.MatMul(h, b.Leaf(name, device.Float, 2, c.cfg.HiddenSize), false, true); err != nil {
			return nil, errors.Join(err, b.Err())
		}
	}
	if p.machine, err = graph.Compile(c.dev, p.heads[:], graph.WithArena(c.arena), c.params.Stored()); err != nil {
		return nil, err
	}
	if err = c.params.Bind(p.machine, b); err == nil {
		err = c.bind(p, map[string]*G.Node{"ids": in.IDs, "pos": in.Pos, "lo": in.Lo, "hi": in.Hi, "row": row})
	}
	if err != nil {
		for _, buf := range p.in {
			c.dev.Free(buf)
		}
		return nil, errors.Join(err, p.machine.Close())
	}
	c.passes[rows] = p
	return p, nil
}

func (c *Classifier) bind(p *classPass, leaves map[string]*G.Node) error {
	for name, leaf := range leaves {
		buf, err := c.dev.Alloc(device.Int32, leaf.Shape().TotalSize())
		if err != nil {
			return err
		}
		p.in[name] = buf
		if err := p.machine.Set(leaf, buf); err != nil {
			return err
		}
	}
	return nil
}
