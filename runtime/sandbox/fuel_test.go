package sandbox_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// loopOf runs body n times: (local $i i32) (loop body (br_if 0 (local.tee 2 (i32.add (local.get 2) (i32.const 1)) < n))).
func loopOf(n int32, body []byte) wasmtest.Function {
	return wasmtest.Function{
		Params: []byte{wasmtest.TI32, wasmtest.TI32}, Results: []byte{wasmtest.TI64}, Locals: wasmtest.Vec([]byte{1, wasmtest.TI32}),
		Body: wasmtest.Cat([]byte{0x03, 0x40}, body, []byte{0x20, 2}, wasmtest.I32c(1), []byte{0x6a, 0x22, 2}, wasmtest.I32c(n), []byte{0x48, 0x0d, 0, 0x0b}),
	}
}

func withEval(f wasmtest.Function) *wasmtest.Metric {
	m := wasmtest.Good()
	f.Body = wasmtest.Cat(f.Body, m.Eval.Body)
	m.Eval = f
	return m
}

// fullFill fills the first n bytes of memory, from byte 196608 on where n is 0.
func fillOf(n int32) []byte {
	return wasmtest.Cat(wasmtest.I32c(196608), wasmtest.I32c(0), wasmtest.I32c(n), wasmtest.Fill)
}

func TestFuelIsCountedToTheInstruction(t *testing.T) {
	// metric_alloc is one instruction, metric_eval the one that packs its
	// answer; both are short enough to be charged whole.
	const alloc, answer = 1, 1
	leaf := wasmtest.Function{Body: wasmtest.Cat(wasmtest.I32c(1), wasmtest.Drop)}
	one := func(body []byte) wasmtest.Function {
		return wasmtest.Function{Params: []byte{wasmtest.TI32, wasmtest.TI32}, Results: []byte{wasmtest.TI64}, Body: body}
	}
	cases := []struct {
		name   string
		module *wasmtest.Metric
		fuel   int64
	}{
		{"nothing but its answer", wasmtest.Good(), alloc + answer},
		{"ten rounds of a loop of seven instructions", withEval(loopOf(10, nil)), alloc + 10*7 + answer},
		{"ten rounds with three more each", withEval(loopOf(10, wasmtest.Cat(wasmtest.I32c(1), wasmtest.I32c(2), []byte{0x6a}, wasmtest.Drop))), alloc + 10*11 + answer},
		{"a call", withEval(one(wasmtest.Callf(4))).With(func(m *wasmtest.Metric) { m.More = []wasmtest.Function{leaf} }), alloc + 5 + 2 + answer},
		{"an _initialize", wasmtest.Good().With(wasmtest.Initializer(wasmtest.Cat(wasmtest.I32c(1), wasmtest.Drop))), 2 + alloc + answer},
		{"a start function", wasmtest.Good().With(func(m *wasmtest.Metric) { m.More, m.Start = []wasmtest.Function{leaf}, 4 }), 2 + alloc + answer},
		{"a fill of 8000 bytes", withEval(one(fillOf(8000))), alloc + 4 + 1000 + answer},
		{"a fill of 7 bytes", withEval(one(fillOf(7))), alloc + 4 + answer},
		{"a growing by one page", withEval(one(wasmtest.Cat(wasmtest.I32c(1), []byte{0x40, 0}, wasmtest.Drop))), alloc + 1003 + answer},
		{"the branch of an if that is taken", withEval(loopOf(1, wasmtest.Cat(wasmtest.I32c(1), []byte{0x04, 0x40}, wasmtest.I32c(1), wasmtest.Drop, []byte{0x05}, wasmtest.Repeat(wasmtest.Cat(wasmtest.I32c(1), wasmtest.Drop), 9), wasmtest.End))), alloc + 7 + 2 + 2 + answer},
		{"nothing after a branch out", withEval(loopOf(1, wasmtest.Cat([]byte{0x02, 0x40, 0x0c, 0}, wasmtest.Repeat(wasmtest.Cat(wasmtest.I32c(1), wasmtest.Drop), 9), wasmtest.End))), alloc + 7 + 1 + answer},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, u, err := host(t, nil).Evaluate(context.Background(), c.module.Bytes(), table(1), nil)
			if err != nil {
				t.Fatal(err)
			}
			if u.Fuel != c.fuel {
				t.Errorf("fuel %d, want %d", u.Fuel, c.fuel)
			}
		})
	}
}

func TestTooExpensiveIsAVerdictOfFuelNotOfTime(t *testing.T) {
	wasi := func(name string, params, body []byte) *wasmtest.Metric {
		return withEval(loopOf(math.MaxInt32, body)).With(func(m *wasmtest.Metric) {
			m.Imports = []wasmtest.Imported{{From: "wasi_snapshot_preview1", Name: name, Params: params, Results: []byte{wasmtest.TI32}}}
		})
	}
	recursive := wasmtest.Good().With(func(m *wasmtest.Metric) {
		m.More = []wasmtest.Function{{Body: wasmtest.Cat(wasmtest.Callf(4))}}
		m.Eval.Body = wasmtest.Cat(wasmtest.Callf(4), m.Eval.Body)
	})
	cases := []struct {
		name   string
		module *wasmtest.Metric
		phase  string
	}{
		{"an endless loop in metric_eval", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }), "metric_eval"},
		{"an endless loop in metric_alloc", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Alloc.Body = wasmtest.Cat(wasmtest.Forever, m.Alloc.Body) }), "metric_alloc"},
		{"an endless loop in metric_describe", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Describe.Body = wasmtest.Cat(wasmtest.Forever, m.Describe.Body) }), "metric_describe"},
		{"an endless loop in _initialize", wasmtest.Good().With(wasmtest.Initializer(wasmtest.Forever)), "_initialize"},
		{"an endless loop in the start function", wasmtest.Good().With(func(m *wasmtest.Metric) { m.More, m.Start = []wasmtest.Function{{Body: wasmtest.Forever}}, 4 }), "instantiate"},
		{"a loop around nothing but a loop", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Eval.Body = wasmtest.Cat([]byte{0x03, 0x40, 0x03, 0x40, 0x0c, 1, 0x0b, 0x0b}, m.Eval.Body)
		}), "metric_eval"},
		{"an exponential tree of calls without a loop", wasmtest.TreeModule(), "metric_eval"},
		{"a thousand fills of 256 KiB without a loop", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Eval.Body = wasmtest.Cat(wasmtest.Repeat(wasmtest.Cat(wasmtest.I32c(0), wasmtest.I32c(0), wasmtest.I32c(4*65536), wasmtest.Fill), 1000), m.Eval.Body)
		}), "metric_eval"},
		{"recursion that the stack would end much later", recursive.With(func(m *wasmtest.Metric) {
			// Each level costs ten thousand.
			m.More[0].Body = wasmtest.Cat(wasmtest.Repeat(wasmtest.Cat(wasmtest.I32c(1), wasmtest.Drop), 5000), m.More[0].Body)
		}), "metric_eval"},
		{"random bytes without end", wasi("random_get", []byte{wasmtest.TI32, wasmtest.TI32}, wasmtest.Cat(wasmtest.I32c(0), wasmtest.I32c(65536), wasmtest.Callf(0), wasmtest.Drop)), "metric_eval"},
		{"writes without end", wasmtest.Good().With(func(m *wasmtest.Metric) {
			line := wasmtest.WasiLog(m)
			m.Eval.Body = wasmtest.Cat([]byte{0x03, 0x40}, line, []byte{0x0c, 0, 0x0b}, wasmtest.Unreachable)
		}), "metric_eval"},
		{"sleeps without end", wasi("poll_oneoff", wasmtest.Repeat([]byte{wasmtest.TI32}, 4), wasmtest.Cat(wasmtest.I32c(0), wasmtest.I32c(0), wasmtest.I32c(1), wasmtest.I32c(0), wasmtest.Callf(0), wasmtest.Drop)), "metric_eval"},
		{"a loop that grows memory", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Eval.Body = wasmtest.Cat([]byte{0x03, 0x40}, wasmtest.I32c(1), []byte{0x40, 0, 0x1a, 0x0c, 0, 0x0b}, m.Eval.Body)
		}), "metric_eval"},
		{"a table filled over and over", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Tables = wasmtest.Vec(wasmtest.Cat([]byte{0x70, 0}, wasmtest.Uleb(100_000)))
			m.Eval.Body = wasmtest.Cat([]byte{0x03, 0x40}, wasmtest.I32c(0), []byte{0xd0, 0x70}, wasmtest.I32c(100_000), []byte{0xfc, 17, 0, 0x0c, 0, 0x0b}, m.Eval.Body)
		}), "metric_eval"},
	}
	h := host(t, func(o *sandbox.Options) { o.Timeout, o.Fuel = 20*time.Second, 5_000_000 })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wasm, used := c.module.Bytes(), int64(0)
			for run := range 2 {
				_, u, err := h.Evaluate(context.Background(), wasm, table(1), nil)
				if !errors.Is(err, sandbox.ErrFuel) || !strings.Contains(err.Error(), c.phase+": it used up its fuel of 5000000 instructions") {
					t.Fatalf("%v, want it out of fuel in %s", err, c.phase)
				}
				if u.Fuel <= 5_000_000 || run > 0 && u.Fuel != used {
					t.Errorf("fuel %d, in the run before %d", u.Fuel, used)
				}
				used = u.Fuel
			}
		})
	}
}

func TestCodeCannotReachItsFuel(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		says string
	}{
		"reading the local behind its own":  {wasmtest.Cat([]byte{0x20, 2}, wasmtest.Drop, wasmtest.Callf(0)), "local 2 of 2"},
		"setting the local behind its own":  {wasmtest.Cat(wasmtest.I64c(math.MaxInt64), []byte{0x21, 2}, wasmtest.Callf(0)), "local 2 of 2"},
		"teeing the local after that":       {wasmtest.Cat(wasmtest.I32c(1), []byte{0x22, 3}, wasmtest.Drop, wasmtest.Callf(0)), "local 3 of 2"},
		"reading the global behind its own": {wasmtest.Cat([]byte{0x23, 0}, wasmtest.Drop), "global 0 of 0"},
		"filling it up":                     {wasmtest.Cat(wasmtest.I64c(math.MaxInt64), []byte{0x24, 0}), "global 0 of 0"},
		"a local of a number above 31 bits": {wasmtest.Cat([]byte{0x20}, wasmtest.Huge, wasmtest.Drop), "local 4294967295 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			m := wasmtest.Good()
			m.Eval.Body = wasmtest.Cat(c.body, m.Eval.Body)
			_, err := host(t, nil).Describe(context.Background(), m.Bytes())
			if !errors.Is(err, sandbox.ErrRejected) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it rejected saying %q", err, c.says)
			}
		})
	}
	t.Run("a constant that reads it", func(t *testing.T) {
		refused(t, wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Globals = wasmtest.Vec(wasmtest.Cat([]byte{0x7e, 0}, []byte{0x23, 1}, wasmtest.End))
		}).Bytes(), "constant expression")
	})
}

func TestShippedModulesUseTheSameFuelEveryTime(t *testing.T) {
	built, err := filepath.Glob("../../wasm-metrics/dist/*.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if len(built) == 0 {
		t.Skip("wasm-metrics is not built")
	}
	h := host(t, func(o *sandbox.Options) { o.Timeout, o.MemoryBytes = 20*time.Second, 256<<20 })
	for _, p := range built {
		wasm, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(wasm) > 100_000 {
			continue // compiling those twice takes seconds; wasm-metrics does
		}
		rep, err := h.Validate(context.Background(), wasm)
		if err != nil || !rep.OK {
			t.Errorf("%s: %+v %v", p, rep, err)
			continue
		}
		t.Logf("%s: fuel %d for 64 rows", filepath.Base(p), rep.Fuel)
	}
}
