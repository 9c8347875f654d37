// Package compliance holds an implementation of device.Device to the reference: every operation
// over a table of awkward shapes, the same bytes for the same inputs, and errors where they belong.
package compliance

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
)

// operation is one launch on random inputs. The outputs start with random values too, so that a
// destination which is read or left unwritten by mistake shows.
type operation struct {
	name   string
	floats []int     // sizes of the float inputs, normal(0,1)
	ints   [][]int32 // index inputs
	outs   []int     // sizes of the float outputs
	launch func(d device.Device, o, x, i []device.Buffer)
	// vectors are the float inputs, and sums the outputs, that stay Float in every storage type.
	vectors, sums []int
	// loose, where not 0, multiplies the tolerance of narrow types.
	loose float64
	// needs tells, where it is not nil, whether a device has the operation.
	needs func(device.Device) bool
	// positive makes the outputs start above zero (the second moment of an optimizer is one).
	positive bool
}

// Run compares each operation with the reference: the largest error of a result must be at most
// tol times its largest element. open gives a fresh device a call.
func Run(t *testing.T, open func() device.Device, tol float64) {
	t.Helper()
	dev := openFor(t, open)
	for _, op := range on(dev, operations()) {
		t.Run(op.name, func(t *testing.T) {
			want := op.expected(t, device.Float)
			got := op.run(t, dev, device.Float)
			again := op.run(t, dev, device.Float)
			for i := range want {
				compare(t, i, got[i], want[i], tol, 0)
				sameBytes(t, i, got[i], again[i], "a second run")
			}
		})
	}
	t.Run("8-bit adamw", func(t *testing.T) { eightBitAdamW(t, dev, tol) })
	t.Run("memory", func(t *testing.T) { memory(t, dev) })
	if h, ok := dev.(device.HostMemory); ok {
		t.Run("host memory", func(t *testing.T) { hostMemory(t, dev, h) })
	}
	t.Run("bad arguments reach Sync and touch nothing", func(t *testing.T) { badArguments(t, dev) })
}

// SameBytes runs each operation on devices that must agree to the last bit, such as one
// implementation with different numbers of threads.
func SameBytes(t *testing.T, open ...func() device.Device) {
	t.Helper()
	var devs []device.Device
	for _, o := range open {
		devs = append(devs, openFor(t, o))
	}
	for _, op := range on(devs[0], operations()) {
		t.Run(op.name, func(t *testing.T) {
			first := op.run(t, devs[0], device.Float)
			for n, dev := range devs[1:] {
				for i, got := range op.run(t, dev, device.Float) {
					sameBytes(t, i, got, first[i], "device "+string(rune('1'+n)))
				}
			}
		})
	}
}

// RunNarrow is Run with activations and matrices stored in a narrow type. The reference starts from the
// same rounded inputs, so that the errors are those of the results' rounding and of what is rounded
// on the way: at most tol times the largest element, or times 1e-3 where all are smaller, since rounded
// inputs need not cancel as exact ones do.
func RunNarrow(t *testing.T, open func() device.Device, storage device.DType, tol float64) {
	t.Helper()
	dev := openFor(t, open)
	for _, op := range on(dev, operations()) {
		t.Run(op.name, func(t *testing.T) {
			want, got, again := op.expected(t, storage), op.run(t, dev, storage), op.run(t, dev, storage)
			for i := range want {
				compare(t, i, got[i], want[i], tol*max(1, op.loose), 1e-3)
				sameBytes(t, i, got[i], again[i], "a second run")
			}
		})
	}
}

func openFor(t *testing.T, open func() device.Device) device.Device {
	t.Helper()
	dev := open()
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return dev
}

// expectations keeps the reference's results by the operation's name and the storage type: the suite runs many times
// in one process, once for each kernel set of a device.
var expectations sync.Map

func (op operation) expected(t *testing.T, storage device.DType) [][]float64 {
	t.Helper()
	key := op.name + " in " + storage.String()
	if v, ok := expectations.Load(key); ok {
		return v.([][]float64)
	}
	v := op.run(t, reference.New(), storage)
	expectations.Store(key, v)
	return v
}

// normals is one table of random numbers that every operation reads from the start: drawing new ones
// would cost more than most operations.
var normals = sync.OnceValue(func() []float32 {
	rng := rand.New(rand.NewPCG(11, 17))
	v := make([]float32, 1<<19)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
})

func (op operation) run(t *testing.T, dev device.Device, storage device.DType) [][]float64 {
	t.Helper()
	next := 0
	floats := func(n int, positive, exact bool) device.Buffer {
		if next+n > len(normals()) {
			t.Fatalf("%s needs more than %d random numbers", op.name, len(normals()))
		}
		v := slices.Clone(normals()[next : next+n])
		next += n
		for i := range v {
			if positive {
				v[i] = float32(math.Abs(float64(v[i]))) + 0.1
			}
		}
		if exact {
			return upload(t, dev, device.Float, n, v)
		}
		return upload(t, dev, storage, n, v)
	}
	var o, x, ix []device.Buffer
	for i, n := range op.floats {
		x = append(x, floats(n, false, slices.Contains(op.vectors, i)))
	}
	for _, v := range op.ints {
		ix = append(ix, upload(t, dev, device.Int32, len(v), v))
	}
	for i, n := range op.outs {
		o = append(o, floats(n, op.positive, slices.Contains(op.sums, i)))
	}
	op.launch(dev, o, x, ix)
	if err := dev.Sync(); err != nil {
		t.Fatalf("%s: %v", dev.Info().Name, err)
	}
	var results [][]float64
	for _, b := range o {
		v := make([]float64, b.Len())
		if err := dev.Download(v, b); err != nil {
			t.Fatal(err)
		}
		results = append(results, v)
	}
	for _, bufs := range [][]device.Buffer{o, x, ix} {
		for _, b := range bufs {
			dev.Free(b)
		}
	}
	return results
}

func upload(t *testing.T, dev device.Device, dt device.DType, n int, src any) device.Buffer {
	t.Helper()
	b, err := dev.Alloc(dt, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Upload(b, src); err != nil {
		t.Fatal(err)
	}
	return b
}

func compare(t *testing.T, out int, got, want []float64, tol, floor float64) {
	t.Helper()
	var largest, worst float64
	at := 0
	for i := range want {
		largest = max(largest, math.Abs(want[i]))
		if e := math.Abs(got[i] - want[i]); !(e <= worst) {
			worst, at = e, i
			if math.IsNaN(e) {
				break
			}
		}
	}
	if !(worst <= tol*max(largest, floor)) {
		t.Errorf("output %d element %d of %d: %g, reference %g (error %.2g of the largest element %g)",
			out, at, len(want), got[at], want[at], worst/largest, largest)
	}
}

func sameBytes(t *testing.T, out int, got, want []float64, what string) {
	t.Helper()
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Errorf("output %d element %d: %s gave %v, the first %v", out, i, what, got[i], want[i])
			return
		}
	}
}
