// Package wasmtest assembles modules of triality_metric_v1 for tests, byte by
// byte, so that they need no toolchain and can be wrong in any way one likes,
// and holds the hostile ones that the sandbox must see through.
package wasmtest

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

// Types of values, and where Good keeps its description and results and puts a
// table.
const (
	TI32, TI64, TF64 = 0x7f, 0x7e, 0x7c

	DescribeAt = 1024
	ResultAt   = 16384
	TableAt    = 65536
)

// Uleb is unsigned LEB128.
func Uleb(v uint64) []byte { return binary.AppendUvarint(nil, v) }

// Sleb is signed LEB128.
func Sleb(v int64) []byte {
	var b []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// Cat joins bytes.
func Cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Vec is a vector: how many, and the items.
func Vec(items ...[]byte) []byte { return append(Uleb(uint64(len(items))), Cat(items...)...) }

// Name is a length and its bytes.
func Name(s string) []byte { return append(Uleb(uint64(len(s))), s...) }

// Section is a section with its number and length.
func Section(id byte, body []byte) []byte { return Cat([]byte{id}, Uleb(uint64(len(body))), body) }

// Module is the magic number, the version and the sections.
func Module(sections ...[]byte) []byte {
	return Cat([]byte("\x00asm\x01\x00\x00\x00"), Cat(sections...))
}

// Instructions.
var (
	End         = []byte{0x0b}
	Unreachable = []byte{0x00}
	Drop        = []byte{0x1a}
	Forever     = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} // loop br 0 end
)

// I32c is i32.const.
func I32c(v int32) []byte { return append([]byte{0x41}, Sleb(int64(v))...) }

// I64c is i64.const.
func I64c(v int64) []byte { return append([]byte{0x42}, Sleb(v)...) }

// Callf is call.
func Callf(i int) []byte { return append([]byte{0x10}, Uleb(uint64(i))...) }

// Pack is i64.const of a block's place as the interface returns it.
func Pack(ptr, n uint32) []byte { return I64c(int64(uint64(ptr)<<32 | uint64(n))) }

// Repeat is n times b.
func Repeat(b []byte, n int) []byte { return bytes.Repeat(b, n) }

// Function is a function to assemble.
type Function struct {
	Params, Results []byte
	Locals          []byte // the vector of groups; none where nil
	Body            []byte // without its end
}

// Imported is an imported function.
type Imported struct {
	From, Name      string
	Params, Results []byte
}

// Metric is a module of the interface. Imports come first in the function
// index space, then the five interface functions in order, then more.
type Metric struct {
	Imports    []Imported
	Marker     Function
	Alloc      Function
	Describe   Function
	Eval       Function
	Initialize *Function
	More       []Function
	Start      int // index of the start function; -1: none
	Pages      uint32
	MaxPages   uint32 // 0: none
	Drop       string // an export to leave out
	Tables     []byte // contents of the table section
	Globals    []byte // contents of the global section
	Data       map[uint32][]byte
}

// Description is what Good describes itself by.
const Description = `{"name":"probe","version":"1","description":"a test","columns":[{"role":"label"}],` +
	`"outputs":[{"name":"x","kind":"scalar","direction":"none"},{"name":"c","kind":"column","direction":"none"}]}`

// Good is a module that does everything right: it returns x = 2.
func Good() *Metric {
	m := &Metric{Start: -1, Pages: 4, Data: map[uint32][]byte{}}
	m.Alloc = Function{Params: []byte{TI32}, Results: []byte{TI32}, Body: I32c(TableAt)}
	m.Describe = Function{Results: []byte{TI64}, Body: Pack(DescribeAt, uint32(len(Description)))}
	m.Eval = Function{Params: []byte{TI32, TI32}, Results: []byte{TI64}}
	m.Data[DescribeAt] = []byte(Description)
	m.Returns(Results(Value{Name: "x", Kind: 1, V: []float64{2}}))
	return m
}

// Returns makes metric_eval return a block.
func (m *Metric) Returns(block []byte) *Metric {
	m.Data[ResultAt] = block
	m.Eval.Body = Pack(ResultAt, uint32(len(block)))
	return m
}

// With changes the metric and returns it.
func (m *Metric) With(change func(*Metric)) *Metric {
	change(m)
	return m
}

// FuncType is the type of a function.
func FuncType(params, results []byte) []byte {
	return Cat([]byte{0x60}, Uleb(uint64(len(params))), params, Uleb(uint64(len(results))), results)
}

// Bytes assembles the module.
func (m *Metric) Bytes() []byte {
	names := []string{"triality_metric_v1", "metric_alloc", "metric_describe", "metric_eval"}
	functions := []Function{m.Marker, m.Alloc, m.Describe, m.Eval}
	if m.Initialize != nil {
		names, functions = append(names, "_initialize"), append(functions, *m.Initialize)
	}
	functions = append(functions, m.More...)
	var types, imports, declared, bodies, data [][]byte
	known := map[string]int{}
	typeOf := func(params, results []byte) []byte {
		t := FuncType(params, results)
		if _, ok := known[string(t)]; !ok {
			known[string(t)] = len(types)
			types = append(types, t)
		}
		return Uleb(uint64(known[string(t)]))
	}
	for _, i := range m.Imports {
		imports = append(imports, Cat(Name(i.From), Name(i.Name), []byte{0}, typeOf(i.Params, i.Results)))
	}
	for _, f := range functions {
		declared = append(declared, typeOf(f.Params, f.Results))
		locals := f.Locals
		if locals == nil {
			locals = Vec()
		}
		body := Cat(locals, f.Body, End)
		bodies = append(bodies, Cat(Uleb(uint64(len(body))), body))
	}
	var exports [][]byte
	if m.Drop != "memory" {
		exports = append(exports, Cat(Name("memory"), []byte{2, 0}))
	}
	for i, n := range names {
		if n != m.Drop {
			exports = append(exports, Cat(Name(n), []byte{0}, Uleb(uint64(len(m.Imports)+i))))
		}
	}
	memory := Cat([]byte{0}, Uleb(uint64(m.Pages)))
	if m.MaxPages > 0 {
		memory = Cat([]byte{1}, Uleb(uint64(m.Pages)), Uleb(uint64(m.MaxPages)))
	}
	for _, at := range slices.Sorted(maps.Keys(m.Data)) {
		b := m.Data[at]
		data = append(data, Cat([]byte{0}, I32c(int32(at)), End, Uleb(uint64(len(b))), b))
	}
	out := [][]byte{Section(1, Vec(types...)), Section(2, Vec(imports...)), Section(3, Vec(declared...))}
	if m.Tables != nil {
		out = append(out, Section(4, m.Tables))
	}
	out = append(out, Section(5, Vec(memory)))
	if m.Globals != nil {
		out = append(out, Section(6, m.Globals))
	}
	out = append(out, Section(7, Vec(exports...)))
	if m.Start >= 0 {
		out = append(out, Section(8, Uleb(uint64(m.Start))))
	}
	return Module(append(out, Section(12, Uleb(uint64(len(data)))), Section(10, Vec(bodies...)), Section(11, Vec(data...)))...)
}

// Value is one result of a block.
type Value struct {
	Name string
	Kind uint32
	V    []float64
}

// Results lays out a block as metric_eval returns it.
func Results(values ...Value) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("TMR1"), 1)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(len(values)))
	b = append(b, make([]byte, 32*len(values))...)
	for i, r := range values {
		nameAt := len(b)
		b = append(b, r.Name...)
		for j, w := range []int{int(r.Kind), 3, nameAt, len(r.Name), len(b), 8 * len(r.V), 0, 0} {
			le.PutUint32(b[16+32*i+4*j:], uint32(w))
		}
		for _, x := range r.V {
			b = le.AppendUint64(b, math.Float64bits(x))
		}
	}
	return b
}

// Fill is memory.fill.
var Fill = []byte{0xfc, 11, 0}

// huge is 0xFFFFFFFF as LEB128.
var Huge = []byte{0xff, 0xff, 0xff, 0xff, 0x0f}

// code is a module with one function type () -> () and one function body.
func Code(body []byte) []byte {
	return Module(Section(1, Vec(FuncType(nil, nil))), Section(3, Vec([]byte{0})),
		Section(10, Vec(Cat(Uleb(uint64(len(body))), body))))
}

// WasiLog imports fd_write and writes 64 bytes of memory from DescribeAt.
func WasiLog(m *Metric) []byte {
	m.Imports = []Imported{{"wasi_snapshot_preview1", "fd_write", []byte{TI32, TI32, TI32, TI32}, []byte{TI32}}}
	m.Data[512] = []byte{0, 4, 0, 0, 64, 0, 0, 0} // iovec {1024, 64}
	return Cat(I32c(1), I32c(512), I32c(1), I32c(520), Callf(0), Drop)
}

// Initializer gives a metric an _initialize.
func Initializer(body []byte) func(*Metric) {
	return func(m *Metric) { m.Initialize = &Function{Body: body} }
}

// TreeModule has functions that each call the next twice: 2^60 calls without a
// loop.
func TreeModule() *Metric {
	m := Good()
	for i := range 60 {
		next := 4 + i + 1
		m.More = append(m.More, Function{Body: Cat(Callf(next), Callf(next))})
	}
	m.More = append(m.More, Function{})
	m.Eval.Body = Cat(Callf(4), m.Eval.Body)
	return m
}
