package train

import (
	"errors"
	"fmt"
	"sync"

	"triality/runtime/device"
)

// rank is one device's part of a run: its copy of what is trained, and its graphs. The ranks' values and moments
// stay the same, byte for byte, since each steps them by the same sum of gradients.
type rank struct {
	dev      device.Device
	slots    *slots
	moments  *moments
	programs *programs
	square   device.Buffer // of one element
	release  func() error  // what the task holds on the device; nil where that is the caller's
}

// newRank readies a device. again is Options.Recompute.
func newRank(dev device.Device, task *Task, optimizer, again string, bits int) (_ *rank, err error) {
	k := &rank{dev: dev, moments: newMoments(dev, optimizer, bits)}
	if k.slots, err = newSlots(dev, task.Weights, task.Storage, k.moments); err != nil {
		return nil, err
	}
	k.programs = newPrograms(dev, task, k.slots.list, again)
	if k.square, err = dev.Alloc(device.Float, 1); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

func (k *rank) close() error {
	err := k.programs.close()
	k.slots.free(k.dev)
	k.moments.close()
	if k.square != nil {
		k.dev.Free(k.square)
	}
	if k.release != nil {
		err = errors.Join(err, k.release())
	}
	return err
}

// openRanks readies the ranks beyond the first, where the device is several and the task can be put on them.
func (r *runner) openRanks() error {
	g, ok := r.dev.(device.Group)
	if !ok || r.task.On == nil {
		return nil
	}
	devices := g.Devices()
	if n := len(devices); r.opt.GradientAccumulation%n != 0 {
		return fmt.Errorf("gradient_accumulation_steps: %d micro-batches of a step cannot be shared evenly by %d devices; want a multiple", r.opt.GradientAccumulation, n)
	}
	for _, dev := range devices[1:] {
		task := *r.task
		build, release, err := r.task.On(dev)
		if err != nil {
			return fmt.Errorf("device %d: %w", len(r.others)+1, err)
		}
		task.Build = build
		k, err := newRank(dev, &task, r.opt.Optimizer, r.opt.Recompute, r.bits)
		if err != nil {
			return errors.Join(fmt.Errorf("device %d: %w", len(r.others)+1, err), release())
		}
		k.release = release
		r.others = append(r.others, k)
	}
	return nil
}

// ranks are all of them, in order.
func (r *runner) ranks() []*rank { return append([]*rank{r.rank}, r.others...) }

// onEach runs f for each rank, at once where there are several, and gives the first rank's error.
func (r *runner) onEach(f func(i int, k *rank) error) error {
	ranks := r.ranks()
	if len(ranks) == 1 {
		return f(0, r.rank)
	}
	errs := make([]error, len(ranks))
	var all sync.WaitGroup
	for i, k := range ranks {
		all.Go(func() { errs[i] = f(i, k) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
	}
	return nil
}

// sumGradients gives every rank the sum of all ranks' gradients.
func (r *runner) sumGradients() error {
	if len(r.others) == 0 {
		return nil
	}
	var buffers []device.Buffer
	for _, k := range r.ranks() {
		buffers = append(buffers, k.slots.grad)
	}
	return r.dev.(device.Group).SumAll(buffers)
}
