package train

import (
	"context"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
)

// Task is what Loop trains.
type Task struct {
	// Weights are the trainable tensors with their values at the start of the run.
	Weights []Weight
	// Vocab bounds the token ids of the examples; Longest bounds their length, 0 = any.
	Vocab, Longest int
	// Storage is the type of matrices and activations; Float is the device's own.
	Storage device.DType
	// Identity adds to the checkpoints' identity: the model, the data beyond the examples, settings.
	Identity map[string]string
	// Build makes the graph for packed batches of rows rows; dropout only where training is set.
	Build func(rows int, training bool) (*Program, error)
	// On, where not nil, puts the task on a further device of a device.Group: Build there, and what frees what it holds.
	// Where it is nil, one device trains.
	On func(dev device.Device) (build func(rows int, training bool) (*Program, error), release func() error, err error)
	// Score, where not nil, gives further values for each evaluation record, whose names get eval_ before them. trained
	// are the present values of the trainable tensors on the first device, in the type that the graph computes with.
	Score func(ctx context.Context, trained map[string]device.Buffer) (map[string]float64, error)
	// Monitor, where not nil, gives further values for each training record. weight reads the
	// present values of a trainable tensor.
	Monitor func(weight func(name string) ([]float32, error)) (map[string]float64, error)
}

// Weight is a trainable tensor.
type Weight struct {
	Name  string
	Shape []int
	Data  []float32
	Decay bool // weight decay applies
}

// Program is a graph of one packed length.
type Program struct {
	// Cost, of shape [1], is this batch's share of its window's loss: the shares are added.
	Cost *G.Node
	// Parts are further [1] nodes, added over the window and recorded beside the loss.
	Parts []Part
	// Layers are each layer's output, in order: what Options.Recompute keeps.
	Layers G.Nodes
	// Leaves holds the leaf of every trainable tensor, by name.
	Leaves map[string]*G.Node
	// Bind sets the leaves that are neither trainable nor fed: the frozen weights.
	Bind func(*graph.Machine) error
	// Feed gives the values of the other leaves for one batch of a window.
	Feed func(p *Packed, w *Window) ([]Input, error)
}

// Part is a named share of the loss.
type Part struct {
	Name string
	Node *G.Node
}

// Input is the value of a leaf: []int32, []float32 or []float64.
type Input struct {
	Leaf   *G.Node
	Values any
}

// Window is what one optimizer step, or one evaluation, adds up.
type Window struct {
	Step    int       // optimizer steps done before it
	Eval    bool      // the packed examples are of the evaluation set
	Batches []*Packed // all micro-batches
	Trained int       // tokens with a label in all of them
	Weight  float64   // of all these tokens: their number, where examples count alike
	// DropoutKey differs for every micro-batch of the run.
	DropoutKey [2]int32
}

// LossWeights gives each trained token of p its share of the window's loss, its example's weight / Weight, for Dot with
// the tokens' negative log-likelihoods. In evaluations examples count alike.
func (w *Window) LossWeights(p *Packed) []float64 {
	out := make([]float64, p.T())
	for t, label := range p.Labels {
		if label >= 0 {
			out[t] = 1 / float64(w.Trained)
		}
	}
	if w.Eval {
		return out
	}
	for i, start := range p.Starts {
		end := p.Tokens
		if i+1 < len(p.Starts) {
			end = p.Starts[i+1]
		}
		for t := start; t < end; t++ {
			if p.Labels[t] >= 0 {
				out[t] = p.Weights[i] / w.Weight
			}
		}
	}
	return out
}
