package lora

import (
	"errors"
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// Hooks add the adapter to a model's graph, whose configuration is that of Model. Dropout is there only
// in training, from the leaf DropoutKey; every module draws its own mask.
func (a *Adapter) Hooks(h model.Hooks, training bool) model.Hooks {
	h.Linear = a.Linear(training)
	if i := a.module(model.EmbedModule); i >= 0 {
		h.Embedding = a.Modules[i].embedding
	}
	if i := a.module(model.HeadModule); i >= 0 {
		h.Head = func(b *model.Builder, x, w *G.Node) (*G.Node, *G.Node, error) {
			x, w, err := a.head(b, i, training, x, w)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", model.HeadModule, errors.Join(err, b.Err()))
			}
			return x, w, nil
		}
	}
	return h
}

// module is the index of a module, -1 where it has no adapter.
func (a *Adapter) module(name string) int {
	return slices.IndexFunc(a.Modules, func(m Module) bool { return m.Name == name })
}

// Linear is the hook of linear modules: y + scaling·dropout(x)·Aᵀ·Bᵀ, with leaves named as in files.
func (a *Adapter) Linear(training bool) func(b *model.Builder, out model.Rows, x, y *G.Node) (*G.Node, error) {
	return func(b *model.Builder, out model.Rows, x, y *G.Node) (*G.Node, error) {
		i := a.module(out.Module)
		if i < 0 {
			return y, nil
		}
		m := a.Modules[i]
		wa, wb := m.leaves(b)
		if err := b.Err(); err != nil {
			return nil, err
		}
		x, dropped, err := a.dropout(b, i, training, x)
		if err != nil {
			return nil, err
		}
		down, err := graph.MatMul(x, wa, false, true)
		if err != nil {
			return nil, errors.Join(err, b.Err())
		}
		if wb, err = out.Of(wb); err != nil {
			return nil, err
		}
		up, err := graph.MatMul(down, wb, false, true)
		if err != nil {
			return nil, errors.Join(err, b.Err())
		}
		if up, err = graph.Scale(up, m.Scaling); err != nil {
			return nil, err
		}
		if a.DoRA {
			return a.weighDecomposed(b, m, out, dropped, wa, wb, y, up)
		}
		return graph.Add(y, up)
	}
}

func (m Module) leaves(b *model.Builder) (wa, wb *G.Node) {
	return b.Leaf(m.WeightA(), device.Float, m.R, m.In), b.Leaf(m.WeightB(), device.Float, m.Out, m.R)
}

// dropout is a module's input under dropout; dropped is nil where nothing is taken of it.
func (a *Adapter) dropout(b *model.Builder, i int, training bool, x *G.Node) (out, dropped *G.Node, err error) {
	if !training || a.Dropout == 0 {
		return x, nil, nil
	}
	key := b.Leaf(DropoutKey, device.Int32, 2)
	x, err = graph.Dropout(x, key, uint32(i), a.Dropout)
	return x, x, errors.Join(err, b.Err())
}

// embedding is h + scaling·B[ids]·A. peft has no dropout there.
func (m Module) embedding(b *model.Builder, ids, h *G.Node) (*G.Node, error) {
	wa, wb := m.leaves(b)
	if err := b.Err(); err != nil {
		return nil, err
	}
	down, err := graph.Embedding(wb, ids)
	if err != nil {
		return nil, err
	}
	up, err := graph.MatMul(down, wa, false, false)
	if err != nil {
		return nil, err
	}
	if up, err = graph.Scale(up, m.Scaling); err != nil {
		return nil, err
	}
	return graph.Add(h, up)
}

// Leaves of the constants [I|0] and [0|I] that put two matrices beside each other.
const (
	leftConstant  = "lora.left"
	rightConstant = "lora.right"
)

// head makes the product of h and the head's weight that with the adapter: [h | scaling·dropout(h)·Aᵀ]
// times [W | B]ᵀ, so that the logits need not be held.
func (a *Adapter) head(b *model.Builder, i int, training bool, h, w *G.Node) (_, _ *G.Node, err error) {
	m := a.Modules[i]
	if a.DoRA {
		return nil, nil, fmt.Errorf("%w: use_dora with an adapter on the head; merging applies it", ErrUnsupported)
	}
	wa, wb := m.leaves(b)
	left, right := b.Leaf(leftConstant, device.Float, m.In, m.In+m.R), b.Leaf(rightConstant, device.Float, m.R, m.In+m.R)
	if err := b.Err(); err != nil {
		return nil, nil, err
	}
	x, _, err := a.dropout(b, i, training, h)
	if err != nil {
		return nil, nil, err
	}
	down, err := graph.MatMul(x, wa, false, true)
	if err != nil {
		return nil, nil, err
	}
	if down, err = graph.Scale(down, m.Scaling); err != nil {
		return nil, nil, err
	}
	beside := func(a, b *G.Node) (*G.Node, error) {
		a, err := graph.MatMul(a, left, false, false)
		if err != nil {
			return nil, err
		}
		if b, err = graph.MatMul(b, right, false, false); err != nil {
			return nil, err
		}
		return graph.Add(a, b)
	}
	if h, err = beside(h, down); err != nil {
		return nil, nil, err
	}
	w, err = beside(w, wb)
	return h, w, err
}

// PutConstants uploads what the graph of Hooks needs beside the weights.
func (a *Adapter) PutConstants(d *model.DeviceParams) error {
	for _, c := range a.constants() {
		rows, width := c.shape[0], c.shape[1]
		one := make([]float32, rows*width)
		for r := range rows {
			one[r*width+c.at+r] = 1
		}
		if err := d.Put(c.name, c.shape, one); err != nil {
			return err
		}
	}
	return nil
}

// ReserveConstants takes the memory that PutConstants would take.
func (a *Adapter) ReserveConstants(d *model.DeviceParams) error {
	for _, c := range a.constants() {
		if err := d.Reserve(c.name, c.shape); err != nil {
			return err
		}
	}
	return nil
}

// ConstantElements is the size of the largest matrix that PutConstants makes.
func (a *Adapter) ConstantElements() int {
	most := 0
	for _, c := range a.constants() {
		most = max(most, c.shape[0]*c.shape[1])
	}
	return most
}

// constant is a matrix with ones in the columns from at on, one in each row.
type constant struct {
	name  string
	shape []int
	at    int
}

func (a *Adapter) constants() []constant {
	i := a.module(model.HeadModule)
	if i < 0 {
		return nil
	}
	m := a.Modules[i]
	return []constant{{leftConstant, []int{m.In, m.In + m.R}, 0}, {rightConstant, []int{m.R, m.In + m.R}, m.In}}
}
