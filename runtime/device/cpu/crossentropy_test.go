package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

// A small bound makes the blocks of rows and of the vocabulary that only large models have.
func TestCrossEntropyInManyBlocksEqualsTheReference(t *testing.T) {
	const T, D, V = 600, 5, 130
	small := New(Options{Threads: 2})
	small.logits = 256 * 50
	defer func() { _ = small.Close() }()
	results := map[string][][]float64{}
	for name, dev := range map[string]device.Device{"cpu": small, "reference": reference.New()} {
		rng := rand.New(rand.NewPCG(1, 1))
		alloc := func(n int) device.Buffer {
			b, err := dev.Alloc(device.Float, n)
			if err != nil {
				t.Fatal(err)
			}
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(rng.NormFloat64())
			}
			if err := dev.Upload(b, v); err != nil {
				t.Fatal(err)
			}
			return b
		}
		labels, err := dev.Alloc(device.Int32, T)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]int32, T)
		for i := range ids {
			ids[i] = int32(i*11%(V+7) - 7) // some rows have none
		}
		if err := dev.Upload(labels, ids); err != nil {
			t.Fatal(err)
		}
		h, w, dnll := alloc(T*D), alloc(V*D), alloc(T)
		nll, dh, dw := alloc(T), alloc(T*D), alloc(V*D)
		dev.CrossEntropy(nll, h, w, labels, T, D, V)
		dev.CrossEntropyGrad(dh, dw, h, w, labels, dnll, T, D, V)
		for _, b := range []device.Buffer{nll, dh, dw} {
			v := make([]float64, b.Len())
			if err := dev.Download(v, b); err != nil {
				t.Fatal(err)
			}
			results[name] = append(results[name], v)
		}
	}
	for i, want := range results["reference"] {
		for j, v := range want {
			if got := results["cpu"][i][j]; math.Abs(got-v) > 2e-6*(10+math.Abs(v)) {
				t.Fatalf("result %d element %d is %g, reference %g", i, j, got, v)
			}
		}
	}
}
