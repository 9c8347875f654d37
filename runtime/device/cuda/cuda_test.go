package cuda_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/compliance"
	"triality/runtime/device/cpu"
	"triality/runtime/device/cuda"
)

// lacking tells that this machine cannot run the device, which skips a test; any other error fails it.
func lacking(err error) bool {
	return errors.Is(err, cuda.ErrNoDriver) || errors.Is(err, cuda.ErrNoDevice) || errors.Is(err, cuda.ErrNoBLAS) || errors.Is(err, cuda.ErrOldDevice)
}

// opener gives devices, after skipping the test where there is no card.
func opener(t testing.TB, o cuda.Options) func() device.Device {
	t.Helper()
	first := open(t, o)
	t.Logf("%+v", first.Info())
	return func() device.Device {
		if d := first; d != nil {
			first = nil
			return d
		}
		return open(t, o)
	}
}

func open(t testing.TB, o cuda.Options) device.Device {
	t.Helper()
	d, err := cuda.Open(o)
	if lacking(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheCardComplies(t *testing.T) {
	compliance.Run(t, opener(t, cuda.Options{}), 5e-6)
}

func TestTwoOpeningsOfACardGiveTheSameBytes(t *testing.T) {
	next := opener(t, cuda.Options{})
	compliance.SameBytes(t, next, next)
}

func TestProductsInTF32StayNearTheExactOnes(t *testing.T) {
	for _, size := range [][3]int{{256, 320, 512}, {61, 99, 521}, {1, 128, 64}} {
		M, N, K := size[0], size[1], size[2]
		results := map[bool][]float64{}
		for _, tf32 := range []bool{false, true} {
			dev := open(t, cuda.Options{TF32: tf32})
			a, b, o := uploaded(t, dev, noise(1, M*K)), uploaded(t, dev, noise(2, K*N)), uploaded(t, dev, make([]float32, M*N))
			dev.MatMul(o, a, b, M, N, K, true, false, false)
			results[tf32] = downloaded(t, dev, o)
			closeDevice(t, dev)
		}
		if e := distance(results[true], results[false]); !(e < 1e-3) {
			t.Errorf("%v: %g from float32", size, e)
		} else {
			t.Logf("%v: relative error %.2g", size, e)
		}
	}
}

func TestDropoutHasTheBitsOfTheCPU(t *testing.T) {
	const n = 100_003
	var results [2][]float64
	for i, dev := range []device.Device{open(t, cuda.Options{}), cpu.New(cpu.Options{})} {
		x, o := uploaded(t, dev, noise(3, n)), uploaded(t, dev, make([]float32, n))
		key, err := dev.Alloc(device.Int32, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(key, []int32{-17, 1 << 30}); err != nil {
			t.Fatal(err)
		}
		dev.Dropout(o, x, key, 0xdeadbeef, 0.1)
		results[i] = downloaded(t, dev, o)
		closeDevice(t, dev)
	}
	for i, v := range results[0] {
		if math.Float64bits(v) != math.Float64bits(results[1][i]) {
			t.Fatalf("element %d is %v, on the cpu %v", i, v, results[1][i])
		}
	}
}

// Shapes past the compliance suite's: heads of every kernel, many tiles, several blocks of logits.
func TestLargerShapesAgreeWithTheCPU(t *testing.T) {
	gpu := open(t, cuda.Options{})
	defer closeDevice(t, gpu)
	host := cpu.New(cpu.Options{})
	defer closeDevice(t, host)
	for _, dim := range []int{48, 64, 80, 128, 160, 256} {
		t.Run(fmt.Sprintf("attention with heads of %d", dim), func(t *testing.T) {
			agree(t, attend(t, gpu, dim), attend(t, host, dim), 0, 2e-6)
		})
	}
	t.Run("rotary far along", func(t *testing.T) {
		run := func(dev device.Device) [][]float64 {
			x, f := uploaded(t, dev, noise(9, 4*6)), uploaded(t, dev, []float32{1, 0.3, 0.01})
			dev.Rotary(x, x, indices(t, dev, []int32{0, 8191, 131_071, 1_000_003}), f, 4, 1, 6, 3, 1, false)
			return [][]float64{downloaded(t, dev, x)}
		}
		agree(t, run(gpu), run(host), 0, 2e-6)
	})
	t.Run("cross-entropy over several blocks of rows", func(t *testing.T) {
		const T, D, V = 700, 24, 150_000
		run := func(dev device.Device) [][]float64 {
			labels := make([]int32, T)
			for i := range labels {
				labels[i] = int32(i*2111%V - 300)
			}
			l := indices(t, dev, labels)
			h, w, y := uploaded(t, dev, noise(10, T*D)), uploaded(t, dev, noise(11, V*D)), uploaded(t, dev, noise(12, T))
			nll, dh, dw := uploaded(t, dev, noise(13, T)), uploaded(t, dev, noise(13, T*D)), uploaded(t, dev, noise(13, V*D))
			dev.CrossEntropy(nll, h, w, l, T, D, V)
			dev.CrossEntropyGrad(dh, dw, h, w, l, y, T, D, V)
			return [][]float64{downloaded(t, dev, nll), downloaded(t, dev, dh), downloaded(t, dev, dw)}
		}
		agree(t, run(gpu), run(host), 0, 2e-6)
	})
	t.Run("scale by an element of the destination", func(t *testing.T) {
		run := func(dev device.Device) [][]float64 {
			x := uploaded(t, dev, noise(14, 1<<20))
			dev.ScaleBy(x, x, x.Slice(1<<19, 1<<19+1))
			return [][]float64{downloaded(t, dev, x)}
		}
		agree(t, run(gpu), run(host), 0, 2e-6)
	})
	t.Run("uploads larger than the staging memory", func(t *testing.T) {
		x := noise(15, 5<<20+3)
		for i, v := range downloaded(t, gpu, uploaded(t, gpu, x)) {
			if v != float64(x[i]) {
				t.Fatalf("element %d came back as %v, sent %v", i, v, x[i])
			}
		}
	})
	t.Run("slots written twice keep the last row", func(t *testing.T) {
		cache, x := uploaded(t, gpu, make([]float32, 6)), uploaded(t, gpu, []float32{1, 2, 3, 4, 5, 6})
		gpu.CacheWrite(cache, x, indices(t, gpu, []int32{2, 0, 2}), 3, 2)
		if got := downloaded(t, gpu, cache); fmt.Sprint(got) != "[3 4 0 0 5 6]" {
			t.Errorf("cache is %v", got)
		}
	})
}

func TestAMemoryLimitIsKeptAndSaysWhatToLower(t *testing.T) {
	dev := open(t, cuda.Options{MemoryLimit: 256 << 20})
	defer closeDevice(t, dev)
	b, err := dev.Alloc(device.Float, 40<<20) // 160 MiB
	if err != nil {
		t.Fatal(err)
	}
	_, err = dev.Alloc(device.Float, 40<<20)
	if !errors.Is(err, device.ErrOutOfMemory) || !strings.Contains(err.Error(), "lower the micro-batch") {
		t.Errorf("the second 160 MiB of 256 gave %v", err)
	}
	dev.Free(b)
	if _, err = dev.Alloc(device.Float, 48<<20); err != nil {
		t.Errorf("192 MiB after 160 were freed: %v", err)
	}
}

// The arguments that Open refuses.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := cuda.Open(cuda.Options{MemoryLimit: -1}); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Errorf("a negative limit gave %v", err)
	}
	_, err := cuda.Open(cuda.Options{Ordinal: 99})
	if err == nil {
		t.Fatal("device 99 was opened")
	}
	if errors.Is(err, cuda.ErrNoDriver) {
		for _, part := range []string{"install NVIDIA's driver", "run on the cpu"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	} else if !errors.Is(err, cuda.ErrNoDevice) {
		t.Errorf("device 99 gave %v", err)
	}
}

func noise(seed uint64, n int) []float32 {
	x := make([]float32, n)
	s := seed * 0x9E3779B97F4A7C15
	for i := range x {
		var sum float64
		for range 3 { // near enough to normal
			s = s*6364136223846793005 + 1442695040888963407
			sum += float64(s>>40)/(1<<23) - 1
		}
		x[i] = float32(sum)
	}
	return x
}

func uploaded(t testing.TB, dev device.Device, x []float32) device.Buffer {
	t.Helper()
	b, err := dev.Alloc(device.Float, len(x))
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Upload(b, x); err != nil {
		t.Fatal(err)
	}
	return b
}

func indices(t testing.TB, dev device.Device, x []int32) device.Buffer {
	t.Helper()
	b, err := dev.Alloc(device.Int32, len(x))
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Upload(b, x); err != nil {
		t.Fatal(err)
	}
	return b
}

func downloaded(t testing.TB, dev device.Device, b device.Buffer) []float64 {
	t.Helper()
	x := make([]float64, b.Len())
	if err := dev.Download(x, b); err != nil {
		t.Fatal(err)
	}
	return x
}

func closeDevice(t testing.TB, dev device.Device) {
	t.Helper()
	if err := dev.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// distance is ‖x − y‖ / ‖y‖; NaN where either holds one.
func distance(x, y []float64) float64 {
	var d, n float64
	for i, v := range y {
		d += (x[i] - v) * (x[i] - v)
		n += v * v
	}
	return math.Sqrt(d / n)
}

// agree holds the distance of each result to [least, most).
func agree(t *testing.T, got, want [][]float64, least, most float64) {
	t.Helper()
	for i := range want {
		e := distance(got[i], want[i])
		t.Logf("result %d: relative distance %.2g", i, e)
		if !(e >= least && e < most) {
			t.Errorf("result %d is %g from the cpu's, want %g to %g", i, e, least, most)
		}
	}
}

// attend gives the results and gradients of attention over two packed sequences under a window.
func attend(t *testing.T, dev device.Device, dim int) (out [][]float64) {
	t.Helper()
	s := device.AttentionShape{Queries: 333, Keys: 333, Heads: 4, KVHeads: 2, HeadDim: dim, Scale: 1 / math.Sqrt(float64(dim)), Window: 150}
	lo, hi := make([]int32, s.Queries), make([]int32, s.Queries)
	for i := range lo {
		lo[i], hi[i] = int32(i/200*200), int32(i+1)
	}
	hi[7] = 0 // a query that reads nothing
	l, h := indices(t, dev, lo), indices(t, dev, hi)
	nq, nk := s.Queries*s.Heads*dim, s.Keys*s.KVHeads*dim
	q, k, v, dy := uploaded(t, dev, noise(4, nq)), uploaded(t, dev, noise(5, nk)), uploaded(t, dev, noise(6, nk)), uploaded(t, dev, noise(7, nq))
	o, dq, dk, dv := uploaded(t, dev, noise(8, nq)), uploaded(t, dev, noise(8, nq)), uploaded(t, dev, noise(8, nk)), uploaded(t, dev, noise(8, nk))
	dev.Attention(o, q, k, v, l, h, s)
	dev.AttentionGrad(dq, dk, dv, q, k, v, l, h, dy, s)
	for _, b := range []device.Buffer{o, dq, dk, dv} {
		out = append(out, downloaded(t, dev, b))
	}
	return out
}
