// Package reference is a device.Device in float64 with plain loops, one per definition in package
// device. It is the oracle that every other device is tested against; it is not made to be fast.
package reference

import (
	"fmt"
	"sync"

	"triality/runtime/device"
)

// Device runs every operation at once, on the caller's goroutine. Its methods may be called from
// several goroutines; calls run one after another.
type Device struct {
	mu     sync.Mutex
	err    error // first error since the last Sync
	rounds bool
	shared []float64 // activations of the quantized product before, where the next is to have the same
}

// New returns a reference device whose results are exact whatever type they are stored in.
func New() *Device { return &Device{} }

// NewRounding returns one that rounds each result once to the type it is stored in: what a device
// with that storage gives where its arithmetic is exact.
func NewRounding() *Device { return &Device{rounds: true} }

var (
	_ device.Device          = (*Device)(nil)
	_ device.ProductSum      = (*Device)(nil)
	_ device.AdaptedSwiGLU   = (*Device)(nil)
	_ device.NormGradSum     = (*Device)(nil)
	_ device.AttentionKeeper = (*Device)(nil)
	_ device.LossAndGrad     = (*Device)(nil)
	_ device.Int8Sharer      = (*Device)(nil)
	_ device.FP8Sharer       = (*Device)(nil)
)

// Info describes the device.
func (d *Device) Info() device.Info {
	return device.Info{Name: "reference", Model: "float64 loops", SIMD: "none"}
}

// Sync returns the first error since the last Sync and forgets it.
func (d *Device) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.err
	d.err = nil
	return err
}

// Close does nothing: the garbage collector frees the memory.
func (d *Device) Close() error { return nil }

// call is one launch: it checks the arguments and keeps the first complaint.
type call struct {
	d      *Device
	op     string
	failed bool
	narrow []*buffer // arguments in a narrow type
}

func (d *Device) begin(op string) *call {
	d.mu.Lock()
	return &call{d: d, op: op}
}

// end rounds the results; arguments that are none of them are rounded already.
func (c *call) end() {
	if c.d.rounds {
		for _, b := range c.narrow {
			for i, v := range b.f {
				b.f[i] = round(v, b.t)
			}
		}
	}
	c.d.mu.Unlock()
}

func (c *call) fail(format string, args ...any) {
	c.failed = true
	if c.d.err == nil {
		c.d.err = fmt.Errorf("reference: "+c.op+": "+format, args...)
	}
}

// floats gives the first n elements of a float buffer, all of them where n < 0.
func (c *call) floats(name string, b device.Buffer, n int) []float64 {
	m, ok := b.(*buffer)
	if !ok || !m.t.IsFloat() {
		c.fail("%s is not a float buffer of this device", name)
		return nil
	}
	if n > len(m.f) {
		c.fail("%s has %d elements, needs %d", name, len(m.f), n)
		return nil
	}
	if m.t != device.Float {
		c.narrow = append(c.narrow, m)
	}
	if n < 0 {
		return m.f
	}
	return m.f[:n]
}

// codes gives the first n elements of an int8 buffer.
func (c *call) codes(name string, b device.Buffer, n int) []int8 {
	m, ok := b.(*buffer)
	if !ok || m.t != device.Int8 {
		c.fail("%s is not an int8 buffer of this device", name)
		return nil
	}
	if n < 0 || n > len(m.q) {
		c.fail("%s has %d elements, needs %d", name, len(m.q), n)
		return nil
	}
	return m.q[:n]
}

// ints gives the first n elements of an index buffer, each checked to lie in [lo, hi).
func (c *call) ints(name string, b device.Buffer, n, lo, hi int) []int32 {
	m, ok := b.(*buffer)
	if !ok || m.t != device.Int32 {
		c.fail("%s is not an index buffer of this device", name)
		return nil
	}
	if n > len(m.i) {
		c.fail("%s has %d elements, needs %d", name, len(m.i), n)
		return nil
	}
	for i, v := range m.i[:n] {
		if int(v) < lo || int(v) >= hi {
			c.fail("%s[%d] is %d, outside [%d,%d)", name, i, v, lo, hi)
			return nil
		}
	}
	return m.i[:n]
}
