package lora

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"triality/runtime/device"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// Merge is the model with the adapter folded in: W + scaling·B·A, each row brought to its magnitude
// with DoRA, and the weights trained outright in their places. It reads base, which is Model's and is not
// changed, as it is read itself; dev computes the products, a few rows at a time.
func (a *Adapter) Merge(dev device.Device, base model.Source) (model.Source, error) {
	saved := make(map[string]Saved, len(a.Saved))
	for _, x := range a.Saved {
		if shape, ok := base.Shape(x.Name); !ok || !slices.Equal(shape, x.Shape) {
			return nil, fmt.Errorf("merge adapter: the model has no weight %s of shape %v: the adapter belongs to another model", x.Name, x.Shape)
		}
		saved[x.Name] = x
	}
	s := &merged{Source: overridden{base, saved}, adapter: a, dev: dev, modules: make(map[string]Module, len(a.Modules))}
	for _, m := range a.Modules {
		if err := m.fits(base); err != nil {
			return nil, fmt.Errorf("merge adapter: %w", err)
		}
		s.modules[m.weight()] = m
	}
	return s, nil
}

func (a *Adapter) initMagnitudes(dev device.Device, base model.Source) error {
	s := &merged{Source: base, adapter: a, dev: dev}
	for i := range a.Modules {
		m := &a.Modules[i]
		if err := m.fits(base); err != nil {
			return err
		}
		m.M = make([]float32, m.Out)
		for at, n := range safetensors.Parts([]int{m.Out, m.In}) {
			rows := make([]float32, n)
			if err := base.ReadAt(m.weight(), rows, at); err != nil {
				return err
			}
			if err := s.add(*m, rows, at); err != nil {
				return err
			}
			for k := range n / m.In {
				m.M[at/m.In+k] = float32(length(rows[k*m.In : (k+1)*m.In]))
			}
		}
	}
	return nil
}

// weight is the name of the module's own weight.
func (m Module) weight() string { return m.Name + ".weight" }

// fits says whether the model has the module.
func (m Module) fits(base model.Source) error {
	if shape, ok := base.Shape(m.weight()); !ok || !slices.Equal(shape, []int{m.Out, m.In}) {
		return fmt.Errorf("the model has no weight %s of shape [%d %d]: the adapter belongs to another model", m.weight(), m.Out, m.In)
	}
	return nil
}

// merged is a model.Source over another one.
type merged struct {
	model.Source
	adapter *Adapter
	modules map[string]Module // by the name of their weight

	mu  sync.Mutex // one product at a time
	dev device.Device
}

func (s *merged) ReadAt(name string, dst []float32, at int) error {
	if err := s.Source.ReadAt(name, dst, at); err != nil {
		return err
	}
	m, ok := s.modules[name]
	if !ok {
		return nil
	}
	if err := s.add(m, dst, at); err != nil {
		return fmt.Errorf("merge adapter: %s: %w", m.Name, err)
	}
	if !s.adapter.DoRA {
		return nil
	}
	for from := 0; from < len(dst); from += m.In {
		row := dst[from : from+m.In]
		factor := float64(m.M[(at+from)/m.In]) / length(row)
		for i, v := range row {
			row[i] = float32(factor * float64(v))
		}
	}
	return nil
}

// add adds scaling·B·A to rows of the module's weight, of which the first element is the one at at.
func (s *merged) add(m Module, rows []float32, at int) error {
	delta, err := s.product(m, at/m.In, len(rows)/m.In)
	if err != nil {
		return err
	}
	for i, d := range delta {
		rows[i] = float32(float64(rows[i]) + m.Scaling*float64(d))
	}
	return nil
}

// product is n rows of B·A.
func (s *merged) product(m Module, row, n int) (out []float32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := m.R
	var bufs []device.Buffer
	put := func(size int, values []float32) device.Buffer {
		if err != nil {
			return nil
		}
		var b device.Buffer
		if b, err = s.dev.Alloc(device.Float, size); err != nil {
			return nil
		}
		bufs = append(bufs, b)
		if values != nil {
			err = s.dev.Upload(b, values)
		}
		return b
	}
	defer func() {
		for _, b := range bufs {
			s.dev.Free(b)
		}
	}()
	wa, wb, delta := put(len(m.A), m.A), put(n*r, m.B[row*r:(row+n)*r]), put(n*m.In, nil)
	if err != nil {
		return nil, err
	}
	s.dev.MatMul(delta, wb, wa, n, m.In, r, false, false, false)
	if err := s.dev.Sync(); err != nil {
		return nil, err
	}
	out = make([]float32, n*m.In)
	return out, s.dev.Download(out, delta)
}

func length(row []float32) float64 {
	sum := 0.0
	for _, v := range row {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}
