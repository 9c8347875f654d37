package train

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

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
	again string // Options.Recompute
	scale bool   // training multiplies the cost by a loss scale
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
	scale   *G.Node // the leaf of the loss scale, or nil
	inputs  map[*G.Node]device.Buffer
	used    int
}

func newPrograms(dev device.Device, task *Task, slots []*slot, recompute string) *programs {
	return &programs{
		dev: dev, task: task, slots: slots, again: recompute, scale: task.Storage == device.Float16,
		arena: graph.NewArena(dev), held: map[programKey]*compiled{},
	}
}

func (ps *programs) get(rows int, training bool) (*compiled, error) {
	key := programKey{rows, training}
	ps.clock++
	if c := ps.held[key]; c != nil {
		c.used = ps.clock
		return c, nil
	}
	if len(ps.held) >= maxPrograms {
		oldest := func(a, b programKey) int { return cmp.Compare(ps.held[a].used, ps.held[b].used) }
		if err := ps.drop(slices.MinFunc(slices.Collect(maps.Keys(ps.held)), oldest)); err != nil {
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

// compiling is held while a graph is made: Gorgonia's pools are not known to bear several at once.
var compiling sync.Mutex

func (ps *programs) compile(rows int, training bool) (*compiled, error) {
	compiling.Lock()
	defer compiling.Unlock()
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
	var sinks G.Nodes
	if training {
		var sums G.Nodes
		if sinks, sums, err = ps.sinks(c, leaves); err != nil {
			return nil, err
		}
		outputs = append(outputs, sums...)
	}
	if c.machine, err = graph.Compile(ps.dev, outputs, ps.options(p, training, sinks)...); err != nil {
		return nil, err
	}
	if err := p.Bind(c.machine); err != nil {
		return nil, errors.Join(err, c.machine.Close())
	}
	for i, s := range ps.slots {
		err := c.machine.Set(leaves[i], s.leaf())
		if err == nil && training {
			err = c.machine.Set(sinks[i], s.grad)
		}
		if err != nil {
			return nil, errors.Join(err, c.machine.Close())
		}
	}
	return c, nil
}

// sinks adds the gradients to the graph, and leaves that they are added to.
func (ps *programs) sinks(c *compiled, leaves G.Nodes) (sinks, sums G.Nodes, err error) {
	cost, g := c.Cost, c.Cost.Graph()
	if ps.scale {
		if c.scale, err = graph.Leaf(g, "train.loss_scale", device.Float, 1); err != nil {
			return nil, nil, err
		}
		if cost, err = graph.ScaleBy(cost, c.scale); err != nil {
			return nil, nil, err
		}
	}
	grads, err := graph.Grad(cost, leaves...)
	if err != nil {
		return nil, nil, err
	}
	for i, s := range ps.slots {
		sink, err := graph.Leaf(g, "train.gradient."+s.Name, device.Float, s.Shape...)
		if err != nil {
			return nil, nil, err
		}
		sum, err := graph.Accumulate(sink, grads[i])
		if err != nil {
			return nil, nil, err
		}
		sinks, sums = append(sinks, sink), append(sums, sum)
	}
	return sinks, sums, nil
}

// options says how a program is compiled.
func (ps *programs) options(p *Program, training bool, sinks G.Nodes) []graph.Option {
	rule := graph.Matrices(ps.task.Storage)
	opts := []graph.Option{graph.WithArena(ps.arena), graph.WithStorage(func(n *G.Node) device.DType {
		if slices.Contains(sinks, n) {
			return device.Float
		}
		return rule(n)
	})}
	if !training || ps.again == "" || ps.again == RecomputeNone {
		return opts
	}
	// The last layer's gradient follows its forward pass at once: computing it again would free nothing.
	opts = append(opts, graph.WithRecompute(p.Layers[:max(0, len(p.Layers)-1)]...))
	if ps.again == RecomputeSelective {
		opts = append(opts, graph.WithCostlyKept())
	}
	return opts
}

// run computes one batch; the machine's outputs then hold its results, and the gradients, times
// lossScale where there is one, are added to those of the slots.
func (ps *programs) run(c *compiled, p *Packed, w *Window, scale *lossScale) error {
	feed, err := c.Feed(p, w)
	if err != nil {
		return err
	}
	if c.scale != nil {
		feed = append(feed, Input{c.scale, []float64{scale.Factor}})
	}
	for _, in := range feed {
		if !c.machine.Uses(in.Leaf) {
			continue
		}
		buf := c.inputs[in.Leaf]
		if buf == nil {
			if buf, err = ps.dev.Alloc(c.machine.DType(in.Leaf), in.Leaf.Shape().TotalSize()); err != nil {
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
