package lora

import (
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// InitMagnitudes sets the magnitudes of a DoRA adapter to the lengths of the rows of W + scaling·B·A,
// as peft does, so that a fresh adapter changes nothing. Without DoRA there is nothing to set.
func (a *Adapter) InitMagnitudes(base model.Source) error {
	if !a.DoRA {
		return nil
	}
	for i := range a.Modules {
		m := &a.Modules[i]
		rows, err := a.sum(base, *m)
		if err != nil {
			return err
		}
		m.M = make([]float32, m.Out)
		for o := range m.M {
			m.M[o] = float32(length(rows[o*m.In : (o+1)*m.In]))
		}
	}
	return nil
}

// sum is W + scaling·B·A of a module, [Out, In].
func (a *Adapter) sum(base model.Source, m Module) ([]float64, error) {
	shape, ok := base.Shape(m.Name + ".weight")
	if !ok || !slices.Equal(shape, []int{m.Out, m.In}) {
		return nil, fmt.Errorf("the model has no weight %s.weight of shape [%d %d]: the adapter belongs to another model", m.Name, m.Out, m.In)
	}
	p, err := base.Read(m.Name + ".weight")
	if err != nil {
		return nil, err
	}
	s, out := a.Scaling(), make([]float64, m.Out*m.In)
	for o := range m.Out {
		row := out[o*m.In : (o+1)*m.In]
		for k := range a.R {
			f := float64(m.B[o*a.R+k])
			for i, v := range m.A[k*m.In : (k+1)*m.In] {
				row[i] += f * float64(v)
			}
		}
		for i, v := range row {
			row[i] = float64(p.Data[o*m.In+i]) + s*v
		}
	}
	return out, nil
}

func length(row []float64) float64 {
	sum := 0.0
	for _, v := range row {
		sum += v * v
	}
	return math.Sqrt(sum)
}

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
	if delta, err = graph.Scale(delta, a.Scaling()); err != nil {
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
