package train

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
)

// lateDevice has host memory that a Fetch fills at the next Sync and not before.
type lateDevice struct {
	device.Device
	t    *testing.T
	held map[unsafe.Pointer]bool
	late map[unsafe.Pointer]func()
}

func (d *lateDevice) at(memory any) unsafe.Pointer { return reflect.ValueOf(memory).UnsafePointer() }

func (d *lateDevice) AllocHost(t device.DType, n int) (any, error) {
	var m any = make([]float32, n)
	if t == device.Int8 {
		m = make([]int8, n)
	}
	d.held[d.at(m)] = true
	return m, nil
}

func (d *lateDevice) FreeHost(memory any) {
	if !d.held[d.at(memory)] {
		d.t.Error("memory is freed that is not there")
	}
	delete(d.held, d.at(memory))
	delete(d.late, d.at(memory))
}

func (d *lateDevice) Fetch(dst any, src device.Buffer) error {
	if !d.held[d.at(dst)] || reflect.ValueOf(dst).Len() != src.Len() {
		return fmt.Errorf("%T is no memory of this device for %d elements", dst, src.Len())
	}
	now := reflect.MakeSlice(reflect.TypeOf(dst), src.Len(), src.Len())
	if err := d.Download(now.Interface(), src); err != nil {
		return err
	}
	reflect.ValueOf(dst).Index(0).SetZero() // nothing yet
	d.late[d.at(dst)] = func() { reflect.Copy(reflect.ValueOf(dst), now) }
	return nil
}

func (d *lateDevice) Upload(dst device.Buffer, src any) error {
	if v := reflect.ValueOf(src); v.Len() > 0 && d.late[v.UnsafePointer()] != nil {
		d.t.Error("memory is read before what was fetched is there")
	}
	return d.Device.Upload(dst, src)
}

func (d *lateDevice) Sync() error {
	for at, f := range d.late {
		f()
		delete(d.late, at)
	}
	return d.Device.Sync()
}

func TestMomentsPageThroughTheDevicesHostMemory(t *testing.T) {
	for _, optimizer := range []string{PagedAdamW, PagedAdamW8bit} {
		t.Run(optimizer, func(t *testing.T) {
			inner := cpu.New(cpu.Options{Threads: 1})
			defer inner.Close()
			late := &lateDevice{inner, t, map[unsafe.Pointer]bool{}, map[unsafe.Pointer]func(){}}
			var prints [2][]byte
			for i, dev := range []device.Device{inner, late} {
				dir := t.TempDir()
				for _, crash := range []int{2, 0} { // the second run resumes
					r, err := newRunner(dev, bigramsOf(codedWidth, 0.2), sentences(1, 20), nil, dir, codedOptions(optimizer), nil)
					if err != nil {
						t.Fatal(err)
					}
					if paged := len(late.held) > 0; paged != (dev == late) {
						t.Errorf("moments lie in the device's host memory: %t", paged)
					}
					r.afterStep = func(step int) error {
						if step == crash {
							return errors.Join(r.save(), errCrash)
						}
						return nil
					}
					res, err := r.run(t.Context())
					if crash == 0 && err != nil || crash > 0 && !errors.Is(err, errCrash) {
						t.Fatal(err)
					}
					if crash == 0 {
						prints[i] = fingerprint(t, res, dir)
					}
					if err := r.close(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !bytes.Equal(prints[0], prints[1]) {
				t.Error("another result than with ordinary memory")
			}
			if len(late.held) > 0 {
				t.Errorf("%d pieces of host memory are left", len(late.held))
			}
		})
	}
}
