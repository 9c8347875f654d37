package lora

import (
	"errors"
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// DropoutKey is the leaf of the dropout key, Int32[2], in a graph built for training.
const DropoutKey = "lora.dropout_key"

// Adapter is an adapter with its weights.
type Adapter struct {
	Config
	BaseModel string   // base_model_name_or_path, for adapter_config.json
	Modules   []Module // in the model's order
}

// Module is the adapter of one linear module.
type Module struct {
	Name string // for example "model.layers.0.self_attn.q_proj"
	In   int
	Out  int
	A    []float32 // [R, In]
	B    []float32 // [Out, R]
	M    []float32 // [Out], the magnitudes, with DoRA
}

// WeightA and WeightB are the names of the module's weights in files, as peft has them.
func (m Module) WeightA() string { return "base_model.model." + m.Name + ".lora_A.weight" }

// WeightB is the other one.
func (m Module) WeightB() string { return "base_model.model." + m.Name + ".lora_B.weight" }

// WeightM is the name of the magnitudes, with DoRA.
func (m Module) WeightM() string { return "base_model.model." + m.Name + ".lora_magnitude_vector" }

// Tensor is one weight of an adapter under its name in files.
type Tensor struct {
	Name  string
	Shape []int
	Data  *[]float32 // of the module; a new slice may be put there
}

// Tensors lists the weights in the order of the modules.
func (a *Adapter) Tensors() []Tensor {
	var list []Tensor
	for i := range a.Modules {
		m := &a.Modules[i]
		list = append(list, Tensor{m.WeightA(), []int{a.R, m.In}, &m.A}, Tensor{m.WeightB(), []int{m.Out, a.R}, &m.B})
		if a.DoRA {
			list = append(list, Tensor{m.WeightM(), []int{m.Out}, &m.M})
		}
	}
	return list
}

// New makes an adapter for a model as peft initialises it: A Kaiming uniform, B zero, so that it
// changes nothing yet. With DoRA, InitMagnitudes must follow.
func New(c Config, cfg model.Config, seed uint64) (*Adapter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	a := &Adapter{Config: c}
	modules, err := targets(c, cfg)
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		m.A, m.B = make([]float32, c.R*m.In), make([]float32, m.Out*c.R)
		kaimingUniform(m.A, m.In, seed, m.Name)
		a.Modules = append(a.Modules, m)
	}
	return a, nil
}

// targets lists the targeted modules of a model, without weights.
func targets(c Config, cfg model.Config) ([]Module, error) {
	linears := cfg.Linears()
	names := make([]string, len(linears))
	for i, l := range linears {
		names[i] = l.Name
	}
	found, err := c.resolve(names)
	if err != nil {
		return nil, err
	}
	var out []Module
	for _, l := range linears {
		if slices.Contains(found, l.Name) {
			out = append(out, Module{Name: l.Name, Out: l.Shape[0], In: l.Shape[1]})
		}
	}
	return out, nil
}

// Linear is the hook that adds the adapter to a model's graph: y + scaling·dropout(x)·Aᵀ·Bᵀ, with
// leaves named as in files. Dropout is there only in training, from the leaf DropoutKey;
// every module draws its own mask.
func (a *Adapter) Linear(training bool) func(b *model.Builder, out model.Rows, x, y *G.Node) (*G.Node, error) {
	return func(b *model.Builder, out model.Rows, x, y *G.Node) (*G.Node, error) {
		i := slices.IndexFunc(a.Modules, func(m Module) bool { return m.Name == out.Module })
		if i < 0 {
			return y, nil
		}
		m := a.Modules[i]
		wa, wb := b.Leaf(m.WeightA(), device.Float, a.R, m.In), b.Leaf(m.WeightB(), device.Float, m.Out, a.R)
		if err := b.Err(); err != nil {
			return nil, err
		}
		var err error
		var dropped *G.Node
		if training && a.Dropout > 0 {
			key := b.Leaf(DropoutKey, device.Int32, 2)
			if x, err = graph.Dropout(x, key, uint32(i), a.Dropout); err != nil {
				return nil, errors.Join(err, b.Err())
			}
			dropped = x
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
		if up, err = graph.Scale(up, a.Scaling()); err != nil {
			return nil, err
		}
		if a.DoRA {
			return a.weighDecomposed(b, m, out, dropped, wa, wb, y, up)
		}
		return graph.Add(y, up)
	}
}

// Put uploads the adapter's weights beside a model's, for graphs that only read them.
func (a *Adapter) Put(d *model.DeviceParams) error {
	for _, t := range a.Tensors() {
		if err := d.Put(t.Name, t.Shape, *t.Data); err != nil {
			return err
		}
	}
	return nil
}
