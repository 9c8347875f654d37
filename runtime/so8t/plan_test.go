package so8t

import (
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/model"
	"triality/runtime/train"
)

// weighed is a device that counts the most bytes that were allocated at once.
type weighed struct {
	device.Device
	used, most int64
}

func (d *weighed) Alloc(t device.DType, n int) (device.Buffer, error) {
	b, err := d.Device.Alloc(t, n)
	if err == nil {
		d.used += sizeOf(b)
		d.most = max(d.most, d.used)
	}
	return b, err
}

func (d *weighed) Free(b device.Buffer) {
	d.used -= sizeOf(b)
	d.Device.Free(b)
}

func sizeOf(b device.Buffer) int64 {
	if b.DType() == device.Int8 {
		return int64(b.Len())
	}
	return 4 * int64(b.Len())
}

func TestTrainingOfRotationsTakesWhatIsPlanned(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"as it is":  func(*Config) {},
		"by layers": func(c *Config) { c.Recompute = train.RecomputeLayer },
		"int8":      func(c *Config) { c.Storage = model.Storage{Int8: true, Threshold: 6} },
	} {
		t.Run(name, func(t *testing.T) {
			c := trainConfig()
			change(&c)
			host := cpu.New(cpu.Options{})
			defer host.Close()
			dev := &weighed{Device: host}
			cfg, p := plainModel(t, "llama")
			m, err := New(cfg, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			examples, eval := requests(1, 48), requests(2, 12)
			need, err := PlanMemory(dev, m, examples, eval, c)
			if err != nil {
				t.Fatal(err)
			}
			if dev.most != 0 {
				t.Fatalf("planning allocated %d bytes", dev.most)
			}
			if _, _, err := Train(t.Context(), dev, m, examples, eval, t.TempDir(), c, nil); err != nil {
				t.Fatal(err)
			}
			planned := need.Device.Total()
			if planned < dev.most || float64(planned) > 1.3*float64(dev.most) {
				t.Errorf("planned %d bytes (%s), taken %d", planned, need.Device, dev.most)
			}
		})
	}
}
