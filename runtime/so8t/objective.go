package so8t

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
	"triality/runtime/train"
)

// objective is the loss of SO8T training:
//
//	task_weight · mean NLL of the answer's tokens
//	+ safety_weight · mean cross-entropy of the safety head, over the examples
//	+ authority_weight · the same of the authority head
//	+ pet_lambda · mean squared second difference of the layers' hidden states along each sequence.
//
// Each mean is over the whole accumulation window.
type objective struct {
	cfg         Config
	source      model.Config
	frozen      *model.DeviceParams
	train, eval []Example
}

// headTerm is the loss of one of the two heads.
type headTerm struct {
	name   string
	weight float64
	head   string
	class  func(Class) int32
}

func (o *objective) heads() []headTerm {
	var terms []headTerm
	for _, t := range []headTerm{
		{"safety_loss", o.cfg.SafetyWeight, SafetyHead, Class.safety},
		{"authority_loss", o.cfg.AuthorityWeight, AuthorityHead, Class.authority},
	} {
		if t.weight > 0 {
			terms = append(terms, t)
		}
	}
	return terms
}

// sum adds up the weighted terms of the cost.
type sum struct {
	cost  *G.Node
	parts []train.Part
	err   error
}

func (s *sum) add(name string, weight float64, term *G.Node, err error) {
	if s.err != nil {
		return
	}
	if err != nil {
		s.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	s.parts = append(s.parts, train.Part{Name: name, Node: term})
	scaled, err := graph.Scale(term, weight)
	if err == nil && s.cost != nil {
		scaled, err = graph.Add(s.cost, scaled)
	}
	s.cost, s.err = scaled, err
}

// build makes the graph for packed batches of rows rows.
func (o *objective) build(rows int, _ bool) (*train.Program, error) {
	hooks := Hooks()
	hooks.Storage = o.frozen.Storage()
	var layers G.Nodes
	hooks.HiddenStates = func(_ int, h *G.Node) { layers = append(layers, h) }
	b := model.NewBuilder(o.source, hooks)
	in := b.Inputs(rows)
	h, err := b.Hidden(in)
	if err != nil {
		return nil, err
	}
	leaf := func(name string, t device.DType, shape ...int) *G.Node { return b.Leaf("input."+name, t, shape...) }
	labels, share := leaf("labels", device.Int32, rows), leaf("loss_weights", device.Float, rows)
	classShare, petShare := leaf("class_weights", device.Float, rows), leaf("pet_weight", device.Float, 1)
	heads := o.heads()
	classes := make(G.Nodes, len(heads))
	var s sum
	if o.cfg.TaskWeight > 0 {
		nll, err := b.NLL(h, labels)
		s.addWeighted("task_loss", o.cfg.TaskWeight, nll, share, err)
	}
	for i, t := range heads {
		classes[i] = leaf(t.name, device.Int32, rows)
		nll, err := graph.CrossEntropy(h, b.Leaf(t.head, device.Float, 2, o.source.HiddenSize), classes[i])
		s.addWeighted(t.name, t.weight, nll, classShare, err)
	}
	if o.cfg.PETLambda > 0 {
		pet, err := meanPET(layers, in.Lo, petShare)
		s.add("pet", o.cfg.PETLambda, pet, err)
	}
	if err := errors.Join(s.err, b.Err()); err != nil {
		return nil, err
	}
	return &train.Program{
		Cost: s.cost, Parts: s.parts, Layers: layers, Leaves: b.Leaves(),
		Bind: func(m *graph.Machine) error { return o.frozen.Bind(m, b) },
		Feed: func(p *train.Packed, w *train.Window) ([]train.Input, error) {
			if _, err := o.frozen.SetLength(p.Longest()); err != nil {
				return nil, err
			}
			feed := append(p.Inputs(in), train.Input{Leaf: labels, Values: p.Labels}, train.Input{Leaf: share, Values: w.LossWeights(p)})
			feed = append(feed, train.Input{Leaf: classShare, Values: o.classWeights(p, w)}, train.Input{Leaf: petShare, Values: petWeight(p, w)})
			for i, t := range heads {
				feed = append(feed, train.Input{Leaf: classes[i], Values: o.classLabels(p, w, t.class)})
			}
			return feed, nil
		},
	}, nil
}

// addWeighted adds Σ share·nll as add does.
func (s *sum) addWeighted(name string, weight float64, nll, share *G.Node, err error) {
	if err == nil {
		nll, err = graph.Dot(share, nll)
	}
	s.add(name, weight, nll, err)
}

// meanPET is the mean of the layers' PET terms times share.
func meanPET(layers G.Nodes, lo, share *G.Node) (*G.Node, error) {
	var total *G.Node
	for _, h := range layers {
		pet, err := graph.PET(h, lo)
		if err == nil && total != nil {
			pet, err = graph.Add(total, pet)
		}
		if err != nil {
			return nil, err
		}
		total = pet
	}
	mean, err := graph.Scale(total, 1/float64(len(layers)))
	if err != nil {
		return nil, err
	}
	return graph.ScaleBy(mean, share)
}

func (o *objective) set(w *train.Window) []Example {
	if w.Eval {
		return o.eval
	}
	return o.train
}

// classLabels puts each example's label at its prompt's last token.
func (o *objective) classLabels(p *train.Packed, w *train.Window, label func(Class) int32) []int32 {
	out := make([]int32, p.T())
	for t := range out {
		out[t] = train.Masked
	}
	for k, i := range p.Examples {
		e := o.set(w)[i]
		out[p.Starts[k]+e.Prompt-1] = label(e.Class)
	}
	return out
}

// classWeights gives those tokens the share of one example in the window.
func (o *objective) classWeights(p *train.Packed, w *train.Window) []float64 {
	n := 0
	for _, b := range w.Batches {
		n += len(b.Examples)
	}
	out := make([]float64, p.T())
	for k, i := range p.Examples {
		out[p.Starts[k]+o.set(w)[i].Prompt-1] = 1 / float64(n)
	}
	return out
}

// petWeight is the batch's share of the window's tokens that have two before them in their sequence.
func petWeight(p *train.Packed, w *train.Window) []float64 {
	valid := func(p *train.Packed) (n int) {
		for t, lo := range p.Lo {
			if t-2 >= int(lo) {
				n++
			}
		}
		return n
	}
	all := 0
	for _, b := range w.Batches {
		all += valid(b)
	}
	if all == 0 {
		return []float64{0}
	}
	return []float64{float64(valid(p)) / float64(all)}
}
