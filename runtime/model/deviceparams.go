package model

import (
	"fmt"
	"slices"

	"triality/runtime/device"
	"triality/runtime/graph"
)

// DeviceParams are weights on a device, and the rotary frequencies. Machines share them.
type DeviceParams struct {
	dev   device.Device
	names []string
	bufs  map[string]device.Buffer
	shape map[string][]int
	cfg   Config
	long  bool // the frequencies of longrope's long sequences are in place
}

// Upload puts the weights on a device.
func Upload(dev device.Device, cfg Config, p *Params) (*DeviceParams, error) {
	d := &DeviceParams{dev: dev, bufs: make(map[string]device.Buffer), shape: make(map[string][]int), cfg: cfg}
	for _, n := range p.names {
		x := p.byName[n]
		if err := d.Put(n, x.Shape, x.Data); err != nil {
			d.Close()
			return nil, err
		}
	}
	if err := d.putFrequencies(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *DeviceParams) putFrequencies() error {
	return d.Put(freqName, []int{d.cfg.HeadDim / 2}, d.cfg.rotaryFrequencies(d.long))
}

// SetLength prepares the runs that follow for sequences of at most n tokens. Models with "longrope"
// have other rotary frequencies for sequences longer than those they were first trained on; as in
// transformers, the longest sequence of a batch decides for all. changed says that the frequencies
// are others than before, so that keys in a cache are stale.
func (d *DeviceParams) SetLength(n int) (changed bool, err error) {
	if d.cfg.Rope.long(n) == d.long {
		return false, nil
	}
	d.long = !d.long
	return true, d.putFrequencies()
}

// Put uploads one weight; an existing one of the same size is overwritten in place.
func (d *DeviceParams) Put(name string, shape []int, data []float32) error {
	buf, ok := d.bufs[name]
	if !ok || buf.Len() != len(data) {
		var err error
		if buf, err = d.dev.Alloc(device.Float, len(data)); err != nil {
			return fmt.Errorf("upload %s %v: %w", name, shape, err)
		}
		if old := d.bufs[name]; old != nil {
			d.dev.Free(old)
		}
		if !ok {
			d.names = append(d.names, name)
		}
		d.bufs[name] = buf
	}
	d.shape[name] = slices.Clone(shape)
	if err := d.dev.Upload(buf, data); err != nil {
		return fmt.Errorf("upload %s %v: %w", name, shape, err)
	}
	return nil
}

// Buffer is a weight's memory.
func (d *DeviceParams) Buffer(name string) (device.Buffer, bool) {
	b, ok := d.bufs[name]
	return b, ok
}

// Download reads one weight back.
func (d *DeviceParams) Download(name string) (Param, error) {
	buf, ok := d.bufs[name]
	if !ok {
		return Param{}, fmt.Errorf("download %s: not among the weights on the device", name)
	}
	p := Param{name, slices.Clone(d.shape[name]), make([]float32, buf.Len())}
	if err := d.dev.Download(p.Data, buf); err != nil {
		return Param{}, fmt.Errorf("download %s: %w", name, err)
	}
	return p, nil
}

// Bind sets every leaf of the builder that is one of these weights. Other leaves (inputs, caches)
// are the caller's.
func (d *DeviceParams) Bind(m *graph.Machine, b *Builder) error {
	for name, leaf := range b.leaves {
		if buf, ok := d.bufs[name]; ok {
			if err := m.Set(leaf, buf); err != nil {
				return fmt.Errorf("bind weights: %w", err)
			}
		}
	}
	return nil
}

// Close frees the weights.
func (d *DeviceParams) Close() error {
	for _, n := range d.names {
		d.dev.Free(d.bufs[n])
	}
	d.names, d.bufs = nil, map[string]device.Buffer{}
	return nil
}
