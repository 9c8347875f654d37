package sandbox_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"triality/runtime/holdup"
	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// guarded is a host as an upload meets it, with little fuel so that the tests
// are short.
func guarded(t testing.TB) *sandbox.Host {
	return host(t, func(o *sandbox.Options) {
		o.Timeout, o.Fuel, o.MaxWorkers = 20*time.Second, 20_000_000, 2
		o.WorkerBytes = stackRoom
	})
}

func TestEveryAttackIsRefusedByItsReason(t *testing.T) {
	before := runtime.NumGoroutine()
	h := guarded(t)
	for _, a := range wasmtest.Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			refusedBy(t, h, a)
			if a.Code == "" {
				return // only a second call shows it
			}
			_, _, err := h.Evaluate(context.Background(), a.Wasm, table(3), nil)
			if !errors.Is(err, a.Code) || !strings.Contains(err.Error(), a.Says) {
				t.Errorf("%v, want %v saying %q", err, a.Code, a.Says)
			}
		})
	}
	leftNothing(t, before, h)
}

func refusedBy(t *testing.T, h *sandbox.Host, a wasmtest.Attack) {
	t.Helper()
	rep, err := h.Validate(context.Background(), a.Wasm)
	if err != nil {
		t.Errorf("%s: %v", a.Name, err)
		return
	}
	last := rep.Checks[len(rep.Checks)-1]
	if rep.OK || last.Name != a.Check || last.OK || !strings.Contains(last.Detail, a.Says) {
		t.Errorf("%s: the last check is %+v, want %s to fail saying %q", a.Name, last, a.Check, a.Says)
	}
}

// The host works on as 32 hostile uploads come at once: what else it does is
// never held up, and when they are gone, so is all they took.
func TestHostileUploadsAtOnceDoNotHoldUpTheHost(t *testing.T) {
	list := wasmtest.Attacks()
	before, memory, files := runtime.NumGoroutine(), residentBytes(t), openFiles(t)
	h := guarded(t)
	// What else the machine does holds up this program and an idle one alike; and what the uploads hold up, they
	// hold up every time.
	const most, rounds = 50 * time.Millisecond, 3
	for round := range rounds {
		var took time.Duration
		machine := holdup.During(t, func() {
			took = slowest(t, func() {
				var all sync.WaitGroup
				for i := range 32 {
					all.Go(func() { refusedBy(t, h, list[(i+round*32)%len(list)]) })
				}
				all.Wait()
			})
		})
		t.Logf("round %d: the slowest of the other requests took %v, an idle program's %v", round, took, machine)
		if took < most+2*machine {
			break
		}
		if round == rounds-1 {
			t.Errorf("other requests were held up for %v, at most %v", took, most+2*machine)
		}
	}
	leftNothing(t, before, h)
	if now := openFiles(t); now > files {
		t.Errorf("%d files are open, there were %d", now, files)
	}
	debug.FreeOSMemory()
	if now := residentBytes(t); now > memory+64<<20 {
		t.Errorf("%d MiB of memory, there were %d", now>>20, memory>>20)
	}
}

// slowest is the longest that other work took while this one went on.
func slowest(t *testing.T, work func()) time.Duration {
	var worst atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			start := time.Now()
			request(t)
			worst.Store(max(worst.Load(), int64(time.Since(start))))
		}
	}()
	work()
	close(stop)
	<-stopped
	return time.Duration(worst.Load())
}

// request is the other work: it allocates, encodes, and takes its turn on
// another goroutine.
func request(t *testing.T) {
	done := make(chan error)
	go func() {
		_, err := metricabi.Encode(table(1000))
		done <- err
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func residentBytes(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if runtime.GOOS != "linux" {
		t.Skip("memory and files are counted through /proc")
	}
	if err != nil {
		t.Fatal(err)
	}
	return numberAt(t, b, 1) * int64(os.Getpagesize())
}

func numberAt(t *testing.T, b []byte, i int) (n int64) {
	t.Helper()
	for _, c := range strings.Fields(string(b))[i] {
		n = 10*n + int64(c-'0')
	}
	return n
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

func TestWhatIsNoAttackIsHarmless(t *testing.T) {
	h := guarded(t)
	t.Run("200,000 functions", func(t *testing.T) {
		m := wasmtest.Good()
		m.More = slices.Repeat([]wasmtest.Function{{}}, 200_000-4)
		start := time.Now()
		_, _, err := h.Evaluate(context.Background(), m.Bytes(), table(1), nil)
		// They may be too much for the worker, but then that is said.
		if err != nil && !errors.Is(err, sandbox.ErrTimeout) && !errors.Is(err, sandbox.ErrMemory) {
			t.Error(err)
		}
		t.Logf("%v after %v", err, time.Since(start))
	})
	t.Run("an hour's sleep returns at once", func(t *testing.T) {
		m := wasmtest.WasiCall("poll_oneoff", wasmtest.Repeat([]byte{wasmtest.TI32}, 4), wasmtest.I32c(2048), wasmtest.I32c(4096), wasmtest.I32c(1), wasmtest.I32c(8192))
		subscription := make([]byte, 48) // a relative timeout of the realtime clock
		binary.LittleEndian.PutUint64(subscription[24:], 3600e9)
		m.Data[2048] = subscription
		start := time.Now()
		if _, err := evaluate(t, h, m); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
	// The value of the result is what the clock or the random source wrote.
	for name, m := range map[string]*wasmtest.Metric{
		"the clock is the same in every instance":         wasmtest.WasiCall("clock_time_get", []byte{wasmtest.TI32, wasmtest.TI64, wasmtest.TI32}, wasmtest.I32c(0), wasmtest.I64c(1), wasmtest.I32c(wasmtest.ResultAt+49)),
		"the random source is the same in every instance": wasmtest.WasiCall("random_get", []byte{wasmtest.TI32, wasmtest.TI32}, wasmtest.I32c(wasmtest.ResultAt+49), wasmtest.I32c(6)),
	} {
		t.Run(name, func(t *testing.T) {
			var first uint64
			h := h
			for i := range 3 {
				if i == 2 {
					h = guarded(t) // a new worker
				}
				got, _, err := h.Evaluate(context.Background(), m.Bytes(), table(3), nil)
				if err != nil {
					t.Fatal(err)
				}
				v := math.Float64bits(got[0].Values[0])
				if v == math.Float64bits(2) {
					t.Error("nothing was written")
				}
				if i > 0 && v != first {
					t.Errorf("%x, before it was %x", v, first)
				}
				first = v
			}
		})
	}
	t.Run("memory that an instance grew and wrote to is zero in the next", func(t *testing.T) {
		h := host(t, func(o *sandbox.Options) { o.MemoryBytes = 64 << 20 })
		for _, at := range []int32{200_000, 5 << 16, 20 << 20} { // its own; grown a little; by huge pages
			m := wasmtest.Good()
			load := wasmtest.Cat(wasmtest.I32c(at), []byte{0x2b, 0, 0})
			one := []byte{0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0} // f64.const 1, f64.add
			m.Eval.Body = wasmtest.Cat(wasmtest.I32c(400), []byte{0x40, 0}, wasmtest.Drop,
				wasmtest.I32c(at), load, one, []byte{0x39, 0, 0},
				wasmtest.I32c(wasmtest.ResultAt+49), load, []byte{0x39, 0, 0}, m.Eval.Body)
			for range 3 {
				got, _, err := h.Evaluate(context.Background(), m.Bytes(), table(3), nil)
				if err != nil || got[0].Values[0] != 1 {
					t.Errorf("at %d: %v %v, want the 1 of a memory that was zero", at, got, err)
				}
			}
		}
	})
	t.Run("an instance knows nothing of those before it in its worker", func(t *testing.T) {
		counting := wasmtest.Good()
		counting.Globals = wasmtest.Vec(wasmtest.Cat([]byte{wasmtest.TF64, 1, 0x44}, make([]byte, 8), wasmtest.End))
		counting.Eval.Body = wasmtest.Cat([]byte{0x23, 0, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0, 0x24, 0},
			wasmtest.I32c(wasmtest.ResultAt+49), []byte{0x23, 0, 0x39, 0, 0}, counting.Eval.Body)
		for range 3 {
			got, _, err := h.Evaluate(context.Background(), counting.Bytes(), table(3), nil)
			if err != nil || got[0].Values[0] != 1 {
				t.Errorf("%v %v, want the first call's 1", got, err)
			}
		}
	})
}
