package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// says makes metric_eval write text, n times, and then do what body says.
func says(text string, n int, body []byte) *wasmtest.Metric {
	m := wasmtest.Good()
	m.Imports = []wasmtest.Imported{{From: "wasi_snapshot_preview1", Name: "fd_write",
		Params: []byte{wasmtest.TI32, wasmtest.TI32, wasmtest.TI32, wasmtest.TI32}, Results: []byte{wasmtest.TI32}}}
	const at = 8192
	m.Data[at] = []byte(text)
	m.Data[512] = []byte{at & 0xff, at >> 8, 0, 0, byte(len(text)), byte(len(text) >> 8), 0, 0}
	write := wasmtest.Cat(wasmtest.I32c(2), wasmtest.I32c(512), wasmtest.I32c(1), wasmtest.I32c(520), wasmtest.Callf(0), wasmtest.Drop)
	m.Eval.Body = wasmtest.Cat(wasmtest.Repeat(write, n), body, m.Eval.Body)
	return m
}

func TestOfWhatAModuleWritesTheBeginningAndTheEndAreKept(t *testing.T) {
	h := host(t, nil) // with a log of 1024 bytes
	line := strings.Repeat("0123456789", 6) + "abc\n"
	_, usage, err := h.Evaluate(context.Background(), says(line, 100, nil).Bytes(), table(3), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat(line, 8) + "\n[5376 bytes were dropped here]\n" + strings.Repeat(line, 8); usage.Log != want {
		t.Errorf("log %q", usage.Log)
	}
	if _, usage, err = h.Evaluate(context.Background(), says(line, 16, nil).Bytes(), table(3), nil); err != nil || usage.Log != strings.Repeat(line, 16) {
		t.Errorf("%v; log of just as much as is kept: %q", err, usage.Log)
	}
	m := says(line, 1, nil)
	flood := wasmtest.Cat([]byte{0x03, 0x40}, wasmtest.I32c(2), wasmtest.I32c(512), wasmtest.I32c(1), wasmtest.I32c(520), wasmtest.Callf(0), wasmtest.Drop, []byte{0x0c, 0, 0x0b})
	m.Eval.Body = wasmtest.Cat(flood, m.Eval.Body)
	if _, _, err = h.Evaluate(context.Background(), m.Bytes(), table(3), nil); !errors.Is(err, sandbox.ErrTimeout) {
		t.Errorf("a flood of writes ended with %v, want a timeout", err)
	}
}

func TestWhatAModuleSaidBeforeItEndedIsInTheError(t *testing.T) {
	goPanic := "panic: index out of range [3]\n\ngoroutine 1 [running]:\nmain.eval(0x1)\n\tmain.go:7\n"
	exit := wasmtest.Cat(wasmtest.I32c(2), wasmtest.Callf(1))
	cases := []struct {
		name string
		m    *wasmtest.Metric
		code sandbox.Code
		says string // in the error
		log  string
	}{
		{"a Go panic", says(goPanic, 1, wasmtest.Unreachable), sandbox.ErrTrap, `it wrote "panic: index out of range [3]", then ended: `, goPanic},
		{"a last line", says("first\nlast words\n", 1, wasmtest.Unreachable), sandbox.ErrTrap, `it wrote "last words", then ended: `, "first\nlast words\n"},
		{"a long line", says(strings.Repeat("x", 1000), 1, wasmtest.Unreachable), sandbox.ErrTrap, strings.Repeat("x", 400) + `…"`, strings.Repeat("x", 1000)},
		{"control characters", says("\x1b[31mred\u202e\n", 1, wasmtest.Unreachable), sandbox.ErrTrap, `it wrote "\x1b[31mred\u202e", then ended: `, "\x1b[31mred\u202e\n"},
		{"proc_exit", says(goPanic, 1, exit).With(func(m *wasmtest.Metric) {
			m.Imports = append(m.Imports, wasmtest.Imported{From: "wasi_snapshot_preview1", Name: "proc_exit", Params: []byte{wasmtest.TI32}})
		}), sandbox.ErrTrap, `it wrote "panic: index out of range [3]", then ended: it called proc_exit(2)`, goPanic},
		// The worker is killed, and its log with it, but for what was heard.
		{"an endless loop", says("begun\n", 1, wasmtest.Forever), sandbox.ErrTimeout, "killed after", "begun\n"},
	}
	h := host(t, nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, usage, err := h.Evaluate(context.Background(), c.m.Bytes(), table(1), nil)
			var e *sandbox.Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, want %s saying %s", err, c.code, c.says)
			}
			if e.Log != c.log || usage.Log != c.log {
				t.Errorf("log %q, usage's %q, want %q", e.Log, usage.Log, c.log)
			}
		})
	}
}

func TestAFailedCheckHasTheModulesLog(t *testing.T) {
	h := host(t, func(o *sandbox.Options) { o.Timeout = time.Minute })
	rep, err := h.Validate(context.Background(), says("oh no\n", 1, wasmtest.Unreachable).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if last := rep.Checks[len(rep.Checks)-1]; rep.OK || last.Name != sandbox.CheckDryRun || last.Log != "oh no\n" || !strings.Contains(last.Detail, "oh no") {
		t.Errorf("%+v", rep.Checks)
	}
	rep, err = h.Validate(context.Background(), says("fine\n", 1, nil).Bytes())
	if err != nil || !rep.OK || rep.Checks[2].Name != sandbox.CheckDryRun || rep.Checks[2].Log != "fine\n" {
		t.Errorf("%+v %v", rep, err)
	}
}
