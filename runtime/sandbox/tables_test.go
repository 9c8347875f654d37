package sandbox_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// grown makes metric_eval grow a table by n elements and return, as x, what
// table.grow said.
func grown(declared []byte, n int32) *wasmtest.Metric {
	m := wasmtest.Good()
	m.Tables = wasmtest.Vec(declared)
	m.Eval.Body = wasmtest.Cat(wasmtest.I32c(wasmtest.ResultAt+49), []byte{0xd0, 0x70}, wasmtest.I32c(n), []byte{0xfc, 15, 0, 0xb7, 0x39, 0, 0}, m.Eval.Body)
	return m
}

func TestTablesCountTowardsTheMemoryPromised(t *testing.T) {
	// Of the 16 MiB of these tests an eighth is for tables: 262,144 elements.
	noMaximum, small := []byte{0x70, 0, 1}, []byte{0x70, 1, 1, 5}
	cases := []struct {
		name  string
		m     *wasmtest.Metric
		wants float64
	}{
		{"up to the bound", grown(noMaximum, 262_143), 1},
		{"beyond it", grown(noMaximum, 262_144), -1},
		{"by ten million", grown(noMaximum, 10_000_000), -1},
		{"up to the declared maximum", grown(small, 4), 1},
		{"beyond the declared maximum", grown(small, 5), -1},
	}
	h := host(t, func(o *sandbox.Options) { o.Timeout = 20 * time.Second })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			results, _, err := h.Evaluate(context.Background(), c.m.Bytes(), table(1), nil)
			if err != nil || results[0].Values[0] != c.wants {
				t.Errorf("%+v %v, want %v", results, err, c.wants)
			}
		})
	}
	// What tables take, memory cannot: 16 MiB less two is 224 pages.
	whole := grown(noMaximum, 1).With(func(m *wasmtest.Metric) {
		m.Eval.Body = wasmtest.Cat(wasmtest.I32c(wasmtest.ResultAt+49), wasmtest.I32c(224-4), []byte{0x40, 0, 0xb7, 0x39, 0, 0},
			wasmtest.I32c(1), []byte{0x40, 0}, wasmtest.I32c(-1), []byte{0x46, 0x04, 0x40, 0x05, 0x00, 0x0b}, m.Eval.Body[len(m.Eval.Body)-len(wasmtest.Good().Eval.Body):])
		m.More = []wasmtest.Function{{Body: wasmtest.Cat([]byte{0xd0, 0x70}, wasmtest.I32c(1), []byte{0xfc, 15, 0, 0x1a})}}
	})
	if results, _, err := h.Evaluate(context.Background(), whole.Bytes(), table(1), nil); err != nil || results[0].Values[0] != 4 {
		t.Errorf("the memory beside: %+v %v", results, err)
	}
	huge := wasmtest.Good().With(func(m *wasmtest.Metric) {
		m.Tables = wasmtest.Vec(wasmtest.Cat([]byte{0x70, 0}, wasmtest.Uleb(1_000_000)))
		m.Pages = 200
	})
	if _, err := h.Describe(context.Background(), huge.Bytes()); !errors.Is(err, sandbox.ErrMemory) || !strings.Contains(err.Error(), "its tables take 8000000, at most 16777216 together") {
		t.Errorf("tables and memory above the limit together: %v", err)
	}
}

func TestFuelThatRunsOutAfterTheLastCheckIsNoticed(t *testing.T) {
	// Each function costs one, and is too short to look at the account itself:
	// metric_eval returns a result, with one instruction too many.
	h := host(t, func(o *sandbox.Options) { o.Fuel = 1 })
	if _, err := h.Describe(context.Background(), wasmtest.Good().Bytes()); err != nil {
		t.Fatal(err)
	}
	_, usage, err := h.Evaluate(context.Background(), wasmtest.Good().Bytes(), table(1), nil)
	if !errors.Is(err, sandbox.ErrFuel) || usage.Fuel != 2 {
		t.Errorf("%v with %d used, want it out of fuel at 2", err, usage.Fuel)
	}
	h = host(t, func(o *sandbox.Options) { o.Fuel = math.MaxInt64 })
	if _, usage, err := h.Evaluate(context.Background(), wasmtest.Good().Bytes(), table(1), nil); err != nil || usage.Fuel != 2 {
		t.Errorf("%v, used %d", err, usage.Fuel)
	}
}
