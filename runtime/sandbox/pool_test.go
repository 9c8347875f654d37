package sandbox_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// workers returns the processes whose parent this one is, where there is /proc.
func workers(t *testing.T) []string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes are found through /proc")
	}
	return childrenOf(os.Getpid())
}

func evaluate(t *testing.T, h *sandbox.Host, m *wasmtest.Metric) (sandbox.Usage, error) {
	t.Helper()
	_, u, err := h.Evaluate(context.Background(), m.Bytes(), table(3), nil)
	return u, err
}

func TestAWorkerServesItsModuleAgain(t *testing.T) {
	before := runtime.NumGoroutine()
	h := host(t, nil)
	first, err := evaluate(t, h, wasmtest.Good())
	if err != nil {
		t.Fatal(err)
	}
	pid := workers(t)
	for range 5 {
		u, err := evaluate(t, h, wasmtest.Good())
		if err != nil {
			t.Fatal(err)
		}
		if u.CompileSeconds != 0 || first.Fuel != u.Fuel {
			t.Errorf("a warm call: %+v, the first was %+v", u, first)
		}
	}
	if now := workers(t); len(pid) != 1 || len(now) != 1 || pid[0] != now[0] {
		t.Errorf("workers %v, then %v", pid, now)
	}
	// Another module gets a worker of its own.
	other := wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 1, V: []float64{3}}))
	if _, err := evaluate(t, h, other); err != nil {
		t.Fatal(err)
	}
	if now := workers(t); len(now) != 2 {
		t.Errorf("workers %v for two modules", now)
	}
	leftNothing(t, before, h)
}

func TestAWorkerThatFailedIsNotUsedAgain(t *testing.T) {
	for name, m := range map[string]*wasmtest.Metric{
		"trapped":            wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Unreachable }),
		"returned nonsense":  wasmtest.Good().Returns([]byte("nonsense")),
		"returned an error":  wasmtest.Good().Returns([]byte("TMR1\x01\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00no A")),
		"described nonsense": wasmtest.Good().With(func(m *wasmtest.Metric) { m.Describe.Body = wasmtest.Pack(0, 8) }),
		"never ended":        wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }),
	} {
		t.Run(name, func(t *testing.T) {
			h := host(t, nil)
			if _, err := evaluate(t, h, m); err == nil {
				t.Fatal("it was evaluated")
			}
			if left := workers(t); len(left) > 0 {
				t.Errorf("workers %v are left", left)
			}
		})
	}
}

func TestIdleWorkersAreBoundedAndExpire(t *testing.T) {
	h := host(t, func(o *sandbox.Options) { o.MaxIdle, o.IdleTime = 2, 300*time.Millisecond })
	for i := range 4 {
		if _, err := evaluate(t, h, wasmtest.Good().Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 1, V: []float64{float64(i)}}))); err != nil {
			t.Fatal(err)
		}
		if n := len(workers(t)); n > 2 {
			t.Errorf("%d workers, at most two may idle", n)
		}
	}
	for wait := time.Now().Add(5 * time.Second); len(workers(t)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(wait) {
			t.Fatalf("workers %v did not expire", workers(t))
		}
	}
	// Below zero, none waits at all.
	h = host(t, func(o *sandbox.Options) { o.IdleTime = -1 })
	if _, err := evaluate(t, h, wasmtest.Good()); err != nil || len(workers(t)) > 0 {
		t.Errorf("%v, workers %v", err, workers(t))
	}
}

func TestAnIdleWorkerThatDiedIsReplaced(t *testing.T) {
	h := host(t, nil)
	if _, err := evaluate(t, h, wasmtest.Good()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range workers(t) {
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		p, err := os.FindProcess(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := evaluate(t, h, wasmtest.Good()); err != nil {
		t.Error(err)
	}
}

func TestAClosedHostEndsItsCallsAndTakesNoMore(t *testing.T) {
	before := runtime.NumGoroutine()
	h := host(t, func(o *sandbox.Options) { o.Timeout = time.Minute })
	if _, err := evaluate(t, h, wasmtest.Good()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := evaluate(t, h, wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }))
		done <- err
	}()
	time.Sleep(200 * time.Millisecond) // into the endless loop
	start := time.Now()
	h.Close()
	if err := <-done; !errors.Is(err, sandbox.ErrCanceled) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the call under way: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	if _, err := evaluate(t, h, wasmtest.Good()); !errors.Is(err, sandbox.ErrCanceled) {
		t.Errorf("a later call: %v", err)
	}
	leftNothing(t, before, h)
}

func TestTheProcessorLimitEndsAWorkerThatItsHostDoesNot(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("the test reads how a Unix process ended")
	}
	h := host(t, func(o *sandbox.Options) { o.Timeout, o.CPUTime = time.Minute, time.Second })
	start := time.Now()
	_, err := evaluate(t, h, wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }))
	if !errors.Is(err, sandbox.ErrTimeout) || !strings.Contains(err.Error(), "metric_eval: the worker ran into its processor limit of 1 s") {
		t.Errorf("%v, want the processor limit", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestADescriptionIsAskedForOnce(t *testing.T) {
	// A description that takes a million instructions.
	m := wasmtest.Good()
	m.Describe.Locals = wasmtest.Vec([]byte{3, wasmtest.TI32})
	m.Describe.Body = wasmtest.Cat(loopOf(1_000_000, nil).Body, m.Describe.Body)
	h := host(t, func(o *sandbox.Options) { o.Timeout = 20 * time.Second })
	d, err := h.Describe(context.Background(), m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	d.Outputs[0].Name = "changed by the caller"
	u, err := evaluate(t, h, m)
	if err != nil {
		t.Fatal(err)
	}
	if u.Fuel > 100 {
		t.Errorf("%+v", u)
	}
	if d, err = h.Describe(context.Background(), m.Bytes()); err != nil || d.Outputs[0].Name != "x" {
		t.Errorf("%+v %v", d, err)
	}
}
