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

// newSlots makes the slots of weights and uploads the values of those that have some. storage is the type of matrices in the graph. On an error what was
// allocated is freed.
func newSlots(dev device.Device, weights []Weight, storage device.DType, ms *moments) (slots []*slot, err error) {
	defer func() {
		if err != nil {
			freeSlots(dev, slots)
			ms.close()
			slots = nil
		}
	}()
	for _, w := range weights {
		s := &slot{Weight: w}
		slots = append(slots, s)
		if err := s.fill(dev, storage, ms); err != nil {
			return slots, fmt.Errorf("trainable tensor %s: %w", w.Name, err)
		}
	}
	return slots, ms.share(slots)
}

func (s *slot) fill(dev device.Device, storage device.DType, ms *moments) (err error) {
	n := s.elements()
	share(dev, SharedTrained)
	if s.value, err = dev.Alloc(device.Float, n); err != nil {
		return err
	}
	share(dev, SharedGradients)
	if s.grad, err = dev.Alloc(device.Float, n); err != nil {
		return err
	}
	share(dev, SharedTrained)
	if storage != device.Float && len(s.Shape) == 2 {
		if s.stored, err = dev.Alloc(storage, n); err != nil {
			return err
		}
	}
	share(dev, SharedStates)
	if s.m, err = ms.add(n); err != nil {
		return err
	}
	if s.v, err = ms.add(n); err != nil {
		return err
	}
	if s.Data == nil {
		return nil
	}
	if err = dev.Upload(s.value, s.Data); err == nil && s.stored != nil {
		dev.Copy(s.stored, s.value)
	}
	return err
}

func freeSlots(dev device.Device, slots []*slot) {
	for _, s := range slots {
		for _, b := range []device.Buffer{s.value, s.grad, s.stored} {
			if b != nil {
				dev.Free(b)
			}
		}
		s.m.free(dev)
		s.v.free(dev)
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

// gradNorm is the L2 norm of all gradients together. norms has one element a slot.
func gradNorm(dev device.Device, slots []*slot, norms device.Buffer) (float64, error) {
	for i, s := range slots {
		dev.SquaredSum(norms.Slice(i, i+1), s.grad)
	}
	squares := make([]float64, len(slots))
	if err := dev.Download(squares, norms); err != nil {
		return 0, fmt.Errorf("gradient norm: %w", err)
	}
	sum := 0.0
	for _, v := range squares {
		sum += v
	}
	return math.Sqrt(sum), nil
}

// rescale divides the gradients by the factor of the loss and scales them to a norm of at most limit, as
// torch.nn.utils.clip_grad_norm_ does. norm is theirs after the division.
func rescale(dev device.Device, slots []*slot, norm, limit, lossScale float64) {
	factor := 1 / lossScale
	if limit != 0 {
		factor *= min(1, limit/(norm+1e-6))
	}
	if factor == 1 {
		return
	}
	for _, s := range slots {
		dev.Scale(s.grad, s.grad, factor)
	}
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
