package train

import (
	"fmt"

	"triality/runtime/device"
)

// coded8 is the number of elements from which AdamW's 8-bit form holds a tensor's moments in 8 bits
// (that of bitsandbytes).
const coded8 = 4096

// moment is one of the two averages AdamW keeps of a tensor: floats, or codes with a scale for each
// block. It lies on the device, or on the host where it is paged.
type moment struct {
	n    int
	code bool
	buf  device.Buffer // nil where paged
	host any           // []float32, []float64 or []int8, where paged
	max  device.Buffer // scales of codes, always on the device
}

// moments makes and steps them. Paged ones travel through two buffers of each type, which all tensors share.
type moments struct {
	dev          device.Device
	coded, paged bool
	bits         int // of the device's floats
	shared       map[device.DType][2]device.Buffer
}

func newMoments(dev device.Device, optimizer string, bits int) *moments {
	return &moments{
		dev: dev, bits: bits, shared: map[device.DType][2]device.Buffer{},
		coded: optimizer == AdamW8bit || optimizer == PagedAdamW8bit,
		paged: optimizer == PagedAdamW || optimizer == PagedAdamW8bit,
	}
}

// add makes a moment of zeros for a tensor of n elements.
func (ms *moments) add(n int) (_ moment, err error) {
	m := moment{n: n, code: ms.coded && n >= coded8}
	if m.code {
		blocks := (n + device.StateBlock - 1) / device.StateBlock
		if m.max, err = ms.dev.Alloc(device.Float, blocks); err != nil {
			return m, err
		}
	}
	if ms.paged {
		m.host, err = ms.hostMemory(m)
		return m, err
	}
	m.buf, err = ms.dev.Alloc(m.dtype(), n)
	return m, err
}

func (m moment) dtype() device.DType {
	if m.code {
		return device.Int8
	}
	return device.Float
}

func (m moment) free(dev device.Device) {
	if h, ok := dev.(device.HostMemory); ok && m.host != nil {
		h.FreeHost(m.host)
	}
	for _, b := range []device.Buffer{m.buf, m.max} {
		if b != nil {
			dev.Free(b)
		}
	}
}

// hostMemory is room for a moment's content on the host, the device's own where it has some.
func (ms *moments) hostMemory(m moment) (any, error) {
	if h, ok := ms.dev.(device.HostMemory); ok {
		return h.AllocHost(m.dtype(), m.n)
	}
	if m.code {
		return make([]int8, m.n), nil
	}
	return floats(ms.bits, m.n), nil
}

// page copies a moment from the device to the host, where it is after the next Sync.
func (ms *moments) page(m moment, from device.Buffer) error {
	if h, ok := ms.dev.(device.HostMemory); ok {
		return h.Fetch(m.host, from)
	}
	return ms.dev.Download(m.host, from)
}

// share makes the buffers that paged moments travel through.
func (ms *moments) share(slots []*slot) error {
	if !ms.paged {
		return nil
	}
	most := map[device.DType]int{}
	for _, s := range slots {
		most[s.m.dtype()] = max(most[s.m.dtype()], s.m.n)
	}
	for _, t := range []device.DType{device.Float, device.Int8} {
		if most[t] == 0 {
			continue
		}
		var pair [2]device.Buffer
		for i := range pair {
			var err error
			if pair[i], err = ms.dev.Alloc(t, most[t]); err != nil {
				return fmt.Errorf("paged optimizer states: %w", err)
			}
			ms.shared[t] = pair
		}
	}
	return nil
}

func (ms *moments) close() {
	for t, pair := range ms.shared {
		for _, b := range pair {
			if b != nil {
				ms.dev.Free(b)
			}
		}
		delete(ms.shared, t)
	}
}

// plain tells whether all moments are floats on the device.
func (ms *moments) plain() bool { return !ms.coded && !ms.paged }

// stepAll updates all values and moments from the gradients. constants gives those of a slot, which all of
// one decay share.
func (ms *moments) stepAll(all *slots, constants func(decay bool) device.AdamW) error {
	from := 0
	for i, s := range all.list {
		switch {
		case !ms.plain():
			if err := ms.step(s, constants(s.Decay)); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		case i+1 == len(all.list) || all.list[i+1].Decay != s.Decay:
			to := all.ends[i]
			ms.dev.AdamWStep(all.value.Slice(from, to), all.grad.Slice(from, to), all.m.Slice(from, to), all.v.Slice(from, to), constants(s.Decay))
			from = to
		}
	}
	if all.stored != nil {
		ms.dev.Copy(all.stored, all.value)
	}
	return nil
}

// step updates a slot's value and moments from its gradient.
func (ms *moments) step(s *slot, c device.AdamW) error {
	m, v := s.m.buf, s.v.buf
	if ms.paged {
		pair := ms.shared[s.m.dtype()]
		m, v = pair[0].Slice(0, s.m.n), pair[1].Slice(0, s.m.n)
		if err := ms.dev.Upload(m, s.m.host); err != nil {
			return err
		}
		if err := ms.dev.Upload(v, s.v.host); err != nil {
			return err
		}
	}
	if s.m.code {
		ms.dev.AdamW8Step(s.value, s.grad, m, v, s.m.max, s.v.max, c)
	} else {
		ms.dev.AdamWStep(s.value, s.grad, m, v, c)
	}
	if !ms.paged {
		return nil
	}
	if err := ms.page(s.m, m); err != nil {
		return err
	}
	return ms.page(s.v, v)
}
