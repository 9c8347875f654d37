package train

import (
	"fmt"
	"math"

	"triality/runtime/device"
)

// slot is a trainable tensor on the device: value, gradient and AdamW's two moments.
type slot struct {
	Weight
	value, grad, m, v device.Buffer
}

// newSlots uploads the weights. On an error what was allocated is freed.
func newSlots(dev device.Device, weights []Weight) (slots []*slot, err error) {
	defer func() {
		if err != nil {
			freeSlots(dev, slots)
			slots = nil
		}
	}()
	seen := map[string]bool{}
	for _, w := range weights {
		n := 1
		for _, d := range w.Shape {
			n *= d
		}
		if seen[w.Name] || n != len(w.Data) || n == 0 {
			return slots, fmt.Errorf("trainable tensor %s: shape %v, %d values, given before: %t", w.Name, w.Shape, len(w.Data), seen[w.Name])
		}
		seen[w.Name] = true
		s := &slot{Weight: w}
		slots = append(slots, s)
		for _, b := range []*device.Buffer{&s.value, &s.grad, &s.m, &s.v} {
			if *b, err = dev.Alloc(device.Float, n); err != nil {
				return slots, fmt.Errorf("trainable tensor %s: %w", w.Name, err)
			}
		}
		if err = dev.Upload(s.value, w.Data); err != nil {
			return slots, fmt.Errorf("trainable tensor %s: %w", w.Name, err)
		}
	}
	return slots, nil
}

func freeSlots(dev device.Device, slots []*slot) {
	for _, s := range slots {
		for _, b := range []device.Buffer{s.value, s.grad, s.m, s.v} {
			if b != nil {
				dev.Free(b)
			}
		}
	}
}

// tensors lists what a checkpoint holds of the slots, in order.
func tensors(slots []*slot) (infos []tensorInfo, buffers []device.Buffer) {
	for _, s := range slots {
		for _, t := range []struct {
			name string
			buf  device.Buffer
		}{{"weights/", s.value}, {"adam_m/", s.m}, {"adam_v/", s.v}} {
			infos = append(infos, tensorInfo{t.name + s.Name, t.buf.Len()})
			buffers = append(buffers, t.buf)
		}
	}
	return infos, buffers
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

// clip scales the gradients to a norm of at most limit, as torch.nn.utils.clip_grad_norm_ does.
func clip(dev device.Device, slots []*slot, norm, limit float64) {
	factor := limit / (norm + 1e-6)
	if limit == 0 || factor >= 1 {
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
