package model

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"triality/runtime/device"
	"triality/runtime/graph"
)

// DeviceParams are weights on a device, and the rotary frequencies. Machines share them.
type DeviceParams struct {
	dev     device.Device
	storage Storage
	names   []string
	bufs    map[string]device.Buffer
	shape   map[string][]int
	cfg     Config
	long    *bool // the frequencies of longrope's long sequences are in place; views share it
}

// Storage says how weights and activations are held on a device. The zero value is the device's own
// float type for all.
type Storage struct {
	// Matrices is the type of matrices and activations; vectors are always Float.
	Matrices device.DType
	// Int8 holds the linear modules of the layers in int8 codes (Dettmers et al. 2022); embeddings and
	// the head stay as they are.
	Int8 bool
	// FP8 holds them in e4m3 codes instead, and multiplies activations rounded to e4m3.
	FP8 bool
	// Threshold is the magnitude from which activations are outliers to int8; 0 means none are.
	Threshold float64
}

// Quantized tells whether the linear modules of the layers are held in codes, which are not trained themselves.
func (s Storage) Quantized() bool { return s.Int8 || s.FP8 }

// Format names the codes: "int8", "fp8" or nothing.
func (s Storage) Format() string {
	switch {
	case s.Int8:
		return "int8"
	case s.FP8:
		return "fp8"
	}
	return ""
}

// Key names the setting that asks for the codes.
func (s Storage) Key() string {
	if s.FP8 {
		return "quantization"
	}
	return "load_in_8bit"
}

// Identify adds what differs from the zero value to a checkpoint's identity.
func (s Storage) Identify(id map[string]string) {
	if s.Matrices != device.Float {
		id["storage"] = s.Matrices.String()
	}
	if s.Int8 {
		id["load_in_8bit"] = strconv.FormatFloat(s.Threshold, 'g', -1, 64)
	}
	if s.FP8 {
		id["quantization"] = "fp8"
	}
}

// Upload puts the weights on a device as they are.
func Upload(dev device.Device, cfg Config, src Source) (*DeviceParams, error) {
	return UploadAs(dev, cfg, src, Storage{})
}

// UploadAs puts the weights on a device, a part at a time.
func UploadAs(dev device.Device, cfg Config, src Source, st Storage) (*DeviceParams, error) {
	d := &DeviceParams{dev: dev, storage: st, bufs: make(map[string]device.Buffer), shape: make(map[string][]int), cfg: cfg, long: new(bool)}
	if err := d.putAll(src); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Reserve takes the memory that UploadAs would take, and no values: only the shapes of src are looked at.
func Reserve(dev device.Device, cfg Config, src Source, st Storage) (*DeviceParams, error) {
	d := &DeviceParams{dev: dev, storage: st, bufs: make(map[string]device.Buffer), shape: make(map[string][]int), cfg: cfg, long: new(bool)}
	if err := d.reserveAll(src); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *DeviceParams) reserveAll(src Source) error {
	linear := d.quantized()
	for _, name := range src.Names() {
		shape, ok := src.Shape(name)
		if !ok {
			return noWeight(name)
		}
		if !linear[name] {
			if err := d.Reserve(name, shape); err != nil {
				return err
			}
			continue
		}
		if _, _, err := d.codes(name, shape); err != nil {
			return err
		}
	}
	for _, s := range d.cfg.computed() {
		if err := d.Reserve(s.Name, s.Shape); err != nil {
			return err
		}
	}
	return nil
}

// Reserve takes the memory of one weight, as Put would, and gives it no values.
func (d *DeviceParams) Reserve(name string, shape []int) error {
	_, err := d.room(d.stored(shape), name, shape)
	return err
}

// quantized are the names of the weights that are held in codes.
func (d *DeviceParams) quantized() map[string]bool {
	linear := make(map[string]bool)
	if d.storage.Quantized() {
		for _, l := range d.cfg.Linears() {
			linear[l.Name+".weight"] = true
		}
	}
	return linear
}

// codes is the memory of a weight in codes and of its rows' scales.
func (d *DeviceParams) codes(name string, shape []int) (codes, scale device.Buffer, err error) {
	if codes, err = d.room(device.Int8, name, shape); err == nil {
		scale, err = d.room(device.Float, Scales(name), shape[:1])
	}
	return codes, scale, err
}

func (d *DeviceParams) putAll(src Source) error {
	if d.storage.Int8 && d.storage.FP8 {
		return errors.New("weights are held in int8 or in fp8, not in both")
	}
	linear := d.quantized()
	err := EachPart(src, func(p Part, values []float32) error {
		if linear[p.Name] {
			return d.putQuantized(p, values)
		}
		return d.putPart(p, values)
	})
	if err != nil {
		return err
	}
	if err := d.putGrowth(); err != nil {
		return err
	}
	return d.putFrequencies()
}

// Storage says how the weights are held.
func (d *DeviceParams) Storage() Storage { return d.storage }

// Stored is the option to compile a graph over these weights with: matrices have the type they are
// held in, and with them the activations.
func (d *DeviceParams) Stored() graph.Option {
	return graph.WithStorage(graph.Matrices(d.storage.Matrices))
}

// Scales names the leaf of a quantized weight's row scales.
func Scales(weight string) string { return weight + ".scale" }

// putQuantized uploads rows of a matrix, of which the codes and scales stay.
func (d *DeviceParams) putQuantized(p Part, values []float32) (err error) {
	K := p.Shape[1]
	codes, scale, err := d.codes(p.Name, p.Shape)
	if err != nil {
		return err
	}
	fail := func(err error) error {
		return fmt.Errorf("upload %s %v in %s: %w", p.Name, p.Shape, d.storage.Format(), err)
	}
	w, err := d.dev.Alloc(d.storage.Matrices, p.N)
	if err != nil {
		return fail(err)
	}
	defer d.dev.Free(w)
	if err := d.dev.Upload(w, values); err != nil {
		return fail(err)
	}
	quantize := d.dev.QuantizeRows
	if d.storage.FP8 {
		quantize = d.dev.QuantizeRowsFP8
	}
	quantize(codes.Slice(p.At, p.At+p.N), scale.Slice(p.At/K, (p.At+p.N)/K), w, p.N/K, K)
	if err := d.dev.Sync(); err != nil {
		return fail(err)
	}
	return nil
}

// putPart uploads a part of a weight.
func (d *DeviceParams) putPart(p Part, values []float32) error {
	buf, err := d.room(d.stored(p.Shape), p.Name, p.Shape)
	if err != nil {
		return err
	}
	if err := d.dev.Upload(buf.Slice(p.At, p.At+p.N), values); err != nil {
		return fmt.Errorf("upload %s %v: %w", p.Name, p.Shape, err)
	}
	return nil
}

// stored is the type of a weight that is not quantized.
func (d *DeviceParams) stored(shape []int) device.DType {
	if len(shape) > 1 {
		return d.storage.Matrices
	}
	return device.Float
}

// room is the memory of a weight: what it has where size and type are the same, else anew.
func (d *DeviceParams) room(t device.DType, name string, shape []int) (device.Buffer, error) {
	n := product(shape)
	buf, ok := d.bufs[name]
	if !ok || buf.Len() != n || buf.DType() != t {
		fresh, err := d.dev.Alloc(t, n)
		if err != nil {
			return nil, fmt.Errorf("upload %s %v: %w", name, shape, err)
		}
		if ok {
			d.dev.Free(buf)
		} else {
			d.names = append(d.names, name)
		}
		buf, d.bufs[name] = fresh, fresh
	}
	d.shape[name] = slices.Clone(shape)
	return buf, nil
}

func (d *DeviceParams) putFrequencies() error {
	return d.Put(freqName, []int{d.cfg.Rotary() / 2}, d.cfg.rotaryFrequencies(*d.long))
}

// SetLength prepares the runs that follow for sequences of at most n tokens. Models with "longrope"
// have other rotary frequencies for sequences longer than those they were first trained on; as in
// transformers, the longest sequence of a batch decides for all. changed says that the frequencies
// are others than before, so that keys in a cache are stale.
func (d *DeviceParams) SetLength(n int) (changed bool, err error) {
	if d.cfg.Rope.long(n) == *d.long {
		return false, nil
	}
	*d.long = !*d.long
	return true, d.putFrequencies()
}

// Put uploads one weight; an existing one of the same size and type is overwritten in place.
func (d *DeviceParams) Put(name string, shape []int, data []float32) error {
	return d.putPart(Part{name, shape, 0, len(data)}, data)
}

// With is a view of the weights in which those of bufs are among them, each on the same device: Close frees none.
// The lengths that SetLength prepares are those of both.
func (d *DeviceParams) With(bufs map[string]device.Buffer) *DeviceParams {
	v := *d
	v.names, v.bufs = nil, maps.Clone(d.bufs)
	maps.Copy(v.bufs, bufs)
	return &v
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
	if buf.DType() == device.Int8 {
		return Param{}, fmt.Errorf("download %s: it is held in %s codes", name, d.storage.Format())
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
