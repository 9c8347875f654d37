package parity

import (
	"math"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
	"triality/runtime/generate"
	"triality/runtime/model"
)

// narrowStorages are held to transformers' float32 logits within what their rounding costs: weights and
// results of 8 bits of mantissa, 11 bits, and int8 weights beside the former. It is that of two layers;
// roundings of more add up as their square root. e4m3 has four bits of mantissa.
var narrowStorages = []struct {
	name      string
	storage   model.Storage
	tolerance float64
}{
	{"bfloat16", model.Storage{Matrices: device.BFloat16}, 2e-2},
	{"float16", model.Storage{Matrices: device.Float16}, 3e-3},
	{"int8 and bfloat16", model.Storage{Matrices: device.BFloat16, Int8: true, Threshold: 6}, 5e-2},
	{"fp8 and bfloat16", model.Storage{Matrices: device.BFloat16, FP8: true}, 2.5e-1},
}

// holdNarrow compares logits in norm.
func holdNarrow(t *testing.T, open func(testing.TB) device.Device) {
	for _, c := range narrowStorages {
		t.Run(c.name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, f *fixture) {
				most := c.tolerance * math.Sqrt(float64(f.cfg.Layers)/2)
				dev := open(t)
				on, err := model.UploadAs(dev, f.cfg, f.params, c.storage)
				if err != nil {
					t.Fatal(err)
				}
				defer on.Close()
				e, err := generate.New(dev, f.cfg, on, model.Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				hold := func(what string, ids []int32) {
					t.Helper()
					got, want := logits(t, e, ids), f.want(t, what)
					off, all := 0.0, 0.0
					for i := range want {
						d := float64(got[i]) - float64(want[i])
						off, all = off+d*d, all+float64(want[i])*float64(want[i])
					}
					if rel := math.Sqrt(off / all); !(rel < most) {
						t.Errorf("%s: relative error %.3g, at most %.2g is allowed", what, rel, most)
					} else {
						t.Logf("%s: relative error %.2g", what, rel)
					}
				}
				hold("single", f.data.Single)
				hold("long", f.data.Long)
				for i, ids := range f.data.Batch {
					hold("batch."+string(rune('0'+i)), ids)
				}
			})
		})
	}
}

func TestLogitsInNarrowStorageAreThoseOfTransformersWithinItsRounding(t *testing.T) {
	holdNarrow(t, func(testing.TB) device.Device { return reference.NewRounding() })
}
