package sandbox_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
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

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
)

// attack is a hostile upload and how it must end.
type attack struct {
	name  string
	wasm  []byte
	code  sandbox.Code
	says  string // part of the reason given
	check string // the check of Validate that must refuse it
}

// wasiCall makes metric_eval call a function of WASI first.
func wasiCall(name string, params []byte, args ...[]byte) *metric {
	return good().with(func(m *metric) {
		m.imports = []imported{{"wasi_snapshot_preview1", name, params, []byte{tI32}}}
		m.eval.body = cat(cat(args...), callf(0), drop, m.eval.body)
	})
}

// attacks are the ones that need a worker, or a module of some size, to be
// seen through; counts that nothing backs are in preflight_test.go.
func attacks(t testing.TB) []attack {
	eval := func(body ...[]byte) *metric {
		return good().with(func(m *metric) { m.eval.body = cat(cat(body...), m.eval.body) })
	}
	loop := func(body ...[]byte) []byte { return cat([]byte{0x03, 0x40}, cat(body...), []byte{0x0c, 0, 0x0b}) }
	grow := cat(i32c(1), []byte{0x40, 0, 0x1a})
	wholeFill := cat(i32c(0), i32c(0), []byte{0x3f, 0}, i32c(65536), []byte{0x6c}, fill)
	ten := strings.Repeat("n", 10<<20)
	manyFunctions := good()
	manyFunctions.more = slices.Repeat([]function{{}}, 200_000)
	table400M := good().with(func(m *metric) {
		m.tables = vec([]byte{0x70, 0, 1})
		m.eval.body = cat([]byte{0xd0, 0x70}, i32c(400_000_000), []byte{0xfc, 15, 0, 0x1a}, m.eval.body)
	})
	recursion := eval(callf(4)).with(func(m *metric) { m.more = []function{{body: callf(4)}} })
	random := good().with(func(m *metric) {
		m.globals = vec(cat([]byte{tF64, 1, 0x44}, make([]byte, 8), end))
		m.eval.body = cat([]byte{0x23, 0, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0, 0x24, 0},
			i32c(resultAt+49), []byte{0x23, 0, 0x39, 0, 0}, m.eval.body)
	})
	good10MB := good().with(func(m *metric) {
		m.pages = 200
		m.returns(results(value{ten, 1, []float64{1}}))
	})
	version2 := good().with(func(m *metric) { m.drop = "triality_metric_v1" }).bytes()
	resultVersion := good().with(func(m *metric) {
		b := results(value{"x", 1, []float64{1}})
		b[4] = 2
		m.returns(b)
	})
	dry, describe, pre := sandbox.CheckDryRun, sandbox.CheckDescribe, sandbox.CheckPreflight
	list := []attack{
		{"200,001 functions", manyFunctions.bytes(), sandbox.ErrRejected, "at most 200000", pre},
		{"a memory of 65,536 pages from the start", good().with(func(m *metric) { m.pages = 65536 }).bytes(), sandbox.ErrMemory, "starts at 4294967296 bytes", pre},
		{"a loop that grows memory", eval(loop(grow)).bytes(), sandbox.ErrFuel, "fuel", dry},
		{"a table grown by 400 million", table400M.bytes(), sandbox.ErrFuel, "fuel", dry},
		{"an endless loop in the start function", good().with(func(m *metric) { m.more, m.start = []function{{body: forever}}, 4 }).bytes(), sandbox.ErrFuel, "instantiate", describe},
		{"an endless loop in _initialize", good().with(initializer(forever)).bytes(), sandbox.ErrFuel, "_initialize", describe},
		{"an endless loop in metric_describe", good().with(func(m *metric) { m.describe.body = cat(forever, m.describe.body) }).bytes(), sandbox.ErrFuel, "metric_describe", describe},
		{"an endless loop in metric_alloc", good().with(func(m *metric) { m.alloc.body = cat(forever, m.alloc.body) }).bytes(), sandbox.ErrFuel, "metric_alloc", dry},
		{"an endless loop in metric_eval", eval(forever).bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"an exponential tree of calls without a loop", treeModule().bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"a thousand fills of the whole memory", eval(repeat(wholeFill, 1000)).with(func(m *metric) { m.pages = 200 }).bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"infinite recursion", recursion.bytes(), sandbox.ErrTrap, "stack overflow", dry},
		{"an unknown import", good().with(func(m *metric) { m.imports = []imported{{"wasi_snapshot_preview1", "path_open", nil, nil}} }).bytes(), sandbox.ErrRejected, "path_open", pre},
		{"an imported memory", module(section(2, vec(cat(name("env"), name("memory"), []byte{2, 0, 1})))), sandbox.ErrRejected, "not allowed", pre},
		{"a wrong signature", good().with(func(m *metric) { m.alloc.params = []byte{tI64} }).bytes(), sandbox.ErrRejected, "signature", pre},
		{"another version of the interface", version2, sandbox.ErrRejected, "triality_metric_v1", pre},
		{"results of another version", resultVersion.bytes(), sandbox.ErrInvalidResult, "version 2", dry},
		{"an allocation at zero", good().with(func(m *metric) { m.alloc.body = i32c(0) }).bytes(), sandbox.ErrInvalidResult, "returned 0", dry},
		{"an allocation that is not aligned", good().with(func(m *metric) { m.alloc.body = i32c(tableAt + 8) }).bytes(), sandbox.ErrInvalidResult, "multiple of 16", dry},
		{"an allocation out of bounds", good().with(func(m *metric) { m.alloc.body = i32c(-16) }).bytes(), sandbox.ErrInvalidResult, "its memory has", dry},
		{"results out of bounds", good().with(func(m *metric) { m.eval.body = pack(4*65536-8, 64) }).bytes(), sandbox.ErrInvalidResult, "its memory has", dry},
		{"results whose end overflows", good().with(func(m *metric) { m.eval.body = pack(0xfffffff0, 0x20) }).bytes(), sandbox.ErrInvalidResult, "its memory has", dry},
		{"results of 4 GB", good().with(func(m *metric) { m.eval.body = pack(0, 0xffffffff) }).bytes(), sandbox.ErrInvalidResult, "at most", dry},
		{"a result's name twice", good().returns(results(value{"x", 1, []float64{1}}, value{"x", 1, []float64{1}})).bytes(), sandbox.ErrInvalidResult, "twice", dry},
		{"a name with NUL", good().returns(results(value{"x\x00", 1, []float64{1}})).bytes(), sandbox.ErrInvalidResult, "control", dry},
		{"a name that is not UTF-8", good().returns(results(value{"x\xff", 1, []float64{1}})).bytes(), sandbox.ErrInvalidResult, "UTF-8", dry},
		{"a result's name of 10 MB", good10MB.bytes(), sandbox.ErrInvalidResult, "10485760 bytes, at most 128", dry},
		{"an export's name of 10 MB", module(section(5, vec([]byte{0, 1})), section(7, vec(cat(name(ten), []byte{2, 0})))), sandbox.ErrRejected, "at most 100000", pre},
		{"a debug name of 10 MB", module(section(0, cat(name("name"), []byte{0}, uleb(uint64(len(name(ten)))), name(ten)))), sandbox.ErrRejected, "at most 100000", pre},
		{"NaN", good().returns(results(value{"x", 1, []float64{math.NaN()}})).bytes(), sandbox.ErrInvalidResult, "NaN", dry},
		{"infinity", good().returns(results(value{"x", 1, []float64{math.Inf(-1)}})).bytes(), sandbox.ErrInvalidResult, "-Inf", dry},
		{"a flood of log lines", good().with(func(m *metric) { m.eval.body = cat(loop(wasiLog(m)), unreachable) }).bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"proc_exit while evaluating", good().with(func(m *metric) {
			m.imports = []imported{{"wasi_snapshot_preview1", "proc_exit", []byte{tI32}, nil}}
			m.eval.body = cat(i32c(0), callf(0), m.eval.body)
		}).bytes(), sandbox.ErrTrap, "proc_exit(0)", dry},
		{"state carried from call to call", random.bytes(), "", "its second call", sandbox.CheckStateless},
		{"a zip bomb", zipBomb(t), sandbox.ErrRejected, "not a WebAssembly module", pre},
		{"an upload cut off midway", good().bytes()[:300], sandbox.ErrRejected, "section", pre},
		{"more than 32 MiB", cat(module(), make([]byte, 32<<20)), sandbox.ErrRejected, "at most 33554432", pre},
	}
	return list
}

// zipBomb is a gigabyte of zeros in a megabyte.
func zipBomb(t testing.TB) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("metric.wasm")
	if err == nil {
		_, err = io.CopyN(f, zeros{}, 64<<20)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

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
	for _, a := range attacks(t) {
		t.Run(a.name, func(t *testing.T) {
			refusedBy(t, h, a)
			if a.code == "" {
				return // only a second call shows it
			}
			_, _, err := h.Evaluate(context.Background(), a.wasm, table(3), nil)
			if !errors.Is(err, a.code) || !strings.Contains(err.Error(), a.says) {
				t.Errorf("%v, want %v saying %q", err, a.code, a.says)
			}
		})
	}
	leftNothing(t, before, h)
}

func refusedBy(t *testing.T, h *sandbox.Host, a attack) {
	t.Helper()
	rep, err := h.Validate(context.Background(), a.wasm)
	if err != nil {
		t.Errorf("%s: %v", a.name, err)
		return
	}
	last := rep.Checks[len(rep.Checks)-1]
	if rep.OK || last.Name != a.check || last.OK || !strings.Contains(last.Detail, a.says) {
		t.Errorf("%s: the last check is %+v, want %s to fail saying %q", a.name, last, a.check, a.says)
	}
}

// The host works on as 32 hostile uploads come at once: what else it does is
// never held up, and when they are gone, so is all they took.
func TestHostileUploadsAtOnceDoNotHoldUpTheHost(t *testing.T) {
	list := attacks(t)
	before, memory, files := runtime.NumGoroutine(), residentBytes(t), openFiles(t)
	h := guarded(t)
	// Other programs on a busy machine can hold up this one, too; then it is
	// tried again. What the uploads hold up, they hold up every time.
	const most, rounds = 50 * time.Millisecond, 3
	for round := range rounds {
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
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() { refusedBy(t, h, list[(i+round*32)%len(list)]) })
		}
		all.Wait()
		close(stop)
		<-stopped
		took := time.Duration(worst.Load())
		t.Logf("round %d: the slowest of the other requests took %v", round, took)
		if took < most {
			break
		}
		if round == rounds-1 {
			t.Errorf("other requests were held up for %v, at most %v", took, most)
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
		m := good()
		m.more = slices.Repeat([]function{{}}, 200_000-4)
		start := time.Now()
		_, _, err := h.Evaluate(context.Background(), m.bytes(), table(1), nil)
		// They may be too much for the worker, but then that is said.
		if err != nil && !errors.Is(err, sandbox.ErrTimeout) && !errors.Is(err, sandbox.ErrMemory) {
			t.Error(err)
		}
		t.Logf("%v after %v", err, time.Since(start))
	})
	t.Run("an hour's sleep returns at once", func(t *testing.T) {
		m := wasiCall("poll_oneoff", repeat([]byte{tI32}, 4), i32c(2048), i32c(4096), i32c(1), i32c(8192))
		subscription := make([]byte, 48) // a relative timeout of the realtime clock
		binary.LittleEndian.PutUint64(subscription[24:], 3600e9)
		m.data[2048] = subscription
		start := time.Now()
		if _, err := evaluate(t, h, m); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
	// The value of the result is what the clock or the random source wrote.
	for name, m := range map[string]*metric{
		"the clock is the same in every instance":         wasiCall("clock_time_get", []byte{tI32, tI64, tI32}, i32c(0), i64c(1), i32c(resultAt+49)),
		"the random source is the same in every instance": wasiCall("random_get", []byte{tI32, tI32}, i32c(resultAt+49), i32c(6)),
	} {
		t.Run(name, func(t *testing.T) {
			var first uint64
			h := h
			for i := range 3 {
				if i == 2 {
					h = guarded(t) // a new worker
				}
				got, _, err := h.Evaluate(context.Background(), m.bytes(), table(3), nil)
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
	t.Run("an instance knows nothing of those before it in its worker", func(t *testing.T) {
		counting := good()
		counting.globals = vec(cat([]byte{tF64, 1, 0x44}, make([]byte, 8), end))
		counting.eval.body = cat([]byte{0x23, 0, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0, 0x24, 0},
			i32c(resultAt+49), []byte{0x23, 0, 0x39, 0, 0}, counting.eval.body)
		for range 3 {
			got, _, err := h.Evaluate(context.Background(), counting.bytes(), table(3), nil)
			if err != nil || got[0].Values[0] != 1 {
				t.Errorf("%v %v, want the first call's 1", got, err)
			}
		}
	})
}
