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
)

// loopOf runs body n times: (local $i i32) (loop body (br_if 0 (local.tee 2 (i32.add (local.get 2) (i32.const 1)) < n))).
func loopOf(n int32, body []byte) function {
	return function{
		params: []byte{tI32, tI32}, results: []byte{tI64}, locals: vec([]byte{1, tI32}),
		body: cat([]byte{0x03, 0x40}, body, []byte{0x20, 2}, i32c(1), []byte{0x6a, 0x22, 2}, i32c(n), []byte{0x48, 0x0d, 0, 0x0b}),
	}
}

func withEval(f function) *metric {
	m := good()
	f.body = cat(f.body, m.eval.body)
	m.eval = f
	return m
}

var fill = []byte{0xfc, 11, 0} // memory.fill

// fullFill fills the first n bytes of memory, from byte 196608 on where n is 0.
func fillOf(n int32) []byte { return cat(i32c(196608), i32c(0), i32c(n), fill) }

func TestFuelIsCountedToTheInstruction(t *testing.T) {
	// metric_alloc is one instruction, metric_eval the one that packs its
	// answer; both are short enough to be charged whole.
	const alloc, answer = 1, 1
	leaf := function{body: cat(i32c(1), drop)}
	one := func(body []byte) function {
		return function{params: []byte{tI32, tI32}, results: []byte{tI64}, body: body}
	}
	cases := []struct {
		name   string
		module *metric
		fuel   int64
	}{
		{"nothing but its answer", good(), alloc + answer},
		{"ten rounds of a loop of seven instructions", withEval(loopOf(10, nil)), alloc + 10*7 + answer},
		{"ten rounds with three more each", withEval(loopOf(10, cat(i32c(1), i32c(2), []byte{0x6a}, drop))), alloc + 10*11 + answer},
		{"a call", withEval(one(callf(4))).with(func(m *metric) { m.more = []function{leaf} }), alloc + 5 + 2 + answer},
		{"an _initialize", good().with(initializer(cat(i32c(1), drop))), 2 + alloc + answer},
		{"a start function", good().with(func(m *metric) { m.more, m.start = []function{leaf}, 4 }), 2 + alloc + answer},
		{"a fill of 8000 bytes", withEval(one(fillOf(8000))), alloc + 4 + 1000 + answer},
		{"a fill of 7 bytes", withEval(one(fillOf(7))), alloc + 4 + answer},
		{"a growing by one page", withEval(one(cat(i32c(1), []byte{0x40, 0}, drop))), alloc + 1003 + answer},
		{"the branch of an if that is taken", withEval(loopOf(1, cat(i32c(1), []byte{0x04, 0x40}, i32c(1), drop, []byte{0x05}, repeat(cat(i32c(1), drop), 9), end))), alloc + 7 + 2 + 2 + answer},
		{"nothing after a branch out", withEval(loopOf(1, cat([]byte{0x02, 0x40, 0x0c, 0}, repeat(cat(i32c(1), drop), 9), end))), alloc + 7 + 1 + answer},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, u, err := host(t, nil).Evaluate(context.Background(), c.module.bytes(), table(1), nil)
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
	wasi := func(name string, params, body []byte) *metric {
		return withEval(loopOf(math.MaxInt32, body)).with(func(m *metric) {
			m.imports = []imported{{"wasi_snapshot_preview1", name, params, []byte{tI32}}}
		})
	}
	recursive := good().with(func(m *metric) {
		m.more = []function{{body: cat(callf(4))}}
		m.eval.body = cat(callf(4), m.eval.body)
	})
	cases := []struct {
		name   string
		module *metric
		phase  string
	}{
		{"an endless loop in metric_eval", good().with(func(m *metric) { m.eval.body = cat(forever, m.eval.body) }), "metric_eval"},
		{"an endless loop in metric_alloc", good().with(func(m *metric) { m.alloc.body = cat(forever, m.alloc.body) }), "metric_alloc"},
		{"an endless loop in metric_describe", good().with(func(m *metric) { m.describe.body = cat(forever, m.describe.body) }), "metric_describe"},
		{"an endless loop in _initialize", good().with(initializer(forever)), "_initialize"},
		{"an endless loop in the start function", good().with(func(m *metric) { m.more, m.start = []function{{body: forever}}, 4 }), "instantiate"},
		{"a loop around nothing but a loop", good().with(func(m *metric) {
			m.eval.body = cat([]byte{0x03, 0x40, 0x03, 0x40, 0x0c, 1, 0x0b, 0x0b}, m.eval.body)
		}), "metric_eval"},
		{"an exponential tree of calls without a loop", treeModule(), "metric_eval"},
		{"a thousand fills of 256 KiB without a loop", good().with(func(m *metric) {
			m.eval.body = cat(repeat(cat(i32c(0), i32c(0), i32c(4*65536), fill), 1000), m.eval.body)
		}), "metric_eval"},
		{"recursion that the stack would end much later", recursive.with(func(m *metric) {
			// Each level costs ten thousand.
			m.more[0].body = cat(repeat(cat(i32c(1), drop), 5000), m.more[0].body)
		}), "metric_eval"},
		{"random bytes without end", wasi("random_get", []byte{tI32, tI32}, cat(i32c(0), i32c(65536), callf(0), drop)), "metric_eval"},
		{"writes without end", good().with(func(m *metric) {
			line := wasiLog(m)
			m.eval.body = cat([]byte{0x03, 0x40}, line, []byte{0x0c, 0, 0x0b}, unreachable)
		}), "metric_eval"},
		{"sleeps without end", wasi("poll_oneoff", repeat([]byte{tI32}, 4), cat(i32c(0), i32c(0), i32c(1), i32c(0), callf(0), drop)), "metric_eval"},
		{"a loop that grows memory", good().with(func(m *metric) {
			m.eval.body = cat([]byte{0x03, 0x40}, i32c(1), []byte{0x40, 0, 0x1a, 0x0c, 0, 0x0b}, m.eval.body)
		}), "metric_eval"},
		{"a table filled over and over", good().with(func(m *metric) {
			m.tables = vec(cat([]byte{0x70, 0}, uleb(100_000)))
			m.eval.body = cat([]byte{0x03, 0x40}, i32c(0), []byte{0xd0, 0x70}, i32c(100_000), []byte{0xfc, 17, 0, 0x0c, 0, 0x0b}, m.eval.body)
		}), "metric_eval"},
	}
	h := host(t, func(o *sandbox.Options) { o.Timeout, o.Fuel = 20*time.Second, 5_000_000 })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wasm, used := c.module.bytes(), int64(0)
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
		"reading the local behind its own":  {cat([]byte{0x20, 2}, drop, callf(0)), "local 2 of 2"},
		"setting the local behind its own":  {cat(i64c(math.MaxInt64), []byte{0x21, 2}, callf(0)), "local 2 of 2"},
		"teeing the local after that":       {cat(i32c(1), []byte{0x22, 3}, drop, callf(0)), "local 3 of 2"},
		"reading the global behind its own": {cat([]byte{0x23, 0}, drop), "global 0 of 0"},
		"filling it up":                     {cat(i64c(math.MaxInt64), []byte{0x24, 0}), "global 0 of 0"},
		"a local of a number above 31 bits": {cat([]byte{0x20}, huge, drop), "local 4294967295 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			m := good()
			m.eval.body = cat(c.body, m.eval.body)
			_, err := host(t, nil).Describe(context.Background(), m.bytes())
			if !errors.Is(err, sandbox.ErrRejected) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want it rejected saying %q", err, c.says)
			}
		})
	}
	t.Run("a constant that reads it", func(t *testing.T) {
		refused(t, good().with(func(m *metric) {
			m.globals = vec(cat([]byte{0x7e, 0}, []byte{0x23, 1}, end))
		}).bytes(), "constant expression")
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
