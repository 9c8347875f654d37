package sandbox_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

// The tests assemble their modules from bytes, so that they need no toolchain
// and can be wrong in any way they like.

const (
	tI32, tI64, tF64 = 0x7f, 0x7e, 0x7c

	describeAt = 1024
	resultAt   = 16384
	tableAt    = 65536
)

func uleb(v uint64) []byte { return binary.AppendUvarint(nil, v) }

func sleb(v int64) []byte {
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

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func vec(items ...[]byte) []byte { return append(uleb(uint64(len(items))), cat(items...)...) }

func name(s string) []byte { return append(uleb(uint64(len(s))), s...) }

func section(id byte, body []byte) []byte { return cat([]byte{id}, uleb(uint64(len(body))), body) }

func module(sections ...[]byte) []byte {
	return cat([]byte("\x00asm\x01\x00\x00\x00"), cat(sections...))
}

// Instructions.
var (
	end         = []byte{0x0b}
	unreachable = []byte{0x00}
	drop        = []byte{0x1a}
	forever     = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} // loop br 0 end
)

func i32c(v int32) []byte           { return append([]byte{0x41}, sleb(int64(v))...) }
func i64c(v int64) []byte           { return append([]byte{0x42}, sleb(v)...) }
func callf(i int) []byte            { return append([]byte{0x10}, uleb(uint64(i))...) }
func pack(ptr, n uint32) []byte     { return i64c(int64(uint64(ptr)<<32 | uint64(n))) }
func repeat(b []byte, n int) []byte { return bytes.Repeat(b, n) }

type function struct {
	params, results []byte
	locals          []byte // the vector of groups; none where nil
	body            []byte // without its end
}

type imported struct {
	from, name      string
	params, results []byte
}

// metric is a module of the interface. Imports come first in the function
// index space, then the five interface functions in order, then more.
type metric struct {
	imports    []imported
	marker     function
	alloc      function
	describe   function
	eval       function
	initialize *function
	more       []function
	start      int // index of the start function; -1: none
	pages      uint32
	maxPages   uint32 // 0: none
	drop       string // an export to leave out
	tables     []byte // contents of the table section
	globals    []byte // contents of the global section
	data       map[uint32][]byte
}

const description = `{"name":"probe","version":"1","description":"a test","columns":[{"role":"label"}],` +
	`"outputs":[{"name":"x","kind":"scalar","direction":"none"},{"name":"c","kind":"column","direction":"none"}]}`

// good is a module that does everything right: it returns x = 2.
func good() *metric {
	m := &metric{start: -1, pages: 4, data: map[uint32][]byte{}}
	m.alloc = function{params: []byte{tI32}, results: []byte{tI32}, body: i32c(tableAt)}
	m.describe = function{results: []byte{tI64}, body: pack(describeAt, uint32(len(description)))}
	m.eval = function{params: []byte{tI32, tI32}, results: []byte{tI64}}
	m.data[describeAt] = []byte(description)
	m.returns(results(value{name: "x", kind: 1, v: []float64{2}}))
	return m
}

// returns makes metric_eval return a block.
func (m *metric) returns(block []byte) *metric {
	m.data[resultAt] = block
	m.eval.body = pack(resultAt, uint32(len(block)))
	return m
}

func (m *metric) with(change func(*metric)) *metric {
	change(m)
	return m
}

func funcType(params, results []byte) []byte {
	return cat([]byte{0x60}, uleb(uint64(len(params))), params, uleb(uint64(len(results))), results)
}

func (m *metric) bytes() []byte {
	names := []string{"triality_metric_v1", "metric_alloc", "metric_describe", "metric_eval"}
	functions := []function{m.marker, m.alloc, m.describe, m.eval}
	if m.initialize != nil {
		names, functions = append(names, "_initialize"), append(functions, *m.initialize)
	}
	functions = append(functions, m.more...)
	var types, imports, declared, bodies, data [][]byte
	known := map[string]int{}
	typeOf := func(params, results []byte) []byte {
		t := funcType(params, results)
		if _, ok := known[string(t)]; !ok {
			known[string(t)] = len(types)
			types = append(types, t)
		}
		return uleb(uint64(known[string(t)]))
	}
	for _, i := range m.imports {
		imports = append(imports, cat(name(i.from), name(i.name), []byte{0}, typeOf(i.params, i.results)))
	}
	for _, f := range functions {
		declared = append(declared, typeOf(f.params, f.results))
		locals := f.locals
		if locals == nil {
			locals = vec()
		}
		body := cat(locals, f.body, end)
		bodies = append(bodies, cat(uleb(uint64(len(body))), body))
	}
	var exports [][]byte
	if m.drop != "memory" {
		exports = append(exports, cat(name("memory"), []byte{2, 0}))
	}
	for i, n := range names {
		if n != m.drop {
			exports = append(exports, cat(name(n), []byte{0}, uleb(uint64(len(m.imports)+i))))
		}
	}
	memory := cat([]byte{0}, uleb(uint64(m.pages)))
	if m.maxPages > 0 {
		memory = cat([]byte{1}, uleb(uint64(m.pages)), uleb(uint64(m.maxPages)))
	}
	for _, at := range slices.Sorted(maps.Keys(m.data)) {
		b := m.data[at]
		data = append(data, cat([]byte{0}, i32c(int32(at)), end, uleb(uint64(len(b))), b))
	}
	out := [][]byte{section(1, vec(types...)), section(2, vec(imports...)), section(3, vec(declared...))}
	if m.tables != nil {
		out = append(out, section(4, m.tables))
	}
	out = append(out, section(5, vec(memory)))
	if m.globals != nil {
		out = append(out, section(6, m.globals))
	}
	out = append(out, section(7, vec(exports...)))
	if m.start >= 0 {
		out = append(out, section(8, uleb(uint64(m.start))))
	}
	return module(append(out, section(12, uleb(uint64(len(data)))), section(10, vec(bodies...)), section(11, vec(data...)))...)
}

// value is one result of a block.
type value struct {
	name string
	kind uint32
	v    []float64
}

// results lays out a block as metric_eval returns it.
func results(values ...value) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("TMR1"), 1)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(len(values)))
	b = append(b, make([]byte, 32*len(values))...)
	for i, r := range values {
		nameAt := len(b)
		b = append(b, r.name...)
		for j, w := range []int{int(r.kind), 3, nameAt, len(r.name), len(b), 8 * len(r.v), 0, 0} {
			le.PutUint32(b[16+32*i+4*j:], uint32(w))
		}
		for _, x := range r.v {
			b = le.AppendUint64(b, math.Float64bits(x))
		}
	}
	return b
}
