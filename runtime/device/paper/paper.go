// Package paper is a device that computes nothing and counts what would be allocated on another one: a training or
// an evaluation is set up on it, by the code that sets it up on the other, to learn how much memory it will take.
package paper

import (
	"fmt"
	"math"

	"triality/runtime/device"
	"triality/runtime/memory"
)

// Device stands for another device. Buffers have lengths and no memory. What only a running graph calls is not
// there: its methods are those of a nil device.
type Device struct {
	device.Device
	of    device.Device
	share string
	now   memory.Plan // on the device
	host  memory.Plan
}

var _ device.StandIn = (*Device)(nil)
var _ device.HostMemory = (*Device)(nil)

// New is paper in the place of a device.
func New(of device.Device) *Device { return &Device{of: of, share: "other"} }

// StandsFor is the other device.
func (d *Device) StandsFor() device.Device { return d.of }

// Info is the other device's.
func (d *Device) Info() device.Info { return d.of.Info() }

// For names what is allocated from now on.
func (d *Device) For(share string) { d.share = share }

// OnDevice is what is allocated of the device's memory, and OnHost of the host's for it.
func (d *Device) OnDevice() memory.Plan { return d.now }

// OnHost is the host's memory that is allocated for the device.
func (d *Device) OnHost() memory.Plan { return d.host }

type buffer struct {
	t     device.DType
	n     int
	share string // of a buffer that Alloc gave
	bytes int64
}

func (b *buffer) Len() int            { return b.n }
func (b *buffer) DType() device.DType { return b.t }
func (b *buffer) Slice(from, to int) device.Buffer {
	return &buffer{t: b.t, n: to - from}
}

// Alloc counts n elements; it refuses only what cannot be counted.
func (d *Device) Alloc(t device.DType, n int) (device.Buffer, error) {
	if n < 0 || n > math.MaxInt64/8 {
		return nil, fmt.Errorf("%d elements of %v: %w", n, t, device.ErrOutOfMemory)
	}
	b := &buffer{t, n, d.share, Bytes(t, n)}
	d.now.Add(b.share, b.bytes)
	return b, nil
}

// Free gives a buffer back.
func (d *Device) Free(x device.Buffer) {
	if b, ok := x.(*buffer); ok && b != nil {
		d.now.Add(b.share, -b.bytes)
		b.bytes = 0
	}
}

// Bytes is the memory of n elements, a Float counted as float32.
func Bytes(t device.DType, n int) int64 {
	switch t {
	case device.Int8:
		return int64(n)
	case device.BFloat16, device.Float16:
		return 2 * int64(n)
	}
	return 4 * int64(n)
}

// span is memory of AllocHost.
type span struct {
	share string
	bytes int64
}

// AllocHost counts n elements of the host's memory.
func (d *Device) AllocHost(t device.DType, n int) (any, error) {
	s := span{d.share, Bytes(t, n)}
	d.host.Add(s.share, s.bytes)
	return s, nil
}

// FreeHost gives such memory back.
func (d *Device) FreeHost(x any) {
	if s, ok := x.(span); ok {
		d.host.Add(s.share, -s.bytes)
	}
}

// Fetch does nothing.
func (*Device) Fetch(any, device.Buffer) error { return nil }

// Upload does nothing.
func (*Device) Upload(device.Buffer, any) error { return nil }

// Copy does nothing.
func (*Device) Copy(dst, src device.Buffer) {}

// QuantizeRows does nothing.
func (*Device) QuantizeRows(codes, scale, w device.Buffer, N, K int) {}

// QuantizeRowsFP8 does nothing.
func (*Device) QuantizeRowsFP8(codes, scale, w device.Buffer, N, K int) {}

// Sync does nothing.
func (*Device) Sync() error { return nil }

// Close does nothing: the other device stays open.
func (*Device) Close() error { return nil }
