package cpu

import (
	"slices"
	"testing"

	"triality/runtime/device"
)

func TestSharesOfTheProcessorAddInTheirOrder(t *testing.T) {
	g := NewGroup(Options{Threads: 3}, 3)
	defer g.Close()
	const n = summed + 5
	buffers := make([]device.Buffer, 3)
	values := [][]float32{make([]float32, n), make([]float32, n), make([]float32, n)}
	for r, dev := range g.Devices() {
		for i := range n {
			values[r][i] = []float32{1e8, -1e8, float32(i%7) + 0.5}[r] // in another order the last is lost
		}
		var err error
		if buffers[r], err = dev.Alloc(device.Float, n); err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(buffers[r], values[r]); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.SumAll(buffers); err != nil {
		t.Fatal(err)
	}
	got := make([]float32, n)
	for r, dev := range g.Devices() {
		if err := dev.Download(got, buffers[r]); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, values[2]) {
			t.Errorf("device %d has another sum", r)
		}
	}
	if err := g.SumAll(buffers[:2]); err == nil {
		t.Error("two buffers for three devices were summed")
	}
	if err := g.SumAll([]device.Buffer{buffers[0], buffers[1].Slice(0, 4), buffers[2]}); err == nil {
		t.Error("buffers of two lengths were summed")
	}
}
