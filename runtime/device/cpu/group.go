package cpu

import (
	"errors"
	"fmt"
	"runtime"

	"triality/runtime/device"
)

// Group is shares of the processor that train together as several cards do. As a device.Device it is the first.
type Group struct {
	*Device
	all []*Device
}

var _ device.Group = (*Group)(nil)

// NewGroup gives n devices that share the threads, one at least to each.
func NewGroup(o Options, n int) *Group {
	g := &Group{}
	if o.Threads < 1 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	o.Threads = max(1, o.Threads/n)
	for range n {
		g.all = append(g.all, New(o))
	}
	g.Device = g.all[0]
	return g
}

// Devices are the shares.
func (g *Group) Devices() (list []device.Device) {
	for _, d := range g.all {
		list = append(list, d)
	}
	return list
}

// summed is the number of elements that are summed at once.
const summed = 1 << 18

// SumAll adds the ranks' elements in their order.
func (g *Group) SumAll(buffers []device.Buffer) error {
	if len(buffers) != len(g.all) {
		return fmt.Errorf("cpu: sum over devices: %d buffers for %d devices", len(buffers), len(g.all))
	}
	n := buffers[0].Len()
	for r, b := range buffers {
		if b.Len() != n {
			return fmt.Errorf("cpu: sum over devices: %d elements on device %d, %d on the first", b.Len(), r, n)
		}
	}
	sum, part := make([]float32, min(n, summed)), make([]float32, min(n, summed))
	for from := 0; from < n; from += summed {
		to := min(from+summed, n)
		s, p := sum[:to-from], part[:to-from]
		clear(s)
		for r, b := range buffers {
			if err := g.all[r].Download(p, b.Slice(from, to)); err != nil {
				return fmt.Errorf("cpu: sum over devices: device %d: %w", r, err)
			}
			for i, v := range p {
				s[i] += v
			}
		}
		for r, b := range buffers {
			if err := g.all[r].Upload(b.Slice(from, to), s); err != nil {
				return fmt.Errorf("cpu: sum over devices: device %d: %w", r, err)
			}
		}
	}
	return nil
}

// Close closes all shares.
func (g *Group) Close() error {
	var errs []error
	for _, d := range g.all {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
