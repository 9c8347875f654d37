package train

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
)

// maxPrograms bounds the compiled graphs that are held; the one used longest ago makes room.
const maxPrograms = 24

// programs compiles and keeps the graphs of a task, one for each packed length and mode. Their
// machines never run at once and share an arena.
type programs struct {
	dev   device.Device
	task  *Task
	slots []*slot
	arena *graph.Arena
	held  map[programKey]*compiled
	clock int
}

type programKey struct {
	rows     int
	training bool
}

type compiled struct {
	*Program
	machine *graph.Machine
	grads   G.Nodes // in the order of the slots; nil for evaluation
	inputs  map[*G.Node]device.Buffer
	used    int
}

func newPrograms(dev device.Device, task *Task, slots []*slot) *programs {
	return &programs{dev: dev, task: task, slots: slots, arena: graph.NewArena(dev), held: map[programKey]*compiled{}}
}

func (ps *programs) get(rows int, training bool) (*compiled, error) {
	key := programKey{rows, training}
	ps.clock++
	if c := ps.held[key]; c != nil {
		c.used = ps.clock
		return c, nil
	}
	if len(ps.held) >= maxPrograms {
		var oldest programKey
		at := ps.clock
		for k, c := range ps.held {
			if c.used < at {
				oldest, at = k, c.used
			}
		}
		if err := ps.drop(oldest); err != nil {
			return nil, err
		}
	}
	c, err := ps.compile(rows, training)
	if err != nil {
		return nil, fmt.Errorf("graph of %d tokens: %w", rows, err)
	}
	c.used = ps.clock
	ps.held[key] = c
	return c, nil
}

func (ps *programs) compile(rows int, training bool) (*compiled, error) {
	p, err := ps.task.Build(rows, training)
	if err != nil {
		return nil, err
	}
	c := &compiled{Program: p, inputs: map[*G.Node]device.Buffer{}}
	outputs := G.Nodes{p.Cost}
	for _, part := range p.Parts {
		outputs = append(outputs, part.Node)
	}
	leaves := make(G.Nodes, len(ps.slots))
	for i, s := range ps.slots {
		if leaves[i] = p.Leaves[s.Name]; leaves[i] == nil {
			return nil, fmt.Errorf("the model has no weight %s", s.Name)
		}
	}
	if training {
		if c.grads, err = graph.Grad(p.Cost, leaves...); err != nil {
			return nil, err
		}
		outputs = append(outputs, c.grads...)
	}
	if c.machine, err = graph.Compile(ps.dev, outputs, graph.WithArena(ps.arena)); err != nil {
		return nil, err
	}
	if err := p.Bind(c.machine); err != nil {
		return nil, errors.Join(err, c.machine.Close())
	}
	for i, s := range ps.slots {
		if err := c.machine.Set(leaves[i], s.value); err != nil {
			return nil, errors.Join(err, c.machine.Close())
		}
	}
	return c, nil
}

// run computes one batch; the machine's outputs then hold its results.
func (ps *programs) run(c *compiled, p *Packed, w *Window) error {
	feed, err := c.Feed(p, w)
	if err != nil {
		return err
	}
	for _, in := range feed {
		if !c.machine.Uses(in.Leaf) {
			continue
		}
		buf := c.inputs[in.Leaf]
		if buf == nil {
			t := device.Float
			if in.Leaf.Dtype() == G.Int32 {
				t = device.Int32
			}
			if buf, err = ps.dev.Alloc(t, in.Leaf.Shape().TotalSize()); err != nil {
				return fmt.Errorf("input %s: %w", in.Leaf.Name(), err)
			}
			c.inputs[in.Leaf] = buf
			if err := c.machine.Set(in.Leaf, buf); err != nil {
				return err
			}
		}
		if err := ps.dev.Upload(buf, in.Values); err != nil {
			return fmt.Errorf("input %s: %w", in.Leaf.Name(), err)
		}
	}
	return c.machine.RunAll()
}

// scalars reads the cost and the parts after run, added to sums under "loss" and the parts' names.
func (ps *programs) scalars(c *compiled, sums map[string]float64) error {
	read := func(name string, n *G.Node) error {
		var v [1]float64
		if err := ps.dev.Download(v[:], c.machine.Output(n)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sums[name] += v[0]
		return nil
	}
	if err := read("loss", c.Cost); err != nil {
		return err
	}
	for _, part := range c.Parts {
		if err := read(part.Name, part.Node); err != nil {
			return err
		}
	}
	return nil
}

func (ps *programs) drop(key programKey) error {
	c := ps.held[key]
	delete(ps.held, key)
	for _, b := range c.inputs {
		ps.dev.Free(b)
	}
	return c.machine.Close()
}

func (ps *programs) close() error {
	var err error
	for key := range ps.held {
		err = errors.Join(err, ps.drop(key))
	}
	return errors.Join(err, ps.arena.Close())
}
