package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == stuckArg {
		fmt.Print("\x07\x00\x00\x00pcompile") // a frame: it begins to compile
		time.Sleep(time.Hour)
	}
	if scenario := os.Getenv(confined); scenario != "" {
		os.Exit(confinedMain(scenario))
	}
	if os.Getenv(abandon) != "" {
		// The host of the test below: it never finishes.
		h, err := sandbox.NewHost(sandbox.Options{Timeout: time.Minute})
		if err == nil {
			_, _, err = h.Evaluate(context.Background(), wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }).Bytes(), table(1), nil)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// stuckArg makes this program a worker that compiles for ever.
const stuckArg = "stuck-metric-worker"

const abandon = "TRIALITY_TEST_ABANDON_WORKER"

const deadline = time.Second

func host(t testing.TB, change func(*sandbox.Options)) *sandbox.Host {
	t.Helper()
	// Fuel enough never to run out before the deadline.
	o := sandbox.Options{Timeout: deadline, CompileTimeout: 20 * time.Second, Fuel: math.MaxInt64, MemoryBytes: 16 << 20, MaxLogBytes: 1 << 10}
	if change != nil {
		change(&o)
	}
	h, err := sandbox.NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func table(rows int) metricabi.Table {
	return metricabi.Table{Rows: rows, Columns: []metricabi.Column{
		metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", make([]int32, rows))}}
}

func TestAModuleThatDoesEverythingRightIsEvaluated(t *testing.T) {
	results, usage, err := host(t, nil).Evaluate(context.Background(), wasmtest.Good().Bytes(), table(3), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 1 || results[0].Name != "x" || results[0].Values[0] != 2 {
		t.Errorf("results %+v, want x = 2", results)
	}
	if usage.InputBytes == 0 || usage.MemoryBytes != 4*65536 || usage.WallSeconds <= 0 {
		t.Errorf("usage %+v", usage)
	}
}

func TestAModuleThatMisbehavesIsStoppedAndTheReasonNamed(t *testing.T) {
	le64 := func(m *wasmtest.Metric, at, n uint32) *wasmtest.Metric { m.Eval.Body = wasmtest.Pack(at, n); return m }
	cases := []struct {
		name   string
		module *wasmtest.Metric
		code   sandbox.Code
		says   string
	}{
		{"an endless loop in metric_eval", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }), sandbox.ErrTimeout, "metric_eval"},
		{"an endless loop in metric_alloc", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Alloc.Body = wasmtest.Cat(wasmtest.Forever, m.Alloc.Body) }), sandbox.ErrTimeout, "metric_alloc"},
		{"an endless loop in metric_describe", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Describe.Body = wasmtest.Cat(wasmtest.Forever, m.Describe.Body) }), sandbox.ErrTimeout, "metric_describe"},
		{"an endless loop in _initialize", wasmtest.Good().With(wasmtest.Initializer(wasmtest.Forever)), sandbox.ErrTimeout, "_initialize"},
		{"an endless loop in the start function", wasmtest.Good().With(func(m *wasmtest.Metric) { m.More, m.Start = []wasmtest.Function{{Body: wasmtest.Forever}}, 4 }), sandbox.ErrTimeout, "instantiate"},
		{"an exponential tree of calls without a loop", wasmtest.TreeModule(), sandbox.ErrTimeout, "metric_eval"},
		{"a loop that grows memory for ever", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Eval.Body = wasmtest.Cat([]byte{0x03, 0x40}, wasmtest.I32c(1), []byte{0x40, 0, 0x1a, 0x0c, 0, 0x0b}, m.Eval.Body)
		}), sandbox.ErrTimeout, "metric_eval"},
		{"growing memory until it is refused, then giving up", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Eval.Body = wasmtest.Cat([]byte{0x03, 0x40}, wasmtest.I32c(1), []byte{0x40, 0}, wasmtest.I32c(-1), []byte{0x47, 0x0d, 0, 0x0b}, wasmtest.Unreachable)
		}), sandbox.ErrMemory, "more than its 16777216 bytes"},
		{"a trap", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Unreachable }), sandbox.ErrTrap, "unreachable"},
		{"proc_exit in metric_eval", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Imports = []wasmtest.Imported{{From: "wasi_snapshot_preview1", Name: "proc_exit", Params: []byte{wasmtest.TI32}, Results: nil}}
			m.Eval.Body = wasmtest.Cat(wasmtest.I32c(0), wasmtest.Callf(0), m.Eval.Body)
		}), sandbox.ErrTrap, "proc_exit(0)"},
		{"metric_alloc that returns 0", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Alloc.Body = wasmtest.I32c(0) }), sandbox.ErrInvalidResult, "metric_alloc: returned 0"},
		{"metric_alloc that returns an odd address", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Alloc.Body = wasmtest.I32c(65537) }), sandbox.ErrInvalidResult, "multiple of 16"},
		{"metric_alloc that returns the end of memory", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Alloc.Body = wasmtest.I32c(4*65536 - 16) }), sandbox.ErrInvalidResult, "its memory has"},
		{"metric_alloc that returns an address above memory", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Alloc.Body = wasmtest.I32c(-16) }), sandbox.ErrInvalidResult, "its memory has"},
		{"results outside memory", le64(wasmtest.Good(), 4*65536-8, 16), sandbox.ErrInvalidResult, "its memory has"},
		{"results whose end overflows 32 bits", le64(wasmtest.Good(), 0xfffffff0, 0x20), sandbox.ErrInvalidResult, "its memory has"},
		{"results longer than allowed", le64(wasmtest.Good(), 0, 0xffffffff), sandbox.ErrInvalidResult, "at most"},
		{"results of no bytes", le64(wasmtest.Good(), 0, 0), sandbox.ErrInvalidResult, "header"},
		{"a description longer than allowed", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Describe.Body = wasmtest.Pack(0, 1<<20) }), sandbox.ErrInvalidResult, "at most 65536"},
		{"a description that is no JSON", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Describe.Body = wasmtest.Pack(0, 8) }), sandbox.ErrInvalidResult, "description"},
		{"a result that is NaN", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 1, V: []float64{math.NaN()}})), sandbox.ErrInvalidResult, "NaN"},
		{"a result that is infinite", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 1, V: []float64{math.Inf(1)}})), sandbox.ErrInvalidResult, "Inf"},
		{"two results of one name", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 1, V: []float64{1}}, wasmtest.Value{Name: "x", Kind: 1, V: []float64{1}})), sandbox.ErrInvalidResult, "twice"},
		{"a name that is not UTF-8", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x\xff", Kind: 1, V: []float64{1}})), sandbox.ErrInvalidResult, "not UTF-8"},
		{"a name with NUL", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x\x00", Kind: 1, V: []float64{1}})), sandbox.ErrInvalidResult, "control"},
		{"a result the description does not name", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "y", Kind: 1, V: []float64{1}})), sandbox.ErrInvalidResult, "not among the outputs"},
		{"a result of another kind than described", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 2, V: []float64{1}})), sandbox.ErrInvalidResult, "the description says scalar"},
		{"a column shorter than the table", wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "c", Kind: 3, V: []float64{1}})), sandbox.ErrInvalidResult, "3 rows"},
		{"an error text of its own", wasmtest.Good().Returns([]byte("TMR1\x01\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00no A")), sandbox.ErrMetric, "no A"},
		{"a memory that starts above the limit", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Pages = 1000 }), sandbox.ErrMemory, "at most 16777216"},
		{"a body that does not validate", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = nil }), sandbox.ErrRejected, "compile"},
		{"an export too few", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Drop = "metric_eval" }), sandbox.ErrRejected, `no function "metric_eval"`},
	}
	h := host(t, nil)
	before := runtime.NumGoroutine()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, usage, err := h.Evaluate(context.Background(), c.module.Bytes(), table(3), nil)
			if err == nil {
				t.Fatal("it was evaluated")
			}
			if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v saying %q", err, c.code, c.says)
			}
			if usage.WallSeconds <= 0 {
				t.Error("no wall time was reported")
			}
		})
	}
	leftNothing(t, before, h)
}

func TestInfiniteRecursionOverflowsTheModulesStackNotTheWorkers(t *testing.T) {
	m := wasmtest.Good()
	m.More = []wasmtest.Function{{Body: wasmtest.Callf(4)}}
	m.Eval.Body = wasmtest.Cat(wasmtest.Callf(4), m.Eval.Body)
	h := host(t, func(o *sandbox.Options) { o.Timeout, o.WorkerBytes = time.Minute, stackRoom })
	_, _, err := h.Evaluate(context.Background(), m.Bytes(), table(1), nil)
	if !errors.Is(err, sandbox.ErrTrap) || !strings.Contains(err.Error(), "stack overflow") {
		t.Errorf("%v, want a stack overflow", err)
	}
	// With less address space than the stack's ceiling it is the memory that
	// runs out, and that is told apart.
	h = host(t, func(o *sandbox.Options) { o.Timeout, o.WorkerBytes = 20*time.Second, 128<<20 })
	if _, _, err := h.Evaluate(context.Background(), m.Bytes(), table(1), nil); !errors.Is(err, sandbox.ErrMemory) && runtime.GOOS == "linux" {
		t.Errorf("with 128 MiB: %v, want it out of memory", err)
	}
}

func TestValidateAcceptsAGoodModuleAndRefusesOthersByCheck(t *testing.T) {
	// The result block's x is the value of a global that each call raises.
	counting := wasmtest.Good()
	counting.Globals = wasmtest.Vec(wasmtest.Cat([]byte{wasmtest.TF64, 1, 0x44}, make([]byte, 8), wasmtest.End))
	one := []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}
	counting.Eval.Body = wasmtest.Cat([]byte{0x23, 0, 0x44}, one, []byte{0xa0, 0x24, 0},
		wasmtest.I32c(wasmtest.ResultAt+49), []byte{0x23, 0, 0x39, 0, 0}, counting.Eval.Body)

	trap := wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Unreachable })
	slow := wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) })
	shapeless := wasmtest.Good().With(func(m *wasmtest.Metric) { m.Drop = "memory" })
	mute := wasmtest.Good().With(func(m *wasmtest.Metric) { m.Describe.Body = wasmtest.Pack(0, 0) })
	cases := []struct {
		name   string
		module *wasmtest.Metric
		fails  string // the check that fails; empty: none
	}{
		{"a good one", wasmtest.Good(), ""},
		{"one that counts its calls", counting, sandbox.CheckStateless},
		{"one that traps", trap, sandbox.CheckDryRun},
		{"one that never ends", slow, sandbox.CheckDryRun},
		{"one without memory", shapeless, sandbox.CheckPreflight},
		{"one without a description", mute, sandbox.CheckDescribe},
	}
	h := host(t, func(o *sandbox.Options) { o.MaxWorkers = 1 })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rep, err := h.Validate(context.Background(), c.module.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if rep.OK != (c.fails == "") {
				t.Errorf("ok is %v: %+v", rep.OK, rep.Checks)
			}
			last := rep.Checks[len(rep.Checks)-1]
			if c.fails == "" && (len(rep.Checks) != 6 || !last.OK) || c.fails != "" && (last.Name != c.fails || last.OK) {
				t.Errorf("checks %+v, want the failing one to be %q", rep.Checks, c.fails)
			}
			if _, err := json.Marshal(rep); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatDoesNotSuitTheMetricIsSaidBeforeItRuns(t *testing.T) {
	h := host(t, func(o *sandbox.Options) { o.MaxInputBytes = 1 << 10 })
	for name, c := range map[string]struct {
		table  metricabi.Table
		params map[string]any
		says   string
	}{
		"a missing column":     {metricabi.Table{Rows: 1}, nil, "label column"},
		"an unknown parameter": {table(1), map[string]any{"bins": 3}, `no parameter "bins"`},
		"a table too large":    {table(1000), nil, "at most 1024"},
		"a malformed table":    {metricabi.Table{Rows: 2, Columns: table(1).Columns}, nil, "1 values for 2 rows"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := h.Evaluate(context.Background(), wasmtest.Good().Bytes(), c.table, c.params)
			if !errors.Is(err, sandbox.ErrInput) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want an input error saying %q", err, c.says)
			}
		})
	}
}

func TestACallerThatGivesUpLeavesNothingBehind(t *testing.T) {
	h := host(t, func(o *sandbox.Options) { o.Timeout, o.MaxWorkers = time.Minute, 1 })
	before := runtime.NumGoroutine()
	slow := wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }).Bytes()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := h.Evaluate(ctx, slow, table(1), nil); !errors.Is(err, sandbox.ErrCanceled) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want canceled by the caller's deadline", err)
	}
	leftNothing(t, before)
	// Its slot is free again.
	if _, err := h.Describe(context.Background(), wasmtest.Good().Bytes()); err != nil {
		t.Error(err)
	}
	// And a full house is waited for no longer than the caller wants.
	busy, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, _, err := h.Evaluate(busy, slow, table(1), nil)
		done <- err
	}()
	for childOf(os.Getpid()) == "" {
		time.Sleep(5 * time.Millisecond) // until the only place is taken
	}
	short, cancelShort := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancelShort()
	if _, _, err := h.Evaluate(short, wasmtest.Good().Bytes(), table(1), nil); !errors.Is(err, sandbox.ErrCanceled) {
		t.Errorf("with every worker busy: %v, want canceled", err)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled in the chain", err)
	}
	leftNothing(t, before, h)
}

func TestAProgramThatIsNoWorkerIsReported(t *testing.T) {
	for name, exe := range map[string]string{"one that ends at once": "/bin/false", "one that is not there": "/nonexistent/triality"} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("the programs named here are Unix ones")
			}
			h := host(t, func(o *sandbox.Options) { o.Executable = exe })
			if _, err := h.Describe(context.Background(), wasmtest.Good().Bytes()); !errors.Is(err, sandbox.ErrWorker) {
				t.Errorf("%v, want a worker error", err)
			}
			if rep, err := h.Validate(context.Background(), wasmtest.Good().Bytes()); !errors.Is(err, sandbox.ErrWorker) {
				t.Errorf("Validate blames the module: %+v %v", rep, err)
			}
		})
	}
}

// leftNothing closes the hosts, waits briefly for goroutines to end and, where
// there is /proc, looks for children of this process.
func leftNothing(t *testing.T, before int, hosts ...*sandbox.Host) {
	t.Helper()
	for _, h := range hosts {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	for wait := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(wait) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, there were %d:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
	if pid := childOf(os.Getpid()); pid != "" {
		t.Errorf("process %s is left", pid)
	}
}

// childOf returns a process whose parent is pid, or "".
func childOf(pid int) string {
	if c := childrenOf(pid); len(c) > 0 {
		return c[0]
	}
	return ""
}

// childrenOf returns the processes whose parent is pid.
func childrenOf(pid int) (out []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, p := range stats {
		b, err := os.ReadFile(p)
		if err != nil {
			continue // gone meanwhile
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[0] != "Z" && f[1] == fmt.Sprint(pid) {
			out = append(out, filepath.Base(filepath.Dir(p)))
		}
	}
	return out
}

func TestAWorkerEndsWhenItsHostIsKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are found through /proc")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), abandon+"=1")
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	worker := ""
	for wait := time.Now().Add(5 * time.Second); worker == "" && time.Now().Before(wait); time.Sleep(10 * time.Millisecond) {
		worker = childOf(parent.Process.Pid)
	}
	time.Sleep(200 * time.Millisecond) // into the endless loop
	if err := parent.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = parent.Wait() // killed, as asked
	if worker == "" {
		t.Fatal("the host started no worker")
	}
	for wait := time.Now().Add(3 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile("/proc/" + worker + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			return
		}
		if time.Now().After(wait) {
			t.Fatalf("worker %s outlived its host", worker)
		}
	}
}

func TestACompilationThatTakesTooLongIsStopped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for a compiler that never ends is started by a Unix script")
	}
	// However fast the machine, it does not compile within the time allowed.
	script := filepath.Join(t.TempDir(), "stuck")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec '%s' %s\n", os.Args[0], stuckArg), 0o700); err != nil {
		t.Fatal(err)
	}
	// However slow it is, it comes to compiling at some limit.
	for limit := 100 * time.Millisecond; ; limit *= 2 {
		h := host(t, func(o *sandbox.Options) { o.CompileTimeout, o.Executable = limit, script })
		_, err := h.Describe(context.Background(), wasmtest.Good().Bytes())
		if !errors.Is(err, sandbox.ErrTimeout) || !strings.Contains(err.Error(), "killed after its deadline of "+limit.String()) {
			t.Fatalf("%v, want a timeout", err)
		}
		if strings.Contains(err.Error(), "compile: killed") {
			return
		}
	}
}

func TestManyCallsAtOnceShareTheWorkersAllowed(t *testing.T) {
	h := host(t, func(o *sandbox.Options) { o.MaxWorkers, o.Timeout = 2, 20*time.Second })
	wasm := wasmtest.Good().Bytes()
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if r, _, err := h.Evaluate(context.Background(), wasm, table(100), nil); err != nil || r[0].Values[0] != 2 {
				t.Errorf("%v %v", r, err)
			}
		})
	}
	all.Wait()
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	for name, o := range map[string]sandbox.Options{
		"a negative timeout":            {Timeout: -1},
		"less memory than a page":       {MemoryBytes: 100},
		"more memory than 4 GiB":        {MemoryBytes: 1 << 33},
		"a worker too small to compile": {WorkerBytes: 1 << 20},
		"a log larger than a reply":     {MaxLogBytes: 1 << 20},
		"a negative number of workers":  {MaxWorkers: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := sandbox.NewHost(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func BenchmarkEvaluate(b *testing.B) {
	h := host(b, func(o *sandbox.Options) { o.Timeout = time.Minute })
	wasm := wasmtest.Good().Bytes()
	for b.Loop() {
		if _, _, err := h.Evaluate(context.Background(), wasm, table(1000), nil); err != nil {
			b.Fatal(err)
		}
	}
}
