package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

func TestPreflightRefusesCountsThatNothingBacks(t *testing.T) {
	for _, a := range wasmtest.Counts() {
		t.Run(a.Name, func(t *testing.T) { refused(t, a.Wasm, a.Says) })
	}
}

func TestPreflightRefusesModulesThatWouldHurtADecoderOrACompiler(t *testing.T) {
	void := wasmtest.Section(1, wasmtest.Vec(wasmtest.FuncType(nil, nil)))
	wasi := func(name string, params ...byte) []byte {
		return wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Imports = []wasmtest.Imported{{From: "wasi_snapshot_preview1", Name: name, Params: params, Results: nil}}
		}).Bytes()
	}
	cases := []struct {
		name   string
		module []byte
		says   string
	}{
		{"nothing", nil, "not a WebAssembly module"},
		{"another version", []byte("\x00asm\x02\x00\x00\x00"), "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "not a WebAssembly module"},
		{"a section longer than the file", []byte("\x00asm\x01\x00\x00\x00\x01\xff\x01"), "announced"},
		{"a section of size 0xFFFFFFFF", wasmtest.Cat(wasmtest.Module(), []byte{1}, wasmtest.Huge), "announced"},
		{"a number of more than 32 bits", wasmtest.Cat(wasmtest.Module(), []byte{1}, []byte{0xff, 0xff, 0xff, 0xff, 0x1f}), "longer than 32 bits"},
		{"a number without an end", wasmtest.Cat(wasmtest.Module(), []byte{1, 0x80, 0x80}), "unexpected end"},
		{"sections out of order", wasmtest.Module(wasmtest.Section(3, wasmtest.Vec()), void), "out of order"},
		{"a section twice", wasmtest.Module(void, void), "there twice"},
		{"a section of exception tags", wasmtest.Module(wasmtest.Section(13, wasmtest.Vec())), "not part of WebAssembly 2.0"},
		{"bytes after a section's contents", wasmtest.Module(wasmtest.Section(1, wasmtest.Cat(wasmtest.Vec(), []byte{0}))), "follow its contents"},
		{"a type with 10 million parameters", wasmtest.Module(wasmtest.Section(1, wasmtest.Cat(wasmtest.Uleb(1), []byte{0x60}, wasmtest.Uleb(10_000_000)))), "announced"},
		{"a type with 300 parameters", wasmtest.Module(wasmtest.Section(1, wasmtest.Vec(wasmtest.FuncType(wasmtest.Repeat([]byte{wasmtest.TI32}, 300), nil)))), "at most 255"},
		{"a type with 65 results", wasmtest.Module(wasmtest.Section(1, wasmtest.Vec(wasmtest.FuncType(nil, wasmtest.Repeat([]byte{wasmtest.TI32}, 65))))), "at most 64"},
		{"a function without a type", wasmtest.Module(void, wasmtest.Section(3, wasmtest.Vec([]byte{1}))), "function type 1 of 1"},
		{"a function without a body", wasmtest.Module(void, wasmtest.Section(3, wasmtest.Vec([]byte{0}))), "0 have a body"},
		{"tables of 2 million elements together", wasmtest.Module(wasmtest.Section(4, wasmtest.Vec(wasmtest.Cat([]byte{0x70, 0}, wasmtest.Uleb(1000000)), wasmtest.Cat([]byte{0x70, 0}, wasmtest.Uleb(1000000))))), "together"},
		{"a memory of 65537 pages", wasmtest.Module(wasmtest.Section(5, wasmtest.Vec(wasmtest.Cat([]byte{0}, wasmtest.Uleb(65537))))), "at most 65536"},
		{"a memory above its maximum", wasmtest.Module(wasmtest.Section(5, wasmtest.Vec([]byte{1, 2, 1}))), "above its maximum"},
		{"a shared memory", wasmtest.Module(wasmtest.Section(5, wasmtest.Vec([]byte{3, 1, 1}))), "not allowed"},
		{"a 64-bit memory", wasmtest.Module(wasmtest.Section(5, wasmtest.Vec([]byte{4, 1}))), "not allowed"},
		{"two memories", wasmtest.Module(wasmtest.Section(5, wasmtest.Vec([]byte{0, 1}, []byte{0, 1}))), "2 memories"},
		{"a global with a long initializer", wasmtest.Module(wasmtest.Section(6, wasmtest.Vec(wasmtest.Cat([]byte{wasmtest.TI32, 0}, wasmtest.I32c(1), wasmtest.I32c(2), wasmtest.End)))), "more than one instruction"},
		{"an export twice", wasmtest.Module(wasmtest.Section(5, wasmtest.Vec([]byte{0, 1})), wasmtest.Section(7, wasmtest.Vec(wasmtest.Cat(wasmtest.Name("m"), []byte{2, 0}), wasmtest.Cat(wasmtest.Name("m"), []byte{2, 0})))), "there twice"},
		{"an export of what does not exist", wasmtest.Module(wasmtest.Section(7, wasmtest.Vec(wasmtest.Cat(wasmtest.Name("m"), []byte{2, 0})))), "does not exist"},
		{"an export whose name is not UTF-8", wasmtest.Module(wasmtest.Section(7, wasmtest.Vec(wasmtest.Cat(wasmtest.Name("\xff"), []byte{2, 0})))), "not UTF-8"},
		{"an export with a name of 4 GB", wasmtest.Module(wasmtest.Section(7, wasmtest.Cat(wasmtest.Uleb(1), wasmtest.Huge, []byte{0, 0}))), "announced"},
		{"a start function that does not exist", wasmtest.Module(wasmtest.Section(8, wasmtest.Uleb(7))), "start function 7"},
		{"a data count that is not kept", wasmtest.Module(wasmtest.Section(12, wasmtest.Uleb(3))), "says 3 segments, there are 0"},
		{"locals that overflow 32 bits together", wasmtest.Code(wasmtest.Cat(wasmtest.Uleb(2), wasmtest.Huge, []byte{wasmtest.TI64}, wasmtest.Huge, []byte{wasmtest.TI64}, wasmtest.End)), "locals in a function"},
		{"4294967295 groups of locals", wasmtest.Code(wasmtest.Huge), "announced"},
		{"blocks nested 30000 deep", wasmtest.Code(wasmtest.Cat(wasmtest.Vec(), wasmtest.Repeat([]byte{0x02, 0x40}, 30000), wasmtest.Repeat(wasmtest.End, 30001))), "nested more than"},
		{"a branch table of 100000", wasmtest.Code(wasmtest.Cat(wasmtest.Vec(), []byte{0x0e}, wasmtest.Uleb(100_000), make([]byte, 100_001), wasmtest.End)), "at most 65520"},
		{"a body without an end", wasmtest.Code(wasmtest.Cat(wasmtest.Vec(), []byte{0x01})), "unexpected end"},
		{"a body that goes on after its end", wasmtest.Code(wasmtest.Cat(wasmtest.Vec(), wasmtest.End, wasmtest.End)), "follow the end"},
		{"a tail call", wasmtest.Code(wasmtest.Cat(wasmtest.Vec(), []byte{0x12, 0}, wasmtest.End)), "not part of WebAssembly 2.0"},
		{"an atomic instruction", wasmtest.Code(wasmtest.Cat(wasmtest.Vec(), []byte{0xfe, 0x03, 0}, wasmtest.End)), "not part of WebAssembly 2.0"},
		{"names longer than their section", wasmtest.Module(wasmtest.Section(0, wasmtest.Cat(wasmtest.Name("name"), []byte{1}, wasmtest.Huge))), "announced"},

		{"an import of no function of WASI", wasi("path_explode"), `import "path_explode" of "wasi_snapshot_preview1" is not allowed`},
		{"an import with a wrong signature", wasi("path_open"), `import "path_open" has the signature (`},
		{"an import of another module", wasmtest.Good().With(func(m *wasmtest.Metric) {
			m.Imports = []wasmtest.Imported{{From: "env", Name: "abort", Params: nil, Results: nil}}
		}).Bytes(), `import "abort" of "env" is not allowed`},
		{"an imported memory", wasmtest.Module(wasmtest.Section(2, wasmtest.Vec(wasmtest.Cat(wasmtest.Name("wasi_snapshot_preview1"), wasmtest.Name("fd_write"), []byte{2, 0, 1})))), "not allowed"},
		{"an import with a wrong signature", wasi("proc_exit", wasmtest.TI64), `import "proc_exit" has the signature (i64 ->), want (i32 ->)`},
		{"no memory", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Drop = "memory" }).Bytes(), `exports no memory named "memory"`},
		{"no marker", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Drop = "triality_metric_v1" }).Bytes(), `no function "triality_metric_v1"`},
		{"no metric_alloc", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Drop = "metric_alloc" }).Bytes(), `no function "metric_alloc"`},
		{"no metric_describe", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Drop = "metric_describe" }).Bytes(), `no function "metric_describe"`},
		{"no metric_eval", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Drop = "metric_eval" }).Bytes(), `no function "metric_eval"`},
		{"a metric_alloc of i64", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Alloc.Params = []byte{wasmtest.TI64} }).Bytes(), `"metric_alloc" has the signature (i64 -> i32), want (i32 -> i32)`},
		{"a metric_eval that returns i32", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Results = []byte{wasmtest.TI32} }).Bytes(), "want (i32 i32 -> i64)"},
		{"a metric_describe that takes something", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Describe.Params = []byte{wasmtest.TI32} }).Bytes(), "want (-> i64)"},
		{"an _initialize that returns something", wasmtest.Good().With(func(m *wasmtest.Metric) { m.Initialize = &wasmtest.Function{Results: []byte{wasmtest.TI32}} }).Bytes(), "want (->)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { refused(t, c.module, c.says) })
	}
}

func refused(t *testing.T, wasm []byte, says ...string) {
	t.Helper()
	start := time.Now()
	_, err := sandbox.Preflight(wasm)
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if !errors.Is(err, sandbox.ErrRejected) {
		t.Fatalf("%v, want it rejected", err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v, want it to say %q", err, s)
		}
	}
}

func TestPreflightPassesWhatCompilersEmit(t *testing.T) {
	info, err := sandbox.Preflight(wasmtest.Good().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(info.SHA256) != 64 || info.MemoryBytes != 4*65536 || info.Functions != 4 || info.Initialize || info.Start {
		t.Errorf("%+v", info)
	}
	built, err := filepath.Glob("../../wasm-metrics/dist/*.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if len(built) == 0 {
		t.Skip("wasm-metrics is not built; only an assembled module was looked at")
	}
	for _, p := range built {
		wasm, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		info, err := sandbox.Preflight(wasm)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		t.Logf("%s: %d bytes, %d functions in %v", p, info.Size, info.Functions, time.Since(start))
	}
}

// Every truncation and every one-byte change of a module is read without a
// panic, and a truncated one never passes.
func TestPreflightSurvivesDamage(t *testing.T) {
	wasm := wasmtest.Good().Bytes()
	for n := range wasm {
		if _, err := sandbox.Preflight(wasm[:n]); err == nil {
			t.Errorf("the first %d of %d bytes passed", n, len(wasm))
		}
		for _, c := range []byte{0, 0x7f, 0x80, 0xff} {
			damaged := append([]byte{}, wasm...)
			damaged[n] = c
			_, _ = sandbox.Preflight(damaged)
		}
	}
}

func FuzzPreflight(f *testing.F) {
	f.Add(wasmtest.Good().Bytes())
	f.Add(wasmtest.Module(wasmtest.Section(10, wasmtest.Huge)))
	f.Add(wasmtest.Code(wasmtest.Cat(wasmtest.Vec(), []byte{0x0e}, wasmtest.Huge, wasmtest.End)))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := sandbox.Preflight(b)
		if (info == nil) != (err != nil) {
			t.Errorf("info %v with error %v", info, err)
		}
	})
}
