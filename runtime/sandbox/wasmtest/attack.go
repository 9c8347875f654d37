package wasmtest

import (
	"archive/zip"
	"bytes"
	"io"
	"math"
	"slices"
	"strings"

	"triality/runtime/sandbox"
)

// Attack is a hostile upload and how it must end.
type Attack struct {
	Name  string
	Wasm  []byte
	Code  sandbox.Code
	Says  string // part of the reason given
	Check string // the check of Validate that must refuse it
}

// WasiCall makes metric_eval call a function of WASI first.
func WasiCall(name string, params []byte, args ...[]byte) *Metric {
	return Good().With(func(m *Metric) {
		m.Imports = []Imported{{"wasi_snapshot_preview1", name, params, []byte{TI32}}}
		m.Eval.Body = Cat(Cat(args...), Callf(0), Drop, m.Eval.Body)
	})
}

// Attacks are the ones that need a worker, or a module of some size, to be
// seen through; counts that nothing backs are Counts.
func Attacks() []Attack {
	eval := func(body ...[]byte) *Metric {
		return Good().With(func(m *Metric) { m.Eval.Body = Cat(Cat(body...), m.Eval.Body) })
	}
	loop := func(body ...[]byte) []byte { return Cat([]byte{0x03, 0x40}, Cat(body...), []byte{0x0c, 0, 0x0b}) }
	grow := Cat(I32c(1), []byte{0x40, 0, 0x1a})
	wholeFill := Cat(I32c(0), I32c(0), []byte{0x3f, 0}, I32c(65536), []byte{0x6c}, Fill)
	ten := strings.Repeat("n", 10<<20)
	manyFunctions := Good()
	manyFunctions.More = slices.Repeat([]Function{{}}, 200_000)
	table400M := Good().With(func(m *Metric) {
		m.Tables = Vec([]byte{0x70, 0, 1})
		m.Eval.Body = Cat([]byte{0xd0, 0x70}, I32c(400_000_000), []byte{0xfc, 15, 0, 0x1a}, m.Eval.Body)
	})
	recursion := eval(Callf(4)).With(func(m *Metric) { m.More = []Function{{Body: Callf(4)}} })
	random := Good().With(func(m *Metric) {
		m.Globals = Vec(Cat([]byte{TF64, 1, 0x44}, make([]byte, 8), End))
		m.Eval.Body = Cat([]byte{0x23, 0, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0, 0x24, 0},
			I32c(ResultAt+49), []byte{0x23, 0, 0x39, 0, 0}, m.Eval.Body)
	})
	good10MB := Good().With(func(m *Metric) {
		m.Pages = 200
		m.Returns(Results(Value{ten, 1, []float64{1}}))
	})
	version2 := Good().With(func(m *Metric) { m.Drop = "triality_metric_v1" }).Bytes()
	resultVersion := Good().With(func(m *Metric) {
		b := Results(Value{"x", 1, []float64{1}})
		b[4] = 2
		m.Returns(b)
	})
	dry, describe, pre := sandbox.CheckDryRun, sandbox.CheckDescribe, sandbox.CheckPreflight
	list := []Attack{
		{"200,001 functions", manyFunctions.Bytes(), sandbox.ErrRejected, "at most 200000", pre},
		{"a memory of 65,536 pages from the start", Good().With(func(m *Metric) { m.Pages = 65536 }).Bytes(), sandbox.ErrMemory, "starts at 4294967296 bytes", pre},
		{"a loop that grows memory", eval(loop(grow)).Bytes(), sandbox.ErrFuel, "fuel", dry},
		{"a table grown by 400 million", table400M.Bytes(), sandbox.ErrFuel, "fuel", dry},
		{"an endless loop in the start function", Good().With(func(m *Metric) { m.More, m.Start = []Function{{Body: Forever}}, 4 }).Bytes(), sandbox.ErrFuel, "instantiate", describe},
		{"an endless loop in _initialize", Good().With(Initializer(Forever)).Bytes(), sandbox.ErrFuel, "_initialize", describe},
		{"an endless loop in metric_describe", Good().With(func(m *Metric) { m.Describe.Body = Cat(Forever, m.Describe.Body) }).Bytes(), sandbox.ErrFuel, "metric_describe", describe},
		{"an endless loop in metric_alloc", Good().With(func(m *Metric) { m.Alloc.Body = Cat(Forever, m.Alloc.Body) }).Bytes(), sandbox.ErrFuel, "metric_alloc", dry},
		{"an endless loop in metric_eval", eval(Forever).Bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"an exponential tree of calls without a loop", TreeModule().Bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"a thousand fills of the whole memory", eval(Repeat(wholeFill, 1000)).With(func(m *Metric) { m.Pages = 200 }).Bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"infinite recursion", recursion.Bytes(), sandbox.ErrTrap, "stack overflow", dry},
		{"an unknown import", Good().With(func(m *Metric) { m.Imports = []Imported{{"wasi_snapshot_preview1", "path_explode", nil, nil}} }).Bytes(), sandbox.ErrRejected, "path_explode", pre},
		{"an imported memory", Module(Section(2, Vec(Cat(Name("env"), Name("memory"), []byte{2, 0, 1})))), sandbox.ErrRejected, "not allowed", pre},
		{"a wrong signature", Good().With(func(m *Metric) { m.Alloc.Params = []byte{TI64} }).Bytes(), sandbox.ErrRejected, "signature", pre},
		{"another version of the interface", version2, sandbox.ErrRejected, "triality_metric_v1", pre},
		{"results of another version", resultVersion.Bytes(), sandbox.ErrInvalidResult, "version 2", dry},
		{"an allocation at zero", Good().With(func(m *Metric) { m.Alloc.Body = I32c(0) }).Bytes(), sandbox.ErrInvalidResult, "returned 0", dry},
		{"an allocation that is not aligned", Good().With(func(m *Metric) { m.Alloc.Body = I32c(TableAt + 8) }).Bytes(), sandbox.ErrInvalidResult, "multiple of 16", dry},
		{"an allocation out of bounds", Good().With(func(m *Metric) { m.Alloc.Body = I32c(-16) }).Bytes(), sandbox.ErrInvalidResult, "its memory has", dry},
		{"results out of bounds", Good().With(func(m *Metric) { m.Eval.Body = Pack(4*65536-8, 64) }).Bytes(), sandbox.ErrInvalidResult, "its memory has", dry},
		{"results whose end overflows", Good().With(func(m *Metric) { m.Eval.Body = Pack(0xfffffff0, 0x20) }).Bytes(), sandbox.ErrInvalidResult, "its memory has", dry},
		{"results of 4 GB", Good().With(func(m *Metric) { m.Eval.Body = Pack(0, 0xffffffff) }).Bytes(), sandbox.ErrInvalidResult, "at most", dry},
		{"a result's name twice", Good().Returns(Results(Value{"x", 1, []float64{1}}, Value{"x", 1, []float64{1}})).Bytes(), sandbox.ErrInvalidResult, "twice", dry},
		{"a name with NUL", Good().Returns(Results(Value{"x\x00", 1, []float64{1}})).Bytes(), sandbox.ErrInvalidResult, "control", dry},
		{"a name that is not UTF-8", Good().Returns(Results(Value{"x\xff", 1, []float64{1}})).Bytes(), sandbox.ErrInvalidResult, "UTF-8", dry},
		{"a result's name of 10 MB", good10MB.Bytes(), sandbox.ErrInvalidResult, "10485760 bytes, at most 128", dry},
		{"an export's name of 10 MB", Module(Section(5, Vec([]byte{0, 1})), Section(7, Vec(Cat(Name(ten), []byte{2, 0})))), sandbox.ErrRejected, "at most 100000", pre},
		{"a debug name of 10 MB", Module(Section(0, Cat(Name("name"), []byte{0}, Uleb(uint64(len(Name(ten)))), Name(ten)))), sandbox.ErrRejected, "at most 100000", pre},
		{"NaN", Good().Returns(Results(Value{"x", 1, []float64{math.NaN()}})).Bytes(), sandbox.ErrInvalidResult, "NaN", dry},
		{"infinity", Good().Returns(Results(Value{"x", 1, []float64{math.Inf(-1)}})).Bytes(), sandbox.ErrInvalidResult, "-Inf", dry},
		{"a flood of log lines", Good().With(func(m *Metric) { m.Eval.Body = Cat(loop(WasiLog(m)), Unreachable) }).Bytes(), sandbox.ErrFuel, "metric_eval", dry},
		{"proc_exit while evaluating", Good().With(func(m *Metric) {
			m.Imports = []Imported{{"wasi_snapshot_preview1", "proc_exit", []byte{TI32}, nil}}
			m.Eval.Body = Cat(I32c(0), Callf(0), m.Eval.Body)
		}).Bytes(), sandbox.ErrTrap, "proc_exit(0)", dry},
		{"state carried from call to call", random.Bytes(), "", "its second call", sandbox.CheckStateless},
		{"a zip bomb", ZipBomb(), sandbox.ErrRejected, "not a WebAssembly module", pre},
		{"an upload cut off midway", Good().Bytes()[:300], sandbox.ErrRejected, "section", pre},
		{"more than 32 MiB", Cat(Module(), make([]byte, 32<<20)), sandbox.ErrRejected, "at most 33554432", pre},
	}
	return list
}

// ZipBomb is a gigabyte of zeros in a megabyte.
func ZipBomb() []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("metric.wasm")
	if err == nil {
		_, err = io.CopyN(f, Zeros{}, 64<<20)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err) // memory takes what is written to it
	}
	return b.Bytes()
}

// Zeros is endless zeros.
type Zeros struct{}

// Read implements io.Reader.
func (Zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Counts are modules that announce what they do not have, or more than any
// compiler makes.
func Counts() []Attack {
	list := []Attack{}
	add := func(name string, wasm []byte, says string) {
		list = append(list, Attack{name, wasm, sandbox.ErrRejected, says, sandbox.CheckPreflight})
	}
	for id, section := range map[byte]string{1: "type", 2: "import", 3: "function", 4: "table", 5: "memory", 6: "global",
		7: "export", 9: "element", 10: "code", 11: "data"} {
		add("4294967295 entries in the "+section+" section", Module(Section(id, Huge)), section+" section: at byte")
		add("134217728 entries in the "+section+" section", Module(Section(id, Uleb(1<<27))), section+" section: at byte")
	}
	add("a data count of 4294967295", Module(Section(12, Huge)), "segments, there are 0")
	add("10 million locals in 36 bytes", Code(Cat(Uleb(1), Uleb(10_000_000), []byte{TI64}, End)), "at most 20000")
	add("a branch table of 4294967295", Code(Cat(Vec(), []byte{0x0e}, Huge, End)), "announced")
	add("a table of 4294967295 elements", Module(Section(4, Vec(Cat([]byte{0x70, 0}, Huge)))), "at most 1000000")
	add("an element segment of 4294967295", Module(Section(9, Cat(Uleb(1), []byte{0}, I32c(0), End, Huge))), "announced")
	add("a data segment of 4 GB", Module(Section(11, Cat(Uleb(1), []byte{0}, I32c(0), End, Huge))), "announced")
	add("names of 4294967295 functions", Module(Section(0, Cat(Name("name"), []byte{1}, Uleb(5), Huge))), "announced")
	add("names of 4294967295 locals", Module(Section(0, Cat(Name("name"), []byte{2}, Uleb(7), []byte{1, 0}, Huge))), "announced")
	return list
}
