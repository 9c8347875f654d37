package compliance

import (
	"errors"
	"testing"

	"triality/runtime/device"
)

// memory holds Alloc, Slice, Upload, Download and Copy to their contract.
func memory(t *testing.T, dev device.Device) {
	b, err := dev.Alloc(device.Float, 10)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 10)
	if err := dev.Download(got, b); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != 0 {
			t.Errorf("element %d of a new buffer is %v", i, v)
		}
	}
	if b.Len() != 10 || b.DType() != device.Float {
		t.Errorf("buffer of %d %v, want 10 float", b.Len(), b.DType())
	}
	part := b.Slice(3, 6)
	if err := dev.Upload(part, []float64{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	dev.Fill(part.Slice(1, 2), -5)
	if err := dev.Download(got, b); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{0, 0, 0, 1, -5, 3, 0, 0, 0, 0} {
		if got[i] != want {
			t.Errorf("element %d is %v after writes to a slice, want %v", i, got[i], want)
		}
	}
	ints := upload(t, dev, device.Int32, 3, []int32{4, -1, 1 << 30})
	twin := upload(t, dev, device.Int32, 3, []int32{0, 0, 0})
	dev.Copy(twin, ints)
	back := make([]int32, 3)
	if err := dev.Download(back, twin); err != nil || back[0] != 4 || back[1] != -1 || back[2] != 1<<30 {
		t.Errorf("indices came back as %v, %v", back, err)
	}
	for name, err := range map[string]error{
		"upload of a wrong length":       dev.Upload(b, []float32{1}),
		"upload of floats as indices":    dev.Upload(ints, []float32{1, 2, 3}),
		"upload of an unknown type":      dev.Upload(b, make([]int, 10)),
		"download of a wrong length":     dev.Download(make([]float32, 3), b),
		"download of floats as indices":  dev.Download(make([]int32, 10), b),
		"upload to another device's one": dev.Upload(foreign{}, []float32{}),
	} {
		if err == nil {
			t.Errorf("%s gave no error", name)
		}
	}
	if _, err := dev.Alloc(device.Float, -1); err == nil {
		t.Error("a negative length was allocated")
	}
	if _, err := dev.Alloc(device.Float, 1<<50); !errors.Is(err, device.ErrOutOfMemory) {
		t.Errorf("2^50 elements gave %v, want ErrOutOfMemory", err)
	}
	if err := dev.Sync(); err != nil {
		t.Errorf("sync: %v", err)
	}
}

// hostMemory holds AllocHost, FreeHost and Fetch to their contract.
func hostMemory(t *testing.T, dev device.Device, h device.HostMemory) {
	const n = 3 << 20
	floats, err := h.AllocHost(device.Float, n)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := h.AllocHost(device.Int8, n)
	if err != nil {
		t.Fatal(err)
	}
	x, q := floats.([]float32), codes.([]int8)
	if len(x) != n || len(q) != n || x[n-1] != 0 || q[n-1] != 0 {
		t.Fatalf("%d and %d elements, the last %g and %d", len(x), len(q), x[n-1], q[n-1])
	}
	for i := range x {
		x[i], q[i] = float32(i), int8(i)
	}
	a, b := upload(t, dev, device.Float, n, x), upload(t, dev, device.Int8, n, q)
	dev.Scale(a, a, 2)
	if err := errors.Join(h.Fetch(x, a), h.Fetch(q, b), dev.Sync()); err != nil {
		t.Fatal(err)
	}
	for i := range x {
		if x[i] != 2*float32(i) || q[i] != int8(i) {
			t.Fatalf("element %d came back as %g and %d", i, x[i], q[i])
		}
	}
	for name, err := range map[string]error{
		"a fetch to other memory": h.Fetch(make([]float32, n), a),
		"a fetch of another type": h.Fetch(q, a),
		"a fetch to a part":       h.Fetch(x[1:], a.Slice(1, n)),
		"a fetch of another size": h.Fetch(x, a.Slice(0, n-1)),
		"host memory of indices":  second(h.AllocHost(device.Int32, 4)),
		"a negative size":         second(h.AllocHost(device.Float, -1)),
	} {
		if err == nil {
			t.Errorf("%s gave no error", name)
		}
	}
	_ = dev.Sync() // what the wrong fetches left
	h.FreeHost(x)
	h.FreeHost(q)
	if h.Fetch(x, a) == nil {
		t.Error("a fetch to memory that was given back gave no error")
	}
	_ = dev.Sync()
	dev.Free(a)
	dev.Free(b)
}

func second[A, B any](_ A, b B) B { return b }

// foreign is a buffer that belongs to no device.
type foreign struct{}

func (foreign) Len() int                     { return 0 }
func (foreign) DType() device.DType          { return device.Float }
func (foreign) Slice(int, int) device.Buffer { return foreign{} }

func badArguments(t *testing.T, dev device.Device) {
	x := upload(t, dev, device.Float, 8, make([]float32, 8))
	small := upload(t, dev, device.Float, 4, make([]float32, 4))
	ids := upload(t, dev, device.Int32, 2, []int32{1, 4})
	negative := upload(t, dev, device.Int32, 2, []int32{-1, 0})
	shape := device.AttentionShape{Queries: 2, Keys: 2, Heads: 2, KVHeads: 1, HeadDim: 2, Scale: 1}
	odd := shape
	odd.KVHeads = 3
	for name, launch := range map[string]func(){
		"a token id past the table":     func() { dev.Embedding(small, x, ids, 2, 2) },
		"a negative token id":           func() { dev.Embedding(small, x, negative, 2, 2) },
		"a gradient id past the table":  func() { dev.EmbeddingGrad(small, ids, x, 2, 2, 2) },
		"a label past the vocabulary":   func() { dev.CrossEntropy(small, x, x, ids, 2, 2, 4) },
		"a slot past the cache":         func() { dev.CacheWrite(x, small, ids, 2, 2) },
		"a key range past the keys":     func() { dev.Attention(x, x, small, small, negative.Slice(1, 2), ids, shape) },
		"a key range below the keys":    func() { dev.Attention(x, x, small, small, negative, ids, shape) },
		"more pairs than a head has":    func() { dev.Rotary(x, x, ids, small, 2, 1, 4, 4, 1, false) },
		"heads that do not divide":      func() { dev.Attention(x, x, x, x, ids, ids, odd) },
		"a matrix that is too small":    func() { dev.MatMul(small, x, x, 3, 2, 2, false, false, false) },
		"indices for floats":            func() { dev.Scale(small, ids, 2) },
		"floats for indices":            func() { dev.Embedding(small, x, small, 2, 2) },
		"another device's buffer":       func() { dev.Scale(small, foreign{}, 2) },
		"a block width that is not 8·n": func() { dev.BlockMul(small, x, x, 1, 4, false) },
		"an optimizer step of zero":     func() { dev.AdamWStep(small, x, x, x, device.AdamW{}) },
	} {
		dev.Fill(small, 3)
		dev.Fill(x, 3)
		launch()
		if err := dev.Sync(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := dev.Sync(); err != nil {
			t.Errorf("%s: the error stayed: %v", name, err)
		}
		for _, b := range []device.Buffer{small, x} {
			got := make([]float32, b.Len())
			if err := dev.Download(got, b); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				if v != 3 {
					t.Errorf("%s: element %d became %v", name, i, v)
					break
				}
			}
		}
	}
}
