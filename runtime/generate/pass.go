package generate

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// kind is what a pass computes of its tokens.
type kind uint8

const (
	nextLogits  kind = iota // the logits after one row, through the cache
	labelScores             // the negative log-likelihood of each row's label, through the cache
	everyLogit              // the logits after every row, without a cache
)

type passKey struct {
	kind kind
	T    int
}

// pass is one compiled graph over T tokens with its index buffers: rows of ints are ids, positions,
// lo, hi, then slots, then the row asked for or the labels.
type pass struct {
	kind  kind
	T     int
	m     *graph.Machine
	out   *G.Node
	ints  []int32
	boxed any // ints, converted once
	buf   device.Buffer
}

func (e *Engine) pass(k kind, T int) (*pass, error) {
	key := passKey{k, T}
	if p := e.passes[key]; p != nil {
		return p, nil
	}
	p, err := e.compile(k, T)
	if err != nil {
		return nil, fmt.Errorf("generate: graph of %d tokens: %w", T, err)
	}
	e.passes[key] = p
	return p, nil
}

func (e *Engine) compile(k kind, T int) (*pass, error) {
	hooks := e.hooks
	if k != everyLogit {
		hooks.KV = &model.KVCache{Capacity: e.rows}
	}
	hooks.Storage = e.params.Storage()
	b := model.NewBuilder(e.cfg, hooks)
	in := b.Inputs(T)
	leaves := G.Nodes{in.IDs, in.Pos, in.Lo, in.Hi}
	h, err := b.Hidden(in)
	if err != nil {
		return nil, err
	}
	head := b.Head()
	var out *G.Node
	switch k {
	case everyLogit:
		out, err = graph.MatMul(h, head, false, true)
	case nextLogits:
		row := b.Leaf("input.row", device.Int32, 1)
		leaves = append(leaves, in.Slots, row)
		if h, err = graph.Embedding(h, row); err == nil {
			out, err = graph.MatMul(h, head, false, true)
		}
	case labelScores:
		labels := b.Leaf("input.labels", device.Int32, T)
		leaves = append(leaves, in.Slots, labels)
		out, err = graph.CrossEntropy(h, head, labels)
	}
	if err == nil {
		err = b.Err()
	}
	if err != nil {
		return nil, err
	}
	m, err := graph.Compile(e.dev, G.Nodes{out}, graph.WithArena(e.arena), e.params.Stored())
	if err != nil {
		return nil, err
	}
	p := &pass{kind: k, T: T, m: m, out: out, ints: make([]int32, 6*T)}
	p.boxed = p.ints
	if p.buf, err = e.dev.Alloc(device.Int32, len(p.ints)); err != nil {
		return nil, err
	}
	if err = e.bind(p, b, leaves); err != nil {
		p.close(e.dev)
		return nil, err
	}
	return p, nil
}

// bind sets the leaves of a pass: weights, index rows and the cache.
func (e *Engine) bind(p *pass, b *model.Builder, leaves G.Nodes) error {
	if err := e.params.Bind(p.m, b); err != nil {
		return err
	}
	for i, leaf := range leaves {
		n := leaf.Shape().TotalSize()
		if err := p.m.Set(leaf, p.buf.Slice(i*p.T, i*p.T+n)); err != nil {
			return err
		}
	}
	if p.kind == everyLogit {
		return nil
	}
	for i := range e.cfg.Layers {
		for j, part := range []string{"k", "v"} {
			leaf := b.Leaf(model.CacheName(i, part), device.Float, e.rows, e.cfg.KVDim())
			if err := p.m.Set(leaf, e.cache[2*i+j]); err != nil {
				return err
			}
		}
	}
	return b.Err()
}

// fill lays n tokens from position start on into the index rows. Padding sees nothing, and writes
// into cache rows that no token sees before its own write.
func (p *pass) fill(ids []int32, start int) {
	T := p.T
	for t := range T {
		p.ints[t], p.ints[T+t], p.ints[2*T+t], p.ints[3*T+t] = 0, 0, 0, 0
		if t < len(ids) {
			p.ints[t], p.ints[T+t], p.ints[3*T+t] = ids[t], int32(start+t), int32(start+t+1)
		}
		if p.kind != everyLogit {
			p.ints[4*T+t] = int32(start + t)
		}
	}
}

func (p *pass) run(dev device.Device) error {
	if err := dev.Upload(p.buf, p.boxed); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	if err := p.m.RunAll(); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}

func (p *pass) close(dev device.Device) {
	p.m.Close()
	dev.Free(p.buf)
}
