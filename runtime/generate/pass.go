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
	rowLogits               // the logits after R rows of several sequences, their keys gathered
	rowScores               // the negative log-likelihood of a label after each of R rows, gathered alike
)

// passKey is what a graph is compiled for.
type passKey struct {
	kind kind
	T    int // tokens
	keys int // gathered cache rows
	R    int // rows of the result, where they are chosen
}

// ints is the number of index entries: ids, positions, lo, hi, then slots, gathered rows, rows of the
// result and labels, as far as the kind has them.
func (k passKey) ints() int {
	switch k.kind {
	case everyLogit:
		return 4 * k.T
	case nextLogits:
		return 5*k.T + 1
	case labelScores:
		return 6 * k.T
	case rowLogits:
		return 5*k.T + k.keys + k.R
	}
	return 5*k.T + k.keys + 2*k.R
}

// pass is one compiled graph with its index buffer.
type pass struct {
	passKey
	m     *graph.Machine
	out   *G.Node
	ints  []int32
	boxed any // ints, converted once
	buf   device.Buffer
}

func (e *Engine) pass(key passKey) (*pass, error) {
	if p := e.passes[key]; p != nil {
		return p, nil
	}
	p, err := e.compile(key)
	if err != nil {
		return nil, fmt.Errorf("generate: graph of %d tokens: %w", key.T, err)
	}
	e.passes[key] = p
	return p, nil
}

func (e *Engine) compile(key passKey) (*pass, error) {
	hooks := e.hooks
	if key.kind != everyLogit {
		hooks.KV = &model.KVCache{Capacity: e.rows, Gather: key.keys}
	}
	hooks.Storage = e.params.Storage()
	b := model.NewBuilder(e.cfg, hooks)
	in := b.Inputs(key.T)
	leaves := G.Nodes{in.IDs, in.Pos, in.Lo, in.Hi}
	h, err := b.Hidden(in)
	if err != nil {
		return nil, err
	}
	var out *G.Node
	switch key.kind {
	case everyLogit:
		out, err = b.Logits(h)
	case nextLogits:
		row := b.Leaf("input.row", device.Int32, 1)
		leaves = append(leaves, in.Slots, row)
		if h, err = graph.Embedding(h, row); err == nil {
			out, err = b.Logits(h)
		}
	case labelScores:
		labels := b.Leaf("input.labels", device.Int32, key.T)
		leaves = append(leaves, in.Slots, labels)
		out, err = b.NLL(h, labels)
	case rowLogits, rowScores:
		rows := b.Leaf("input.row", device.Int32, key.R)
		leaves = append(leaves, in.Slots, in.Rows, rows)
		if h, err = graph.Embedding(h, rows); err != nil {
			break
		}
		if key.kind == rowLogits {
			out, err = b.Logits(h)
			break
		}
		labels := b.Leaf("input.labels", device.Int32, key.R)
		leaves = append(leaves, labels)
		out, err = b.NLL(h, labels)
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
	p := &pass{passKey: key, m: m, out: out, ints: make([]int32, key.ints())}
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
	at := 0
	for _, leaf := range leaves {
		n := leaf.Shape().TotalSize()
		if err := p.m.Set(leaf, p.buf.Slice(at, at+n)); err != nil {
			return err
		}
		at += n
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
