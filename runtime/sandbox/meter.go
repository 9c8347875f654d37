package sandbox

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Prices, in fuel. An instruction costs 1; block, loop, else, end and nop cost
// nothing. They are part of what a verdict means: changing one changes how
// expensive a metric is said to be.
const (
	priceCall       = 4    // of a call, beside its instruction
	priceMemoryGrow = 1000 // a system call
	fillShift       = 3    // a bulk memory instruction costs its bytes >> 3
	priceHostCall   = 500  // of a WASI function, beside what it handles

	// maxWhole is the most a function may cost, without loop, call or bulk
	// instruction, to be charged as a whole when it is entered.
	maxWhole = 32

	// maxMetered bounds the module with its fuel accounting; compilers' output
	// grows by half.
	maxMetered = 96 << 20
)

// metered is a module that counts what it runs.
type metered struct {
	wasm  []byte
	fuel  string // name under which its fuel, a mutable i64 global, is exported
	start string // name under which its start function is exported; empty: none

	tableBytes int64 // that its tables may take
}

// meter rewrites a module whose memory and tables may take memory bytes, so that it keeps account of its fuel: what is left
// stands in a global of its own, each basic block subtracts its price, and the
// module traps (unreachable) where less than nothing is left at a loop's head,
// a function's entry or a bulk instruction. Its tables get maxima. Within a function the account is
// kept in a local, which a compiler holds in a register, and handed through
// the global at calls and exits. The start function becomes an export, since
// it must not run before the account is filled.
//
// The code uses no index that the module itself could not: locals and globals
// it does not declare are refused here, before there is one more of each. All
// else that the standard demands of code is left to the compiler, for which
// nothing invalid becomes valid.
func meter(wasm []byte, memory int64) (*metered, error) {
	m := &module{}
	if err := m.scan(wasm); err != nil {
		return nil, err
	}
	out := &metered{wasm: append(make([]byte, 0, len(wasm)+len(wasm)/2), wasm[:8]...)}
	most, bytes := m.tableLimits(memory)
	out.tableBytes = bytes
	out.fuel = m.freeName("triality fuel")
	exports := []export{{kind: 3, index: uint32(m.globals)}}
	names := []string{out.fuel}
	if m.info.Start {
		out.start = m.freeName("triality start")
		names, exports = append(names, out.start), append(exports, export{kind: 0, index: m.start})
	}
	r := &reader{b: wasm, pos: 8}
	globals := false
	for r.left() > 0 && r.err == nil {
		id := r.byte()
		s := r.sub(int(r.u32()))
		if id != 0 && sectionOrder[id] > sectionOrder[6] && !globals {
			// The fuel's global, before the first section that comes after.
			globals = true
			out.section(6, fuelGlobal(&reader{b: []byte{0}}))
		}
		switch id {
		case 4:
			out.section(4, tableSection(m.tables, most))
		case 6:
			globals = true
			out.section(6, fuelGlobal(s))
		case 7:
			out.section(7, moreExports(s, names, exports))
		case 8: // called by name instead
		case 10:
			code, err := m.meterCode(s)
			if err != nil {
				return nil, fmt.Errorf("code section: %w", err)
			}
			out.section(10, code)
		case 11:
			if m.dataCount < 0 {
				out.section(11, mergeData(s))
			} else {
				out.section(11, s.b)
			}
		default:
			out.section(id, s.b)
		}
		if len(out.wasm) > maxMetered {
			return nil, fmt.Errorf("the module with its fuel accounting has more than %d bytes", maxMetered)
		}
	}
	return out, r.err
}

func (m *metered) section(id byte, body []byte) {
	m.wasm = append(m.wasm, id)
	m.wasm = binary.AppendUvarint(m.wasm, uint64(len(body)))
	m.wasm = append(m.wasm, body...)
}

// freeName returns a name no export has.
func (m *module) freeName(name string) string {
	for {
		if _, taken := m.exports[name]; !taken {
			return name
		}
		name += "'"
	}
}

// fuelGlobal appends one mutable i64 of value 0 to a global section.
func fuelGlobal(r *reader) []byte {
	b := binary.AppendUvarint(nil, uint64(r.u32())+1)
	b = append(b, r.b[r.pos:]...)
	return append(b, 0x7e, 1, 0x42, 0, 0x0b)
}

func moreExports(r *reader, names []string, exports []export) []byte {
	b := binary.AppendUvarint(nil, uint64(r.u32())+uint64(len(names)))
	b = append(b, r.b[r.pos:]...)
	for i, e := range exports {
		b = append(binary.AppendUvarint(b, uint64(len(names[i]))), names[i]...)
		b = binary.AppendUvarint(append(b, e.kind), uint64(e.index))
	}
	return b
}

// parameters counts a signature's.
func parameters(signature string) int {
	before, _, _ := strings.Cut(signature, "->")
	return len(strings.Fields(before))
}

func (m *module) meterCode(r *reader) ([]byte, error) {
	n := r.u32()
	out := binary.AppendUvarint(make([]byte, 0, len(r.b)+len(r.b)/2), uint64(n))
	var f functionMeter
	for i := range int(n) {
		body := r.sub(int(r.u32()))
		if r.err != nil {
			return nil, r.err
		}
		f.reset(body, parameters(m.types[m.functions[m.imported+i]]), m.globals)
		if f.body(); body.err != nil {
			return nil, fmt.Errorf("function %d: %w", m.imported+i, body.err)
		}
		out = binary.AppendUvarint(out, uint64(len(f.head)+len(f.out)))
		out = append(append(out, f.head...), f.out...)
		if len(out) > maxMetered {
			return nil, fmt.Errorf("with its fuel accounting it has more than %d bytes", maxMetered)
		}
	}
	return out, nil
}
