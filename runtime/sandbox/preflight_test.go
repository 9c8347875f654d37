package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
)

// huge is 0xFFFFFFFF as LEB128.
var huge = []byte{0xff, 0xff, 0xff, 0xff, 0x0f}

func TestPreflightRefusesCountsThatNothingBacks(t *testing.T) {
	names := map[byte]string{1: "type", 2: "import", 3: "function", 4: "table", 5: "memory", 6: "global", 7: "export", 9: "element", 10: "code", 11: "data"}
	for id, n := range names {
		t.Run("4294967295 entries in the "+n+" section", func(t *testing.T) {
			refused(t, module(section(id, huge)), n+" section: at byte", "announced")
		})
		t.Run("134217728 entries in the "+n+" section", func(t *testing.T) {
			refused(t, module(section(id, uleb(1<<27))), n+" section: at byte", "announced")
		})
	}
}

// code is a module with one function type () -> () and one function body.
func code(body []byte) []byte {
	return module(section(1, vec(funcType(nil, nil))), section(3, vec([]byte{0})),
		section(10, vec(cat(uleb(uint64(len(body))), body))))
}

func TestPreflightRefusesModulesThatWouldHurtADecoderOrACompiler(t *testing.T) {
	void := section(1, vec(funcType(nil, nil)))
	wasi := func(name string, params ...byte) []byte {
		return good().with(func(m *metric) { m.imports = []imported{{"wasi_snapshot_preview1", name, params, nil}} }).bytes()
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
		{"a section of size 0xFFFFFFFF", cat(module(), []byte{1}, huge), "announced"},
		{"a number of more than 32 bits", cat(module(), []byte{1}, []byte{0xff, 0xff, 0xff, 0xff, 0x1f}), "longer than 32 bits"},
		{"a number without an end", cat(module(), []byte{1, 0x80, 0x80}), "unexpected end"},
		{"sections out of order", module(section(3, vec()), void), "out of order"},
		{"a section twice", module(void, void), "there twice"},
		{"a section of exception tags", module(section(13, vec())), "not part of WebAssembly 2.0"},
		{"bytes after a section's contents", module(section(1, cat(vec(), []byte{0}))), "follow its contents"},
		{"a type with 10 million parameters", module(section(1, cat(uleb(1), []byte{0x60}, uleb(10_000_000)))), "announced"},
		{"a type with 300 parameters", module(section(1, vec(funcType(repeat([]byte{tI32}, 300), nil)))), "at most 255"},
		{"a type with 65 results", module(section(1, vec(funcType(nil, repeat([]byte{tI32}, 65))))), "at most 64"},
		{"a function without a type", module(void, section(3, vec([]byte{1}))), "function type 1 of 1"},
		{"a function without a body", module(void, section(3, vec([]byte{0}))), "0 have a body"},
		{"a table of 4294967295 elements", module(section(4, vec(cat([]byte{0x70, 0}, huge)))), "at most 1000000"},
		{"tables of 2 million elements together", module(section(4, vec(cat([]byte{0x70, 0}, uleb(1000000)), cat([]byte{0x70, 0}, uleb(1000000))))), "together"},
		{"a memory of 65537 pages", module(section(5, vec(cat([]byte{0}, uleb(65537))))), "at most 65536"},
		{"a memory above its maximum", module(section(5, vec([]byte{1, 2, 1}))), "above its maximum"},
		{"a shared memory", module(section(5, vec([]byte{3, 1, 1}))), "not allowed"},
		{"a 64-bit memory", module(section(5, vec([]byte{4, 1}))), "not allowed"},
		{"two memories", module(section(5, vec([]byte{0, 1}, []byte{0, 1}))), "2 memories"},
		{"a global with a long initializer", module(section(6, vec(cat([]byte{tI32, 0}, i32c(1), i32c(2), end)))), "more than one instruction"},
		{"an export twice", module(section(5, vec([]byte{0, 1})), section(7, vec(cat(name("m"), []byte{2, 0}), cat(name("m"), []byte{2, 0})))), "there twice"},
		{"an export of what does not exist", module(section(7, vec(cat(name("m"), []byte{2, 0})))), "does not exist"},
		{"an export whose name is not UTF-8", module(section(7, vec(cat(name("\xff"), []byte{2, 0})))), "not UTF-8"},
		{"an export with a name of 4 GB", module(section(7, cat(uleb(1), huge, []byte{0, 0}))), "announced"},
		{"a start function that does not exist", module(section(8, uleb(7))), "start function 7"},
		{"an element segment of 4294967295", module(section(9, cat(uleb(1), []byte{0}, i32c(0), end, huge))), "announced"},
		{"a data segment of 4 GB", module(section(11, cat(uleb(1), []byte{0}, i32c(0), end, huge))), "announced"},
		{"a data count that is not kept", module(section(12, uleb(3))), "says 3 segments, there are 0"},
		{"a data count of 4294967295", module(section(12, huge)), "segments, there are 0"},
		{"10 million locals in 36 bytes", code(cat(uleb(1), uleb(10_000_000), []byte{tI64}, end)), "at most 20000"},
		{"locals that overflow 32 bits together", code(cat(uleb(2), huge, []byte{tI64}, huge, []byte{tI64}, end)), "locals in a function"},
		{"4294967295 groups of locals", code(huge), "announced"},
		{"blocks nested 30000 deep", code(cat(vec(), repeat([]byte{0x02, 0x40}, 30000), repeat(end, 30001))), "nested more than"},
		{"a branch table of 4294967295", code(cat(vec(), []byte{0x0e}, huge, end)), "announced"},
		{"a branch table of 100000", code(cat(vec(), []byte{0x0e}, uleb(100_000), make([]byte, 100_001), end)), "at most 65520"},
		{"a body without an end", code(cat(vec(), []byte{0x01})), "unexpected end"},
		{"a body that goes on after its end", code(cat(vec(), end, end)), "follow the end"},
		{"a tail call", code(cat(vec(), []byte{0x12, 0}, end)), "not part of WebAssembly 2.0"},
		{"an atomic instruction", code(cat(vec(), []byte{0xfe, 0x03, 0}, end)), "not part of WebAssembly 2.0"},
		{"names of 4294967295 functions", module(section(0, cat(name("name"), []byte{1}, uleb(5), huge))), "announced"},
		{"names longer than their section", module(section(0, cat(name("name"), []byte{1}, huge))), "announced"},
		{"names of 4294967295 locals", module(section(0, cat(name("name"), []byte{2}, uleb(7), []byte{1, 0}, huge))), "announced"},

		{"an import of a file function", wasi("path_open"), `import "path_open" of "wasi_snapshot_preview1" is not allowed`},
		{"an import of another module", good().with(func(m *metric) { m.imports = []imported{{"env", "abort", nil, nil}} }).bytes(), `import "abort" of "env" is not allowed`},
		{"an imported memory", module(section(2, vec(cat(name("wasi_snapshot_preview1"), name("fd_write"), []byte{2, 0, 1})))), "not allowed"},
		{"an import with a wrong signature", wasi("proc_exit", tI64), `import "proc_exit" has the signature (i64 ->), want (i32 ->)`},
		{"no memory", good().with(func(m *metric) { m.drop = "memory" }).bytes(), `exports no memory named "memory"`},
		{"no marker", good().with(func(m *metric) { m.drop = "triality_metric_v1" }).bytes(), `no function "triality_metric_v1"`},
		{"no metric_alloc", good().with(func(m *metric) { m.drop = "metric_alloc" }).bytes(), `no function "metric_alloc"`},
		{"no metric_describe", good().with(func(m *metric) { m.drop = "metric_describe" }).bytes(), `no function "metric_describe"`},
		{"no metric_eval", good().with(func(m *metric) { m.drop = "metric_eval" }).bytes(), `no function "metric_eval"`},
		{"a metric_alloc of i64", good().with(func(m *metric) { m.alloc.params = []byte{tI64} }).bytes(), `"metric_alloc" has the signature (i64 -> i32), want (i32 -> i32)`},
		{"a metric_eval that returns i32", good().with(func(m *metric) { m.eval.results = []byte{tI32} }).bytes(), "want (i32 i32 -> i64)"},
		{"a metric_describe that takes something", good().with(func(m *metric) { m.describe.params = []byte{tI32} }).bytes(), "want (-> i64)"},
		{"an _initialize that returns something", good().with(func(m *metric) { m.initialize = &function{results: []byte{tI32}} }).bytes(), "want (->)"},
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
	info, err := sandbox.Preflight(good().bytes())
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
	wasm := good().bytes()
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
	f.Add(good().bytes())
	f.Add(module(section(10, huge)))
	f.Add(code(cat(vec(), []byte{0x0e}, huge, end)))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := sandbox.Preflight(b)
		if (info == nil) != (err != nil) {
			t.Errorf("info %v with error %v", info, err)
		}
	})
}
