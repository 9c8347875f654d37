package model

import (
	"errors"
	"fmt"
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
	long    bool // the frequencies of longrope's long sequences are in place
}

// Storage says how weights and activations are held on a device. The zero value is the device's own
// float type for all.
type Storage struct {
	// Matrices is the type of matrices and activations; vectors are always Float.
	Matrices device.DType
	// Int8 holds the linear modules of the layers in int8 codes (Dettmers et al. 2022); embeddings and
	// the head stay as they are.
	Int8 bool
	// Threshold is the magnitude from which activations are outliers to int8; 0 means none are.
	Threshold float64
}

// Identify adds what differs from the zero value to a checkpoint's identity.
func (s Storage) Identify(id map[string]string) {
	if s.Matrices != device.Float {
		id["storage"] = s.Matrices.String()
	}
	if s.Int8 {
		id["load_in_8bit"] = strconv.FormatFloat(s.Threshold, 'g', -1, 64)
	}
}

// Upload puts the weights on a device as they are.
func Upload(dev device.Device, cfg Config, src Source) (*DeviceParams, error) {
	return UploadAs(dev, cfg, src, Storage{})
}

// UploadAs puts the weights on a device, one at a time.
func UploadAs(dev device.Device, cfg Config, src Source, st Storage) (*DeviceParams, error) {
	d := &DeviceParams{dev: dev, storage: st, bufs: make(map[string]device.Buffer), shape: make(map[string][]int), cfg: cfg}
	if err := d.putAll(src); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *DeviceParams) putAll(src Source) error {
	linear := make(map[string]bool)
	if d.storage.Int8 {
		for _, l := range d.cfg.Linears() {
			linear[l.Name+".weight"] = true
		}
	}
	err := eachAhead(src, func(x Param) error {
		if linear[x.Name] {
			return d.putQuantized(x)
		}
		return d.Put(x.Name, x.Shape, x.Data)
	})
	if err != nil {
		return err
	}
	return d.putFrequencies()
}

// eachAhead calls use with every weight in order, while the next one is read.
func eachAhead(src Source, use func(Param) error) error {
	type result struct {
		Param
		err error
	}
	results, stop := make(chan result), make(chan struct{})
	go func() {
		defer close(results)
		for _, n := range src.Names() {
			x, err := src.Read(n)
			select {
			case results <- result{x, err}:
			case <-stop:
				return
			}
		}
	}()
	var err error
	for r := range results {
		if err = r.err; err == nil {
			err = use(r.Param)
		}
		if err != nil {
			close(stop)
			break
		}
	}
	for range results { // until the reader has ended, since the source is the caller's
	}
	return err
}

// Storage says how the weights are held.
func (d *DeviceParams) Storage() Storage { return d.storage }

// Stored is the option to compile a graph over these weights with: matrices have the type they are
// held in, and with them the activations.
func (d *DeviceParams) Stored() graph.Option {
	return graph.WithStorage(graph.Matrices(d.storage.Matrices))
}

// Scales names the leaf of an int8 weight's row scales.
func Scales(weight string) string { return weight + ".scale" }

// quantizeAtOnce is how many elements are on the device as floats while a weight is quantized.
const quantizeAtOnce = 16 << 20

// putQuantized uploads a matrix some rows at a time, of which the codes and scales stay.
func (d *DeviceParams) putQuantized(x Param) (err error) {
	N, K := x.Shape[0], x.Shape[1]
	fail := func(err error) error { return fmt.Errorf("upload %s %v in int8: %w", x.Name, x.Shape, err) }
	codes, err := d.dev.Alloc(device.Int8, N*K)
	if err != nil {
		return fail(err)
	}
	d.keep(x.Name, x.Shape, codes)
	scale, err := d.dev.Alloc(device.Float, N)
	if err != nil {
		return fail(err)
	}
	d.keep(Scales(x.Name), []int{N}, scale)
	rows := max(1, min(N, quantizeAtOnce/max(1, K)))
	part, err := d.dev.Alloc(d.storage.Matrices, rows*K)
	if err != nil {
		return fail(err)
	}
	defer d.dev.Free(part)
	for from := 0; from < N; from += rows {
		to := min(N, from+rows)
		w := part.Slice(0, (to-from)*K)
		if err := d.dev.Upload(w, x.Data[from*K:to*K]); err != nil {
			return fail(err)
		}
		d.dev.QuantizeRows(codes.Slice(from*K, to*K), scale.Slice(from, to), w, to-from, K)
	}
	if err := d.dev.Sync(); err != nil {
		return fail(err)
	}
	return nil
}

// keep takes a new buffer in, and frees the one of its name.
func (d *DeviceParams) keep(name string, shape []int, buf device.Buffer) {
	if old, ok := d.bufs[name]; ok {
		d.dev.Free(old)
	} else {
		d.names = append(d.names, name)
	}
	d.bufs[name], d.shape[name] = buf, slices.Clone(shape)
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

// Put uploads one weight; an existing one of the same size and type is overwritten in place.
func (d *DeviceParams) Put(name string, shape []int, data []float32) error {
	t := device.Float
	if len(shape) > 1 {
		t = d.storage.Matrices
	}
	buf, ok := d.bufs[name]
	if !ok || buf.Len() != len(data) || buf.DType() != t {
		var err error
		if buf, err = d.dev.Alloc(t, len(data)); err != nil {
			return fmt.Errorf("upload %s %v: %w", name, shape, err)
		}
		d.keep(name, shape, buf)
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
	if buf.DType() == device.Int8 {
		return Param{}, fmt.Errorf("download %s: it is held in int8 codes", name)
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
