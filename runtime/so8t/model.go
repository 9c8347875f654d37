package so8t

import (
	"fmt"
	"math"
	"slices"

	"triality/runtime/device"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// Model is an SO8T model on the host. Its base weights are read one at a time, where it was loaded from a
// folder from the folder's files; gates and heads are in memory.
type Model struct {
	Source    model.Config // the configuration of the plain model it was made from
	Base      model.Source // the plain model's weights
	Layers    []Layer      // one for each layer
	Safety    []float32    // [2, hidden]: rows safe, unsafe
	Authority []float32    // [2, hidden]: rows handle, escalate

	// DTypes says how the base weights are stored, by name; F32 where it has none.
	DTypes map[string]safetensors.DType
}

// New makes an SO8T model that computes what the plain model does: gates at the identity, and heads
// at zero, which hold every class equally likely.
func New(cfg model.Config, base model.Source, dtypes map[string]safetensors.DType) (*Model, error) {
	if err := checkHidden(cfg); err != nil {
		return nil, err
	}
	m := &Model{
		Source: cfg, Base: base, Layers: make([]Layer, cfg.Layers), DTypes: dtypes,
		Safety: make([]float32, 2*cfg.HiddenSize), Authority: make([]float32, 2*cfg.HiddenSize),
	}
	for i := range m.Layers {
		m.Layers[i] = identityLayer()
	}
	return m, nil
}

func checkHidden(cfg model.Config) error {
	if cfg.HiddenSize%N != 0 {
		return fmt.Errorf("so8t: hidden_size %d is not a multiple of %d: the model cannot be cut into blocks", cfg.HiddenSize, N)
	}
	return nil
}

// specs lists the weights an SO8T model has beside its plain model's, in the order of extras.
func specs(cfg model.Config) []model.Spec {
	var list []model.Spec
	for i := range cfg.Layers {
		for _, gate := range []string{"safe", "cmd"} {
			list = append(list,
				model.Spec{Name: gateName(i, gate, "generator"), Shape: []int{Generators}},
				model.Spec{Name: gateName(i, gate, "scale"), Shape: []int{1}})
		}
	}
	return append(list,
		model.Spec{Name: SafetyHead, Shape: []int{2, cfg.HiddenSize}},
		model.Spec{Name: AuthorityHead, Shape: []int{2, cfg.HiddenSize}})
}

// extras gives the values of specs.
func (m *Model) extras() [][]float32 {
	var list [][]float32
	for i := range m.Layers {
		l := &m.Layers[i]
		for _, g := range []*Gate{&l.Safe, &l.Cmd} {
			list = append(list, g.Generator[:], []float32{g.Scale})
		}
	}
	return append(list, m.Safety, m.Authority)
}

// setExtra takes over the values of the weight of that name.
func (m *Model) setExtra(name string, data []float32) error {
	for i := range m.Layers {
		for gate, g := range map[string]*Gate{"safe": &m.Layers[i].Safe, "cmd": &m.Layers[i].Cmd} {
			switch name {
			case gateName(i, gate, "generator"):
				copy(g.Generator[:], data)
				return nil
			case gateName(i, gate, "scale"):
				g.Scale = data[0]
				return nil
			}
		}
	}
	switch name {
	case SafetyHead:
		m.Safety = slices.Clone(data)
	case AuthorityHead:
		m.Authority = slices.Clone(data)
	default:
		return fmt.Errorf("so8t: no weight is called %s", name)
	}
	return nil
}

// Clone copies the gates and heads; the base weights, and the files they are read from, are shared.
func (m *Model) Clone() *Model {
	c := *m
	c.Layers, c.Safety, c.Authority = slices.Clone(m.Layers), slices.Clone(m.Safety), slices.Clone(m.Authority)
	return &c
}

// Upload puts all weights on a device, for graphs built with Hooks: with them generate.New gives the
// task head.
func (m *Model) Upload(dev device.Device, st model.Storage) (*model.DeviceParams, error) {
	d, err := model.UploadAs(dev, m.Source, m.Base, st)
	if err != nil {
		return nil, err
	}
	values := m.extras()
	for i, s := range specs(m.Source) {
		if err := d.Put(s.Name, s.Shape, values[i]); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

func softmax2(x [2]float64) [2]float64 {
	p := 1 / (1 + math.Exp(x[1]-x[0]))
	return [2]float64{p, 1 / (1 + math.Exp(x[0]-x[1]))}
}
