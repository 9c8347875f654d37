package cpu

import (
	"fmt"

	"triality/runtime/device"
)

// call is one launch: it holds the device, checks the arguments and keeps the first complaint.
type call struct {
	d      *Device
	op     string
	failed bool
}

func (d *Device) begin(op string) call {
	d.mu.Lock()
	return call{d: d, op: op}
}

func (c *call) end() { c.d.mu.Unlock() }

func (c *call) fail(format string, args ...any) {
	c.failed = true
	if c.d.err == nil {
		c.d.err = fmt.Errorf("cpu: "+c.op+": "+format, args...)
	}
}

// floats gives the first n elements of a float buffer.
func (c *call) floats(name string, b device.Buffer, n int) []float32 {
	x := c.all(name, b)
	if c.failed {
		return nil
	}
	if n < 0 || n > len(x) {
		c.fail("%s has %d elements, needs %d", name, len(x), n)
		return nil
	}
	return x[:n:n]
}

// all gives every element of a float buffer.
func (c *call) all(name string, b device.Buffer) []float32 {
	m, ok := b.(*buffer)
	if !ok || m.t != device.Float {
		c.fail("%s is not a float buffer of this device", name)
		return nil
	}
	return m.f
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
	return m.q[:n:n]
}

// indices gives the first n elements of an index buffer.
func (c *call) indices(name string, b device.Buffer, n int) []int32 {
	m, ok := b.(*buffer)
	if !ok || m.t != device.Int32 {
		c.fail("%s is not an index buffer of this device", name)
		return nil
	}
	if n < 0 || n > len(m.i) {
		c.fail("%s has %d elements, needs %d", name, len(m.i), n)
		return nil
	}
	return m.i[:n:n]
}

// within gives the first n elements of an index buffer, each checked to lie in [lo, hi).
func (c *call) within(name string, b device.Buffer, n, lo, hi int) []int32 {
	x := c.indices(name, b, n)
	for i, v := range x {
		if int(v) < lo || int(v) >= hi {
			c.fail("%s[%d] is %d, outside [%d,%d)", name, i, v, lo, hi)
			return nil
		}
	}
	return x
}
