package lora

import (
	"slices"

	"triality/runtime/device"
	"triality/runtime/model"
)

// DropoutKey is the leaf of the dropout key, Int32[2], in a graph built for training.
const DropoutKey = "lora.dropout_key"

// Adapter is an adapter with its weights.
type Adapter struct {
	Config
	BaseModel string   // base_model_name_or_path, for adapter_config.json
	Modules   []Module // in the model's order
	Saved     []Saved  // weights trained outright, in the model's order
	// Base are weights of the model that the adapter's file brings along, which stand for the model's own:
	// peft writes those of an embedding or head that has an adapter.
	Base []Saved
	// Unmatched are names of the configuration that no module of the model has.
	Unmatched []string
}

// Module is the adapter of one module: scaling·B·A is added to its weight [Out, In].
type Module struct {
	Name      string // for example "model.layers.0.self_attn.q_proj"
	In        int
	Out       int
	Embedding bool // of which B is lora_embedding_A transposed, and A lora_embedding_B transposed
	R         int
	Scaling   float64
	A         []float32 // [R, In]
	B         []float32 // [Out, R]
	M         []float32 // [Out], the magnitudes, with DoRA
}

// Saved is a weight that is trained outright.
type Saved struct {
	Name  string // as the model has it
	Shape []int
	Data  []float32
}

// prefix stands before a model's names in an adapter's file.
const prefix = "base_model.model."

// WeightA and WeightB are the names of the module's weights in files, as peft has them.
func (m Module) WeightA() string {
	if m.Embedding {
		return prefix + m.Name + ".lora_embedding_B"
	}
	return prefix + m.Name + ".lora_A.weight"
}

// WeightB is the other one.
func (m Module) WeightB() string {
	if m.Embedding {
		return prefix + m.Name + ".lora_embedding_A"
	}
	return prefix + m.Name + ".lora_B.weight"
}

// WeightM is the name of the magnitudes, with DoRA.
func (m Module) WeightM() string { return prefix + m.Name + ".lora_magnitude_vector" }

// Tensor is one weight of an adapter under the name that its leaf has in a graph.
type Tensor struct {
	Name  string
	Shape []int
	Data  *[]float32 // of the module; a new slice may be put there
	Saved bool       // it is a weight of the model itself
}

// Tensors lists the weights in the order of the modules, those trained outright last.
func (a *Adapter) Tensors() []Tensor {
	var list []Tensor
	for i := range a.Modules {
		m := &a.Modules[i]
		list = append(list, Tensor{m.WeightA(), []int{m.R, m.In}, &m.A, false}, Tensor{m.WeightB(), []int{m.Out, m.R}, &m.B, false})
		if a.DoRA {
			list = append(list, Tensor{m.WeightM(), []int{m.Out}, &m.M, false})
		}
	}
	for i := range a.Saved {
		s := &a.Saved[i]
		list = append(list, Tensor{s.Name, s.Shape, &s.Data, true})
	}
	return list
}

// New makes an adapter for a model as peft initialises it: of a linear module A Kaiming uniform, of an
// embedding A normal, B zero, so that it changes nothing yet. With DoRA, or weights trained outright, Begin
// must follow.
func New(c Config, cfg model.Config, seed uint64) (*Adapter, error) {
	a, err := Empty(c, cfg)
	if err != nil {
		return nil, err
	}
	for i := range a.Modules {
		m := &a.Modules[i]
		m.A, m.B = make([]float32, m.R*m.In), make([]float32, m.Out*m.R)
		if m.Embedding {
			normal(m.A, seed, m.Name)
		} else {
			kaimingUniform(m.A, m.In, seed, m.Name)
		}
	}
	return a, nil
}

// Empty is an adapter for a model without values.
func Empty(c Config, cfg model.Config) (*Adapter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	a := &Adapter{Config: c}
	var err error
	a.Modules, a.Saved, a.Unmatched, err = targets(c, cfg)
	return a, err
}

// Clone has modules and saved weights of its own; their values are shared.
func (a *Adapter) Clone() *Adapter {
	out := *a
	out.Modules, out.Saved = slices.Clone(a.Modules), slices.Clone(a.Saved)
	return &out
}

// Begin sets what a fresh adapter takes from its model (Model's): the values of the weights trained
// outright, and the magnitudes of DoRA, the lengths of the rows of W + scaling·B·A, as peft does, so that
// it changes nothing.
func (a *Adapter) Begin(dev device.Device, base model.Source) error {
	for i := range a.Saved {
		p, err := model.Read(base, a.Saved[i].Name)
		if err != nil {
			return err
		}
		a.Saved[i].Data = p.Data
	}
	if !a.DoRA {
		return nil
	}
	return a.initMagnitudes(dev, base)
}

// Put uploads the adapter's weights beside a model's, for graphs that only read them.
func (a *Adapter) Put(d *model.DeviceParams) error {
	for _, t := range a.Tensors() {
		if err := d.Put(t.Name, t.Shape, *t.Data); err != nil {
			return err
		}
	}
	return a.PutConstants(d)
}
