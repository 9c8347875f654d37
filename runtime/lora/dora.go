package lora

import (
	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// weighDecomposed is y with the weight decomposed into magnitude and direction (Liu et al. 2024):
// with g = M/‖W + scaling·B·A‖, of which the norms are constants to the gradient, W·x becomes
// g∘(W·x + up), and the bias is added after. dropped is x where dropout took part of it, and nil
// otherwise: peft then adds (g−1)∘W·dropped + g∘up to the plain output.
func (a *Adapter) weighDecomposed(b *model.Builder, m Module, out model.Rows, dropped, wa, wb, y, up *G.Node) (*G.Node, error) {
	magnitude := b.Leaf(m.WeightM(), device.Float, m.Out)
	if err := b.Err(); err != nil {
		return nil, err
	}
	w, err := b.Weight(out, m.Out, m.In)
	if err != nil {
		return nil, err
	}
	if magnitude, err = out.Of(magnitude); err != nil {
		return nil, err
	}
	delta, err := graph.MatMul(wb, wa, false, false)
	if err != nil {
		return nil, err
	}
	if delta, err = graph.Scale(delta, m.Scaling); err != nil {
		return nil, err
	}
	if delta, err = graph.Add(w, delta); err != nil {
		return nil, err
	}
	g, err := graph.DivideByRowNorms(magnitude, delta)
	if err != nil {
		return nil, err
	}
	if dropped == nil {
		return a.weighWhole(b, out, m, g, y, up)
	}
	base, err := graph.MatMul(dropped, w, false, true)
	if err != nil {
		return nil, err
	}
	both, err := graph.Add(base, up)
	if err != nil {
		return nil, err
	}
	if both, err = graph.ScaleColumns(both, g); err != nil {
		return nil, err
	}
	if base, err = graph.Scale(base, -1); err != nil {
		return nil, err
	}
	if both, err = graph.Add(both, base); err != nil {
		return nil, err
	}
	return graph.Add(y, both)
}

// weighWhole is g∘(y − bias + up) + bias.
func (a *Adapter) weighWhole(b *model.Builder, out model.Rows, m Module, g, y, up *G.Node) (*G.Node, error) {
	bias := b.Leaves()[m.Name+".bias"]
	var err error
	if bias != nil {
		if bias, err = out.Of(bias); err != nil {
			return nil, err
		}
		less, err := graph.Scale(bias, -1)
		if err != nil {
			return nil, err
		}
		if y, err = graph.AddBias(y, less); err != nil {
			return nil, err
		}
	}
	if y, err = graph.Add(y, up); err != nil {
		return nil, err
	}
	if y, err = graph.ScaleColumns(y, g); err != nil || bias == nil {
		return y, err
	}
	return graph.AddBias(y, bias)
}
