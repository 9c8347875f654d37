package train

import (
	"fmt"
	"math"

	"triality/runtime/device"
)

// slot is a trainable tensor on the device: value, gradient and AdamW's two moments.
type slot struct {
	Weight
	value, grad device.Buffer // Float
	stored      device.Buffer // the value in the type that the graph computes with; nil where that is Float
	m, v        moment
}

// leaf is what the graph reads.
func (s *slot) leaf() device.Buffer {
	if s.stored != nil {
		return s.stored
	}
	return s.value
}

// checkWeights refuses weights whose values are not those of their shape, and names that are given twice.
func checkWeights(weights []Weight) error {
	seen := map[string]bool{}
	for _, w := range weights {
		if seen[w.Name] || w.elements() != len(w.Data) || len(w.Data) == 0 {
			return fmt.Errorf("trainable tensor %s: shape %v, %d values, given before: %t", w.Name, w.Shape, len(w.Data), seen[w.Name])
		}
		seen[w.Name] = true
	}
	return nil
}

// elements is the number of values that the shape says.
func (w Weight) elements() int {
	n := 1
	for _, d := range w.Shape {
		n *= d
	}
	return n
}

// sharer is a device that keeps apart what its memory is for: one on which memory is planned.
type sharer interface{ For(share string) }

func share(dev device.Device, name string) {
	if d, ok := dev.(sharer); ok {
		d.For(name)
	}
}

// slots are all trainable tensors, with values, gradients and, where they are not paged or in codes, moments
// end to end, so that what is done to all of them is one launch. Between two lie zeros.
type slots struct {
	list              []*slot
	value, grad, m, v device.Buffer // Float
	stored            device.Buffer // nil where the graph computes with Float
	ends              []int         // of the tensors, where the next one starts
}

// slotAlignment is that of tensors, in elements: 256 bytes of a narrow type.
const slotAlignment = 128

// newSlots makes the slots of weights and uploads the values of those that have some. storage is the type of matrices
// in the graph. On an error what was allocated is freed.
func newSlots(dev device.Device, weights []Weight, storage device.DType, ms *moments) (all *slots, err error) {
	all = &slots{}
	defer func() {
		if err != nil {
			all.free(dev)
			ms.close()
			all = nil
		}
	}()
	total, matrices := 0, false
	for _, w := range weights {
		total += (w.elements() + slotAlignment - 1) / slotAlignment * slotAlignment
		all.ends = append(all.ends, total)
		matrices = matrices || len(w.Shape) == 2
	}
	if !matrices {
		storage = device.Float
	}
	if err := all.allocate(dev, total, storage, ms); err != nil {
		return all, fmt.Errorf("%d trainable values: %w", total, err)
	}
	from, given := 0, false
	for i, w := range weights {
		s := &slot{Weight: w}
		all.list = append(all.list, s)
		if err := all.fill(dev, s, from, ms); err != nil {
			return all, fmt.Errorf("trainable tensor %s: %w", w.Name, err)
		}
		from, given = all.ends[i], given || w.Data != nil
	}
	if all.stored != nil && given {
		dev.Copy(all.stored, all.value)
	}
	return all, ms.share(all.list)
}

func (all *slots) allocate(dev device.Device, n int, storage device.DType, ms *moments) (err error) {
	for _, b := range []struct {
		to    *device.Buffer
		t     device.DType
		share string
		skip  bool
	}{
		{&all.value, device.Float, SharedTrained, false}, {&all.grad, device.Float, SharedGradients, false},
		{&all.stored, storage, SharedTrained, storage == device.Float},
		{&all.m, device.Float, SharedStates, !ms.plain()}, {&all.v, device.Float, SharedStates, !ms.plain()},
	} {
		if b.skip {
			continue
		}
		share(dev, b.share)
		if *b.to, err = dev.Alloc(b.t, n); err != nil {
			return err
		}
	}
	return nil
}

// fill gives a slot its part of what all have, from an element on.
func (all *slots) fill(dev device.Device, s *slot, from int, ms *moments) (err error) {
	n := s.elements()
	s.value, s.grad = all.value.Slice(from, from+n), all.grad.Slice(from, from+n)
	if all.stored != nil && len(s.Shape) == 2 {
		s.stored = all.stored.Slice(from, from+n)
	}
	if ms.plain() {
		s.m, s.v = moment{n: n, buf: all.m.Slice(from, from+n)}, moment{n: n, buf: all.v.Slice(from, from+n)}
	} else {
		share(dev, SharedStates)
		if s.m, err = ms.add(n); err != nil {
			return err
		}
		if s.v, err = ms.add(n); err != nil {
			return err
		}
	}
	if s.Data == nil {
		return nil
	}
	return dev.Upload(s.value, s.Data)
}

func (all *slots) free(dev device.Device) {
	if all.m == nil { // else they are parts
		for _, s := range all.list {
			s.m.free(dev)
			s.v.free(dev)
		}
	}
	for _, b := range []device.Buffer{all.value, all.grad, all.stored, all.m, all.v} {
		if b != nil {
			dev.Free(b)
		}
	}
}

// kept is a tensor of a checkpoint and where it lies.
type kept struct {
	tensorInfo
	buf  device.Buffer // or
	host any
}

// tensors lists what a checkpoint holds of the slots, in order.
func tensors(slots []*slot) (list []kept) {
	for _, s := range slots {
		list = append(list, kept{tensorInfo: tensorInfo{Name: "weights/" + s.Name, Elements: len(s.Data)}, buf: s.value})
		for _, t := range []struct {
			name string
			moment
		}{{"adam_m/", s.m}, {"adam_v/", s.v}} {
			info := tensorInfo{Name: t.name + s.Name, Elements: t.n}
			if t.code {
				info.DType = codes
				list = append(list, kept{tensorInfo: tensorInfo{Name: t.name + s.Name + "/max", Elements: t.max.Len()}, buf: t.max})
			}
			list = append(list, kept{info, t.buf, t.host})
		}
	}
	return list
}

// gradNorm is the L2 norm of all gradients together. square has one element.
func (all *slots) gradNorm(dev device.Device, square device.Buffer) (float64, error) {
	dev.SquaredSum(square, all.grad)
	var sum [1]float64
	if err := dev.Download(sum[:], square); err != nil {
		return 0, fmt.Errorf("gradient norm: %w", err)
	}
	return math.Sqrt(sum[0]), nil
}

// gradFactor divides the gradients by the factor of the loss and scales them to a norm of at most limit, as
// torch.nn.utils.clip_grad_norm_ does. norm is theirs after the division.
func gradFactor(norm, limit, lossScale float64) float64 {
	factor := 1 / lossScale
	if clip := limit / (norm + 1e-6); limit != 0 && clip < 1 {
		factor *= clip
	}
	return factor
}

// floatBits finds out whether the device's floats have 32 or 64 bits.
func floatBits(dev device.Device) (int, error) {
	b, err := dev.Alloc(device.Float, 1)
	if err != nil {
		return 0, err
	}
	defer dev.Free(b)
	const fine = 1 + 0x1p-40 // 1 in float32
	got := [1]float64{fine}
	if err := dev.Upload(b, got[:]); err != nil {
		return 0, err
	}
	if err := dev.Download(got[:], b); err != nil {
		return 0, err
	}
	if got[0] == fine {
		return 64, nil
	}
	return 32, nil
}
