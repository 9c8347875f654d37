package graph

import (
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// Machine runs a graph on a device. It implements gorgonia.VM. It is not safe for concurrent use, and
// neither is the arena it shares with others.
type Machine struct {
	dev      device.Device
	plan     *plan
	graph    *G.ExprGraph
	outputs  map[*G.Node]device.Buffer // nil until bound
	leaves   map[*G.Node]device.Buffer // nil until set
	arena    *Arena
	owned    bool // the arena is this machine's own
	launches []launch
	growth   int  // the arena's when bound
	bound    bool // launches hold the buffers of leaves and arena
}

var _ G.VM = (*Machine)(nil)

// launch is an item with its buffers; a run only goes through them.
type launch struct {
	kernel
	item    int
	out, in []device.Buffer
}

// Option changes how a graph is compiled.
type Option func(*options)

type options struct {
	arena   *Arena
	keep    G.Nodes
	costly  bool
	storage func(*G.Node) device.DType
}

// WithArena puts the machine's intermediate results into an arena shared with other machines.
func WithArena(a *Arena) Option { return func(o *options) { o.arena = a } }

// WithRecompute trades time for memory (gradient checkpointing): of the forward results before the last
// of keep, only keep live on until the gradient needs them; the others are computed again then. keep
// is, as a rule, each layer's output. The results have the same bytes.
func WithRecompute(keep ...*G.Node) Option { return func(o *options) { o.keep = keep } }

// WithCostlyKept makes recomputation selective (Korthikanti et al. 2022): besides what WithRecompute
// keeps, the results of matrix products and attention live on, so that only what takes much memory for
// little arithmetic is computed again: norms, rotations, activations, dropout, sums and products of low rank.
func WithCostlyKept() Option { return func(o *options) { o.costly = true } }

// Compile makes the machine that computes outputs. What they do not depend on is left out.
func Compile(dev device.Device, outputs G.Nodes, opts ...Option) (*Machine, error) {
	if dev == nil || len(outputs) == 0 {
		return nil, fmt.Errorf("graph: compile: needs a device and at least one output")
	}
	for i, n := range outputs {
		if n == nil {
			return nil, fmt.Errorf("graph: compile: output %d is missing", i)
		}
		if n.Graph() != outputs[0].Graph() {
			return nil, fmt.Errorf("graph: compile: output %s is of another graph", label(n))
		}
	}
	var o options
	for _, f := range opts {
		f(&o)
	}
	s, err := newSchedule(outputs)
	if err != nil {
		return nil, err
	}
	if err := s.infer(o.storage); err != nil {
		return nil, err
	}
	if err := s.gather(); err != nil {
		return nil, err
	}
	s.recompute(o.keep, o.costly)
	s.join(dev)
	p := newPlan(s)
	m := &Machine{
		dev: dev, plan: p, graph: outputs[0].Graph(), arena: o.arena,
		outputs: make(map[*G.Node]device.Buffer), leaves: make(map[*G.Node]device.Buffer),
	}
	if m.arena == nil {
		m.arena, m.owned = NewArena(dev), true
	} else if m.arena.dev != dev {
		return nil, fmt.Errorf("graph: compile: the arena is on another device")
	}
	m.arena.reserve(p.arena)
	for _, n := range outputs {
		m.outputs[n] = nil
	}
	for _, n := range p.leaves {
		m.leaves[n] = nil
	}
	return m, nil
}

// join puts operations together that the device does at once.
func (s *schedule) join(dev device.Device) {
	if d, ok := dev.(device.StandIn); ok {
		dev = d.StandsFor()
	}
	if _, ok := dev.(device.ProductSum); ok {
		s.fuse(dev)
	}
	if _, ok := dev.(device.AttentionKeeper); ok {
		s.keepStatistics()
	}
	if _, ok := dev.(device.LossAndGrad); ok {
		s.joinLoss()
	}
	if _, ok := dev.(device.Int8Sharer); ok {
		s.shareActivations()
	}
	if _, ok := dev.(device.FP8Sharer); ok {
		s.shareFP8()
	}
}

// Set binds a leaf to a buffer of its type and size. The buffer is read at each run (and written, if
// the graph holds a CacheWrite to it), so uploading into it needs no new Set. A leaf of the graph
// that the outputs do not depend on is accepted and has no effect.
func (m *Machine) Set(leaf *G.Node, buf device.Buffer) error {
	if leaf == nil || buf == nil {
		return fmt.Errorf("graph: set: the leaf or its buffer is missing")
	}
	if leaf.Op() != nil || leaf.Graph() != m.graph {
		return fmt.Errorf("graph: set: %s is no leaf of this machine's graph", label(leaf))
	}
	old, used := m.leaves[leaf]
	want := m.DType(leaf)
	if buf.Len() != size(leaf) || (buf.DType() != want && (used || buf.DType().IsFloat() != want.IsFloat())) {
		return fmt.Errorf("graph: set: leaf %s is %v of %v, the buffer holds %d of %v", label(leaf), leaf.Shape(), want, buf.Len(), buf.DType())
	}
	if used && old != buf {
		m.leaves[leaf] = buf
		m.bound = false
	}
	return nil
}

// DType is how a leaf is stored, and so the type of the buffer that Set takes for it.
func (m *Machine) DType(leaf *G.Node) device.DType {
	if i, ok := m.plan.index[leaf]; ok {
		return m.plan.items[i].dtype
	}
	return dtypeOf(leaf)
}

// Uses says whether the outputs depend on a leaf, so that it must be set.
func (m *Machine) Uses(leaf *G.Node) bool { _, ok := m.leaves[leaf]; return ok }

// Unset are the leaves that the outputs depend on and that have no buffer.
func (m *Machine) Unset() G.Nodes {
	var out G.Nodes
	for _, n := range m.plan.leaves {
		if m.leaves[n] == nil {
			out = append(out, n)
		}
	}
	return out
}

// RunAll computes the outputs. It names the leaves that were not set.
func (m *Machine) RunAll() error {
	if err := m.arena.Ready(); err != nil {
		return err
	}
	if !m.bound || m.growth != m.arena.growth {
		if err := m.bind(); err != nil {
			return err
		}
	}
	for i := range m.launches {
		l := &m.launches[i]
		l.launch(m.dev, l.out, l.in)
	}
	if err := m.dev.Sync(); err != nil {
		return fmt.Errorf("graph: run: %w", err)
	}
	return nil
}

// bind gives every launch its buffers.
func (m *Machine) bind() error {
	if missing := m.Unset(); len(missing) > 0 {
		var unset []string
		for _, n := range missing {
			unset = append(unset, n.Name())
		}
		return fmt.Errorf("graph: run: not set: %s", strings.Join(unset, ", "))
	}
	m.launches = m.launches[:0]
	for i, it := range m.plan.items {
		if !launches(it) {
			continue
		}
		l := launch{kernel: it.kernel, item: i, in: make([]device.Buffer, len(it.in))}
		for _, v := range m.plan.values[i] {
			l.out = append(l.out, m.buffer(v))
		}
		for k, j := range it.in {
			l.in[k] = m.buffer(m.plan.values[j][0])
		}
		m.launches = append(m.launches, l)
	}
	for n := range m.outputs {
		m.outputs[n] = m.buffer(m.plan.values[m.plan.index[n]][0])
	}
	m.bound, m.growth = true, m.arena.growth
	return nil
}

// launches tells whether an item does something in a run.
func launches(it item) bool {
	switch it.kernel.(type) {
	case nil, view, scratch:
		return false
	}
	return true
}

// buffer is the memory of a value, nil for a part that is not computed.
func (m *Machine) buffer(v value) device.Buffer {
	if v.storage == nil {
		return nil
	}
	if v.leaf == nil {
		return m.arena.bufs[v.dtype].Slice(v.storage.off+v.off, v.storage.off+v.off+v.n)
	}
	buf := m.leaves[v.leaf]
	if v.whole() {
		return buf
	}
	return buf.Slice(v.off, v.off+v.n)
}

// Output is the memory of an output after RunAll, valid until the next RunAll of this machine or of
// one that shares its arena. It is nil for a node that is no output, and before the first run.
func (m *Machine) Output(n *G.Node) device.Buffer {
	if !m.bound || m.growth != m.arena.growth {
		return nil
	}
	return m.outputs[n]
}

// ArenaBytes is the memory that the intermediate results need, with Float counted as float32.
func (m *Machine) ArenaBytes() int64 { return bytesIn(m.plan.arena) }

// Steps is the number of launches of a run.
func (m *Machine) Steps() int {
	n := 0
	for _, it := range m.plan.items {
		if launches(it) {
			n++
		}
	}
	return n
}

// Reset forgets the buffers of all leaves.
func (m *Machine) Reset() {
	for n := range m.leaves {
		m.leaves[n] = nil
	}
	m.bound = false
}

// Close frees the arena, unless it is shared.
func (m *Machine) Close() error {
	m.Reset()
	m.launches = nil
	if m.owned {
		return m.arena.Close()
	}
	return nil
}
