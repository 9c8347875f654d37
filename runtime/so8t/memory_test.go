package so8t

import (
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// pattern is a model whose weights are made when they are read: 48 MB as float32, 1 MB the largest.
type pattern struct{ specs []model.Spec }

func (p pattern) Names() (names []string) {
	for _, s := range p.specs {
		names = append(names, s.Name)
	}
	return names
}

func (p pattern) Shape(name string) ([]int, bool) {
	for _, s := range p.specs {
		if s.Name == name {
			return s.Shape, true
		}
	}
	return nil, false
}

func (p pattern) ReadAt(name string, dst []float32, at int) error {
	shape, _ := p.Shape(name)
	state := uint32(len(name) + at)
	for i := range dst {
		state = state*1664525 + 1013904223
		dst[i] = 0.05 * (float32(state>>8)/(1<<23) - 1)
		if len(shape) == 1 {
			dst[i]++
		}
	}
	return nil
}

func largeFolder(t *testing.T) (dir string, bytes int64) {
	t.Helper()
	cfg, err := model.NamedShape{Name: "large", Hidden: 256, Layers: 12, Heads: 4, KVHeads: 4, FFN: 1024, Positions: 64}.Config("llama", testVocab)
	if err != nil {
		t.Fatal(err)
	}
	dir, p := t.TempDir(), pattern{cfg.Specs()}
	if err := cfg.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := model.Save(dir, p, safetensors.BF16); err != nil {
		t.Fatal(err)
	}
	return dir, 4 * int64(model.Elements(p))
}

// counted is a device that knows the bytes of its buffers. What Free drops is collected at once, so that
// it is never taken for the host's.
type counted struct {
	device.Device
	used atomic.Int64
	mu   sync.Mutex
	size map[device.Buffer]int64
}

func (c *counted) Alloc(t device.DType, n int) (device.Buffer, error) {
	b, err := c.Device.Alloc(t, n)
	if err == nil {
		c.mu.Lock()
		c.size[b] = 4 * int64(n)
		c.mu.Unlock()
		c.used.Add(4 * int64(n))
	}
	return b, err
}

func (c *counted) Free(b device.Buffer) {
	c.mu.Lock()
	size := c.size[b]
	delete(c.size, b)
	c.mu.Unlock()
	c.Device.Free(b)
	if size >= 1<<18 {
		runtime.GC()
	}
	c.used.Add(-size)
}

// peak is the most memory that run has on the heap beyond what was there and what dev holds.
func peak(dev *counted, run func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	start, most := int64(s.HeapAlloc), int64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			runtime.ReadMemStats(&s)
			most = max(most, int64(s.HeapAlloc)-start-dev.used.Load())
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	run()
	close(stop)
	<-done
	return most
}

func TestNoStepHoldsTheModelInMemory(t *testing.T) {
	src, size := largeFolder(t)
	dev := &counted{Device: cpu.New(cpu.Options{Threads: 2}), size: map[device.Buffer]int64{}}
	defer dev.Close()
	out := filepath.Join(t.TempDir(), "so8t")
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"replacing", func() error {
			_, err := Replace(t.Context(), dev, src, out, DefaultConfig(), [][]int32{{1, 5}}, nil)
			return err
		}},
		{"loading and saving", func() error {
			m, err := Load(out)
			if err != nil {
				return err
			}
			defer m.Close()
			turn(m, 0.3)
			if err := m.HeadsFromWords([4]int32{1, 2, 3, 4}); err != nil {
				return err
			}
			return m.SaveWeights(t.Context(), out)
		}},
		{"burning in", func() error { return BurnIn(t.Context(), out, filepath.Join(t.TempDir(), "plain"), "") }},
	} {
		var err error
		most := peak(dev, func() { err = step.run() })
		t.Logf("%s: %d of %d bytes", step.name, most, size)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if most > size/3 {
			t.Errorf("%s holds %d bytes of a model of %d", step.name, most, size)
		}
	}
	// The figures show nothing where a model in memory is not seen.
	var all *model.Params
	seen := peak(dev, func() {
		m := loaded(t, out)
		all = readAll(t, m.Base)
		time.Sleep(5 * time.Millisecond)
	})
	if runtime.KeepAlive(all); seen < 2*size/3 {
		t.Errorf("a whole model in memory reads as %d bytes of %d", seen, size)
	}
}
